"""The closing quiz: ``assets/quiz.yaml``, one entry a question."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from kd_core.system import paths

FILE = paths.app_folder() / "assets" / "quiz.yaml"


class Question(BaseModel):
    """``because`` is said with the right answer; ``lab`` shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    options: Annotated[tuple[str, ...], Field(min_length=2)]
    right: str
    because: str
    lab: str

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        if self.options.count(self.right) != 1:
            raise ValueError(f"{self.question!r}: what is right has to be one of the options")
        return self


@lru_cache(maxsize=1)
def quiz() -> tuple[Question, ...]:
    """All questions in the order of the file."""
    return TypeAdapter(tuple[Question, ...]).validate_python(yaml.safe_load(FILE.read_text("utf-8")))
