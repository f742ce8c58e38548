"""What a search tries, and how it compares. Light: no torch, no Optuna."""

from __future__ import annotations

import math
import random
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from kd_core.config import TEMPERATURE, DistillConfig, Divergence, LearningRate, Share, Temperature
from kd_core.errors import ModelError
from kd_core.jobs.states import ALONE
from kd_core.models.presets import STUDENTS, find_preset
from kd_core.system.settings import Auto, Distinct, Settings, setting

MOST_CELLS, MOST_VALUES = 10_000, 100  # settings that a search tries, and values of each of its lists
MORE_DRAWS = 100  # by a random search, in place of repeats
EVALUATIONS = 4  # on the validation split, during one training
Method = Literal["grid", "random", "tpe"]
Pruning = Literal["none", "median", "wilcoxon"]


class Setting(BaseModel):
    """What one cell of a search changes in the config."""

    model_config = ConfigDict(frozen=True)

    temperature: float
    alpha: float
    learning_rate: float | Auto
    student: str
    divergence: Divergence

    def changes(self) -> dict[str, Any]:
        return {
            "objective.temperature": self.temperature,
            "objective.alpha": self.alpha,
            "objective.divergence": self.divergence,
            "training.learning_rate": self.learning_rate,
            "student.model": self.student,
        }


_LISTS = ("temperatures", "alphas", "learning_rates", "students", "divergences")


class SearchConfig(Settings):
    """Everything that decides a search. The seeds are those of ``distill.training``."""

    study: str = setting("", "Name of the search, by which it is resumed and joined", max_length=200)
    distill: DistillConfig = Field(default_factory=DistillConfig)
    temperatures: Distinct[Temperature] = setting(
        (1.0, 2.0, 4.0, 8.0), "Temperatures to try", min_length=1, max_length=MOST_VALUES
    )
    alphas: Distinct[Share] = setting(
        (0.1, 0.3, 0.6, 0.8), "Alphas to try", min_length=1, max_length=MOST_VALUES
    )
    learning_rates: Distinct[LearningRate] = setting(
        (), "Peak learning rates of the students to try (none: the run's)", max_length=MOST_VALUES
    )
    students: Distinct[str] = setting((), "Students to try (none: the run's)", max_length=MOST_VALUES)
    divergences: Distinct[Divergence] = setting((), "Soft losses to try (none: the run's)")
    method: Method = setting(
        "grid",
        "grid tries every combination; random and tpe take numbers between the smallest and the largest "
        "of each list, by chance or by what was good so far",
    )
    trials: int = setting(
        20, "How many settings random and tpe try, at most", ge=1, le=MOST_CELLS, slider=(5, 100, 5)
    )
    folds: int = setting(3, "Parts of the training data that are held out in turn", ge=2, le=20)
    pruning: Pruning = setting(
        "none",
        "Give up hopeless settings early: below the median of the others so far, or by a Wilcoxon test "
        "against the best (which needs four folds x seeds at least)",
    )
    workers: Annotated[int, Field(ge=1, le=64)] | Auto = setting(
        "auto", "Trainings at once on this machine (auto: one a core, as far as memory goes; one on a GPU)"
    )

    @field_validator("study")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name.endswith(ALONE):
            raise ValueError(f"must not end in {ALONE!r}, as the tables of a search do, got {name!r}")
        return name

    @field_validator("students")
    @classmethod
    def _are_models(cls, students: tuple[str, ...]) -> tuple[str, ...]:
        for name in students:
            try:
                find_preset(name, STUDENTS)
            except ModelError as error:
                raise ValueError(f"have a problem: {error}") from error
        return students

    @field_validator("method")
    @classmethod
    def _has_an_end(cls, method: Method, info: ValidationInfo) -> Method:
        lists = (info.data.get(name, ()) for name in _LISTS)
        if method == "grid" and (cells := math.prod(len(values) or 1 for values in lists)) > MOST_CELLS:
            raise ValueError(
                f"grid would try {cells:,} settings, more than {MOST_CELLS:,}; shorten the lists, or take "
                "random or tpe"
            )
        return method

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.distill.training.seeds

    @property
    def settings(self) -> tuple[Setting | None, ...]:
        """Of each cell, in order; None where ``tpe`` decides when the cell's turn comes."""
        match self.method:
            case "grid":
                choices = self.choices
                cells = product(*choices.values())
                return tuple(Setting(**dict(zip(choices, cell, strict=True))) for cell in cells)
            case "random":
                rng = random.Random(self.distill.task.split_seed)
                drawn: dict[Setting, None] = {}
                for _ in range(self.trials + MORE_DRAWS):
                    if len(drawn) == self.trials:
                        break
                    drawn[self._drawn(rng)] = None
                return tuple(drawn)
            case _:
                return (None,) * self.trials

    @property
    def alone(self) -> tuple[Setting, ...]:
        """The cells of the student alone, which knows neither temperature nor alpha nor divergence."""
        objective = self.distill.objective
        temperature = TEMPERATURE if objective.temperature == "auto" else objective.temperature
        return tuple(
            Setting(
                temperature=temperature,
                alpha=1.0,
                learning_rate=rate,
                student=student,
                divergence=objective.divergence,
            )
            for rate, student in product(self.choices["learning_rate"], self.choices["student"])
        )

    @property
    def cells(self) -> int:
        """With those of the student alone."""
        return len(self.settings) + len(self.alone)

    @property
    def trainings(self) -> int:
        """Students, and a teacher for each fold, without the final run on all training data."""
        return self.cells * self.folds * len(self.seeds) + self.folds

    @property
    def choices(self) -> dict[str, tuple[Any, ...]]:
        """Each field of ``Setting``, with what it may be."""
        base = self.distill
        return {
            "temperature": self.temperatures,
            "alpha": self.alphas,
            "learning_rate": self.learning_rates or (base.training.learning_rate,),
            "student": self.students or (base.student.model,),
            "divergence": self.divergences or (base.objective.divergence,),
        }

    def apply(self, setting: Setting) -> DistillConfig:
        return self.distill.change(setting.changes())

    def _drawn(self, rng: random.Random) -> Setting:
        rates = self.choices["learning_rate"]
        return Setting(
            temperature=_between(rng, self.temperatures, log=True),
            alpha=_between(rng, self.alphas),
            learning_rate=rates[0] if rates == ("auto",) else _between(rng, rates, log=True),
            student=rng.choice(self.choices["student"]),
            divergence=rng.choice(self.choices["divergence"]),
        )


def _between(rng: random.Random, values: tuple[float, ...], *, log: bool = False) -> float:
    low, high = min(values), max(values)
    if low == high:
        return low
    number = math.exp(rng.uniform(math.log(low), math.log(high))) if log else rng.uniform(low, high)
    return min(high, max(low, float(f"{number:.3g}")))
