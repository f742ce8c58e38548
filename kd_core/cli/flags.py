"""The flags of ``kd distill``, generated from the config: one for each field."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo

from kd_core.config import SHORT, DistillConfig, flag, sections
from kd_core.errors import ConfigError
from kd_core.system.settings import bounds, choices


@cache
def options() -> dict[str, list[click.Option]]:
    """Section name -> its flags, the shortest names first. An option left out is None."""
    return {
        section: sorted(
            (option(f"{section}.{name}", info) for name, info in fields.model_fields.items()),
            key=lambda made: made.opts[0] not in SHORT.values(),
        )
        for section, fields in sections()
    }


def read_config(file: str | None, given: Mapping[str, str | bool | None]) -> DistillConfig:
    """The config of a command line: ``file`` (YAML) or the defaults, overridden by the flags.

    ``given`` maps the options' names to what was typed; None means that the flag was left out.
    Raises: ConfigError, which calls a setting that was typed by its flag.
    """
    base = DistillConfig.from_file(file) if file is not None else DistillConfig()
    changes = {name.replace("__", "."): value for name, value in given.items() if value is not None}
    try:
        config = base.change(changes)
    except ConfigError as error:
        raise ConfigError(*(_by_flag(problem, changes) for problem in error.problems)) from error
    typed = changes.get("task.name", config.task.name)
    if config.task.knowledge and typed != config.task.name:
        raise ConfigError(
            f"--task {typed} would say nothing: the task is the file of answers {config.task.knowledge!r}. "
            "Leave it out, or take the answers back with --knowledge ''"
        )
    return config


def _by_flag(problem: str, changes: Mapping[str, Any]) -> str:
    place, space, rest = problem.partition(" ")
    return f"{flag(place)}{space}{rest}" if place in changes else problem


def option(place: str, info: FieldInfo) -> click.Option:
    """The flag of a field; ``place`` is "section.field"."""
    name, text = place.replace(".", "__"), f"{info.description} [{_limits(info)}]".removesuffix(" []")
    if info.annotation is bool:
        return click.Option([name, f"{flag(place)}/--no-{flag(place)[2:]}"], default=None, help=text)
    # Values stay text: the config reads and checks them, so that all problems are reported at once.
    return click.Option([name, flag(place)], type=str, metavar=_metavar(info), help=text)


def _metavar(info: FieldInfo) -> str:
    if str in (info.annotation, *get_args(info.annotation)):
        return "TEXT"
    return "NAME" if _names(info) else "NUMBER"


def _limits(info: FieldInfo) -> str:
    legal = ", ".join(_names(info)) or bounds(info)
    if choices(info) == ("auto",):
        legal += ", or auto"
    return "; ".join(part for part in (legal, _default(info.default)) if part)


def _default(value: Any) -> str:
    match value:
        case None | ():
            return ""
        case bool():
            return f"default: {'on' if value else 'off'}"
        case tuple():
            return f"default: {','.join(map(str, value))}"
    return f"default: {value}"


def _names(info: FieldInfo) -> tuple[str, ...]:
    """The names to choose from; a number that may be ``auto`` has none."""
    return () if choices(info) == ("auto",) else choices(info)
