"""A base for configs whose fields carry bounds, slider range and help, and which say what is wrong."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from kd_core.errors import ConfigError

Auto = Literal["auto"]
LONGEST = 300  # letters of a value that a message repeats

T = TypeVar("T")


def _listed(value: Any) -> Any:
    """``1,2,4`` (as typed) and ``4`` are lists too, and nothing an empty one."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if value is None:
        return ()
    return (value,) if isinstance(value, int | float) else value


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"must differ, got {','.join(map(str, values))}")
    return values


Several = Annotated[tuple[T, ...], BeforeValidator(_listed)]

Distinct = Annotated[Several[T], AfterValidator(_distinct)]


def setting(
    default: Any,
    help: str,
    *,
    slider: tuple[float, float, float] | None = None,
    start: float | None = None,
    legal: str = "",
    **bounds: Any,
) -> Any:
    """A field: ``bounds`` (gt, ge, lt, le) are what is legal, ``slider`` (low, high, step) what is usual.

    ``start`` is where the slider of a setting stands that is ``auto`` by default: it has no place for that.
    ``legal`` says it in words where these would not be clear from the bounds.
    """
    extra: dict[str, Any] = {"slider": list(slider or ()), "start": start, "legal": legal}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Settings(BaseModel):
    """A config, or a section of one. Whatever was typed or stored becomes one through ``from_dict``."""

    # Defaults are validated too: one may not go with what was given (2 heads with a hidden size of 101).
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    names_start_here: ClassVar[bool] = False  # also inside another config

    @field_validator("*", mode="before")
    @classmethod
    def _as_a_file_has_it(cls, value: Any, info: ValidationInfo) -> Any:
        """A path is a text. True is no number: pydantic takes it for 1, and YAML has ``yes`` and ``on``."""
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        of = cls.model_fields[info.field_name].annotation if info.field_name else None
        if of is not bool and any(
            isinstance(one, bool) for one in (value if isinstance(value, list | tuple) else (value,))
        ):
            raise PydanticCustomError("no_number", "true or false")
        return value

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises: ConfigError, with all problems at once, in the order of the fields."""
        if not isinstance(values, Mapping):
            file = "; from_file reads a file" if str(values).endswith((".yaml", ".yml")) else ""
            raise ConfigError(f"a config is a mapping of sections, got {type(values).__name__}{file}")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            # One a field, though a list of seeds may have several.
            problems = dict.fromkeys(_explain(cls, problem, values) for problem in error.errors())
            raise ConfigError(*problems) from error


def fixed(value: T | Auto) -> T:
    """The value of a field that may be ``auto``, once the config is resolved."""
    if isinstance(value, str) and value == "auto":
        raise ConfigError("this config still has 'auto' values; resolve it first")
    return value


def choices(info: FieldInfo) -> tuple[str, ...]:
    """The names a field accepts, or () where it is not a choice."""
    parts = (info.annotation, *get_args(info.annotation))
    return tuple(dict.fromkeys(value for part in parts for value in get_args(part) if isinstance(value, str)))


def bounds(info: FieldInfo) -> str:
    """The legal range in words: "above 0 and at most 100"."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    limits = {key: getattr(m, key) for m in _constraints(info) for key in words if hasattr(m, key)}
    if {"ge", "le"} <= set(limits):
        return f"between {limits['ge']:,} and {limits['le']:,}"
    return " and ".join(f"{words[key]} {value:,}" for key, value in limits.items())


def _constraints(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    for part in get_args(info.annotation):  # Annotated[int, Field(ge=8)] | Auto
        for inner in getattr(part, "__metadata__", ()):
            yield from inner.metadata


def _explain(config: type[Settings], problem: ErrorDetails, given: Any) -> str:
    """A sentence with the setting that has the problem, what is legal and the actual value."""
    section, value, path = config, given, list[str]()
    for name in map(str, problem["loc"]):
        if section.names_start_here:
            path = []  # in a search or a lab, the run's settings keep their names
        path.append(name)
        place, info = ".".join(path), section.model_fields.get(name)
        if info is None:
            return f"{place} is not a setting; choose from {', '.join(section.model_fields)}"
        value = value.get(name)
        if not (isinstance(info.annotation, type) and issubclass(info.annotation, Settings)):
            break
        section = info.annotation
    else:
        if problem["type"] == "value_error":  # of the section as a whole
            return f"{place} {problem['ctx']['error']}"
        return f"{place} must be a mapping of settings, got {shortened(value)}"
    match problem["type"]:
        case "value_error":
            return f"{place} {problem['ctx']['error']}"
        case "missing":
            return f"{place} is missing"
        case "too_short" if not (problem["input"] or _in_words(info)):
            return f"{place} must have a value at least, got none"
        case "too_long":
            most, got = problem["ctx"]["max_length"], len(problem["input"])
            return f"{place} must have {most:,} values at most, got {got:,}"
    legal = _legal(info)
    if bounds(info) and _takes_whole_numbers(info) and not _is_whole(value):
        legal = f"a whole number{' of' * legal.startswith('at ')} {legal}"
    return f"{place} must be {legal}, got {shortened(value)}"  # a whole list, as it was typed


def _takes_whole_numbers(info: FieldInfo) -> bool:
    if _in_words(info) or get_origin(info.annotation) is tuple:
        return False
    parts = (info.annotation, *get_args(info.annotation))  # Annotated[int, Field(ge=8)] | Auto
    return int in {getattr(part, "__origin__", part) for part in parts}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.lstrip("-").isdigit())


def shortened(value: Any) -> str:
    """As Python writes it, cut where it is long: a few lines of YAML may stand for more than memory holds."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = LONGEST
    short.maxlist = short.maxtuple = short.maxdict = 20
    short.maxlevel = 3
    text = short.repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _in_words(info: FieldInfo) -> str:
    return str(cast(dict[str, Any], info.json_schema_extra or {}).get("legal", ""))


def _legal(info: FieldInfo) -> str:
    """What a field takes, in words."""
    names, some = choices(info), "some" if get_origin(info.annotation) is tuple else "one"
    if names and names != ("auto",):
        return f"{some} of {', '.join(names)}"
    words = _in_words(info) or bounds(info) or _type_name(info)
    return f"{words}, or auto" if names else words


def _type_name(info: FieldInfo) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    longest = next((m.max_length for m in info.metadata if hasattr(m, "max_length")), None)
    text = f"a text of {longest} characters at most" if longest else "text"
    return next(
        (names[part] for part in (info.annotation, *get_args(info.annotation)) if part in names), text
    )
