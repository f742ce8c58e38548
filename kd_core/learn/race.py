"""Several runs against each other: who leads on the way, and what the test texts can tell apart. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.config import DistillConfig
from kd_core.distillation.comparison import Verdict, verdict
from kd_core.distillation.two_runs import students_right
from kd_core.errors import RunError
from kd_core.learn.lab_results import LabCell, LabReport, cells_of, unpack
from kd_core.system.formatting import or_auto

TAG = "race"
LETTERS = "ABC"
ALONE = "Student alone"


@dataclass(frozen=True)
class Course:
    """A race that was recorded (``assets/record.py``): what it asks, and the settings of its lanes.

    The student alone runs beside them. ``base`` are settings that all share.
    """

    title: str
    question: str
    lanes: tuple[Mapping[str, Any], ...]
    base: Mapping[str, Any] = field(default_factory=dict)


_TEXTS = tuple({"task.transfer_texts": texts} for texts in (0, 2_000, 12_000))
RACES = {
    "few": Course(
        "200 labels",
        "200 texts are labelled. Besides them the teacher answers 0, 2,000 or 12,000 unlabelled ones. Which "
        "student is right most often?",
        _TEXTS,
        {"task.train_texts": 200},
    ),
    "texts": Course(
        "1,256 labels",
        "1,256 texts are labelled. Besides them the teacher answers 0, 2,000 or 12,000 unlabelled ones. "
        "Which student is right most often?",
        _TEXTS,
    ),
}


@dataclass(frozen=True)
class Pair:
    """Two runs, the more accurate one first; ``verdict`` is of the first against the second."""

    ahead: str
    behind: str
    verdict: Verdict

    @property
    def told_apart(self) -> bool:
        return self.verdict.low > 0


def lane_names(configs: Sequence[DistillConfig]) -> list[str]:
    """ "A: T = 1", "B: T = 8": a letter, and the settings of a lane in which they differ."""
    shown = [
        {
            "temperature": f"T = {or_auto(config.objective.temperature)}",
            "alpha": f"alpha = {config.objective.alpha:g}",
            "transfer": f"{config.task.transfer_texts:,} texts",
            "student": config.student.model,
        }
        for config in configs
    ]
    differing = [name for name in shown[0] if len({lane[name] for lane in shown}) > 1]
    return [
        f"{letter}: {', '.join(lane[name] for name in differing) or 'the same'}"
        for letter, lane in zip(LETTERS, shown, strict=False)
    ]


def standing(curves: Mapping[str, pd.DataFrame]) -> tuple[int, dict[str, float]] | None:
    """The step that all who have started have reached, and their students' validation accuracy there.

    The best first; None before the first look. ``curves`` are ``Store.evaluations``.
    """
    started = {
        name: mine.groupby("step")["accuracy"].mean()
        for name, curve in curves.items()
        if len(mine := curve[curve["who"] == "student"])
    }
    if not started:
        return None
    step = min(int(curve.index[-1]) for curve in started.values())
    there = {
        name: float(curve.loc[:step].iloc[-1]) for name, curve in started.items() if len(curve.loc[:step])
    }
    return step, dict(sorted(there.items(), key=lambda lane: -lane[1]))


def teacher_accuracy(config: DistillConfig, curve: pd.DataFrame) -> float | None:
    """Of the weights that it keeps, on the validation texts; amid its training, of its latest pass."""
    mine = curve[curve["who"] == "teacher"]["accuracy"]
    if mine.empty:
        return None
    settings = config.teacher
    best = settings.weights == "best" or (settings.weights == "auto" and settings.model == "scratch")
    return float(mine.max() if best else mine.iloc[-1])


def pairs(run_ids: Sequence[str]) -> list[Pair]:
    """Every two of the finished runs on the test texts that they share. Raises: RunError."""
    found = {run_id: students_right(run_id) for run_id in run_ids}
    for one, other in combinations(run_ids, 2):
        (texts, right), (others, theirs) = found[one], found[other]
        if not texts.equals(others) or right.shape != theirs.shape:
            raise RunError(f"{one} and {other} were not tested on the same texts, with as many seeds.")
    return pairs_of({run_id: right for run_id, (_, right) in found.items()})


def pairs_of(right: Mapping[str, NDArray[np.bool_]]) -> list[Pair]:
    """Every two lanes, by whether their students (seeds, texts) are right; the best first."""
    order = sorted(right, key=lambda name: -right[name].mean())
    return [
        Pair(ahead, behind, verdict(right[ahead], right[behind])) for ahead, behind in combinations(order, 2)
    ]


def recorded_right(report: LabReport) -> dict[str, NDArray[np.bool_]]:
    """The lanes of a recorded race by name, the student alone first: whether students (seeds, texts) are
    right."""
    return {
        name: np.stack([unpack(cell["right"], report["test_texts"]) for cell in cells])
        for name, cells in _lanes(report).items()
    }


def recorded_curves(report: LabReport) -> dict[str, pd.DataFrame]:
    """Validation accuracy of each lane's students as ``Store.evaluations`` has it: who, seed, step,
    accuracy."""
    return {
        name: pd.DataFrame(
            [
                {"who": cell["who"], "seed": cell["seed"], "step": step, "accuracy": accuracy}
                for cell in cells
                for step, accuracy in cell["curve"]
            ]
        )
        for name, cells in _lanes(report).items()
    }


def _lanes(report: LabReport) -> dict[str, list[LabCell]]:
    names = dict.fromkeys(cell["name"] for cell in report["cells"])
    return {name: cells_of(report, name=name) for name in names}


def places(run_ids: Sequence[str], compared: Sequence[Pair]) -> dict[str, int]:
    """By accuracy. Down to the last that cannot be told apart from the best, all share the first place; and
    so on with those behind them."""
    wins = {run_id: sum(pair.ahead == run_id for pair in compared) for run_id in run_ids}
    left = sorted(run_ids, key=lambda run_id: -wins[run_id])
    found: dict[str, int] = {}
    while left:
        tied = [pair.behind for pair in compared if pair.ahead == left[0] and not pair.told_apart]
        sharing = 1 + max((left.index(run_id) for run_id in tied), default=0)
        found |= dict.fromkeys(left[:sharing], len(found) + 1)
        left = left[sharing:]
    return found
