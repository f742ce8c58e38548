"""Guided lessons: their texts in ``assets/lessons``. No torch.

A file starts with its settings in YAML (see ``Lesson``); a part of its text follows each line ``## Before``,
``## Lab`` and ``## Found`` (what to do in a lab, and what is found there; ``## Lab 2`` and ``## Found 2`` for
a second one), ``## Reveal`` and ``## Summary``. ``{name}`` stands for one of its ``facts``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kd_core.system import paths

FOLDER = paths.app_folder() / "assets" / "lessons"
_PART = re.compile(r"^## (.+)$", re.MULTILINE)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(_Part):
    """A question that is answered with a number; an answer that is off by ``close`` is near enough.

    A room chooses between ``bands``, which these numbers part.
    """

    low: float
    high: float
    step: float
    unit: str
    close: float
    bands: Annotated[tuple[float, ...], Field(min_length=2)]


class LabUse(_Part):
    """A lab as a lesson shows it: controls that are kept out of sight, and where they start."""

    name: str
    hide: tuple[str, ...] = ()
    settings: dict[str, str | float] = {}


class Lesson(_Part):
    """What is right is the ``answer`` of its facts: one of the ``options``, or a number."""

    place: int  # among all lessons, from 1
    name: str
    title: str
    icon: str
    minutes: int
    about: str
    question: str
    options: tuple[str, ...] = ()
    number: Number | None = None
    labs: Annotated[tuple[LabUse, ...], Field(min_length=1)]
    parts: dict[str, str]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.options) == bool(self.number):
            raise ValueError(f"lesson {self.name}: give options or a number to answer with, not both")
        wanted = (*self.part_names, *self.found_parts)
        if missing := [name for name in wanted if not self.parts.get(name)]:
            raise ValueError(f"lesson {self.name} has no text for {', '.join(missing)}")
        return self

    @property
    def lab_parts(self) -> tuple[str, ...]:
        return tuple(f"Lab {i}" if i > 1 else "Lab" for i in range(1, len(self.labs) + 1))

    @property
    def found_parts(self) -> tuple[str, ...]:
        """What there is to find in each of its labs."""
        return tuple(name.replace("Lab", "Found") for name in self.lab_parts)

    @property
    def part_names(self) -> tuple[str, ...]:
        """The steps of the lesson in order."""
        return ("Before", *self.lab_parts, "Reveal", "Summary")


@lru_cache(maxsize=1)
def lessons() -> dict[str, Lesson]:
    """All by name, in the order of their files ("2-temperature.md" is the second)."""
    return {lesson.name: lesson for lesson in map(read, sorted(path.name for path in FOLDER.glob("*.md")))}


def read(file: str) -> Lesson:
    _, front, text = (FOLDER / file).read_text("utf-8").split("---\n", 2)
    _, *pieces = _PART.split(text)
    parts = {name.strip(): part.strip() for name, part in zip(pieces[::2], pieces[1::2], strict=True)}
    if len(parts) < len(pieces) // 2:  # the later one would silently be shown
        raise ValueError(f"lesson {file} has a part twice; it has {', '.join(pieces[::2])}")
    place, _, name = file.removesuffix(".md").partition("-")
    return Lesson(place=int(place), name=name, parts=parts, **yaml.safe_load(front))
