"""How much a search or a ladder is, before it starts. No torch until it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from kd_core.distillation.roles import CORE_ONLY
from kd_core.errors import ConfigError, ModelError
from kd_core.search.config import EVALUATIONS, SearchConfig
from kd_core.search.folds import INNER
from kd_core.system.settings import fixed

if TYPE_CHECKING:
    from kd_core.config import DistillConfig
    from kd_core.data.task import Task
    from kd_core.jobs.estimate import PastRun
    from kd_core.jobs.plan import Plan, Vocabulary
    from kd_core.search.ladder import LadderConfig

# What each further worker adds: on two cores, two students side by side need 0.74 of the time of one after
# the other (600 steps of the tiny student).
GAIN = 0.35


@dataclass(frozen=True)
class Outlook:
    """``seconds`` with the final run. ``measured``: from past runs of this machine, which has ``workers``."""

    trainings: int
    workers: int
    seconds: float
    measured: bool


def outlook(
    config: SearchConfig,
    task: Task,
    vocabulary: Vocabulary,
    past: Iterable[PastRun],
    calibrated: Callable[[], float],
) -> Outlook:
    """Arguments as of ``plan.make_plan`` and ``estimate.estimate``. Raises: ConfigError, ModelError."""
    from kd_core.jobs.cost import parts
    from kd_core.jobs.estimate import estimate
    from kd_core.jobs.plan import make_plan
    from kd_core.search.processes import workers_here

    # A fold's teacher is in no cache yet.
    known, rate = [replace(run, kept=False) for run in past], cache(calibrated)
    students = config.choices["student"]
    tried = len(config.settings) / len(students)  # of each
    total, measured = 0.0, True
    for student in students:
        one = config.distill.change({"student.model": student, **CORE_ONLY})
        whole = make_plan(one, task, vocabulary)
        fold = _of_a_fold(whole, config.folds)
        expected = estimate(fold, known, rate)
        per_work = expected.seconds["distil"] / expected.work["distil"]
        distilled, alone = (
            per_work * sum(part.work for part in parts(fold) if part.who == who)
            for who in ("student", "alone")
        )
        total += config.folds * (tried * distilled + len(config.choices["learning_rate"]) * alone)
        measured = measured and expected.measured
    teachers = config.folds * (expected.seconds["teach"] + expected.seconds["record"])
    workers = workers_here(config)
    seconds = total / (1 + GAIN * (workers - 1)) + teachers + estimate(whole, known, rate).total
    return Outlook(config.trainings, workers, seconds, measured)


def rungs(config: LadderConfig, plan_of: Callable[[DistillConfig], Plan]) -> dict[str, Plan]:
    """What the run of each student would be, without those that this teacher cannot have."""
    plans = {}
    for student in config.students:
        with suppress(ConfigError, ModelError):
            plans[student] = plan_of(config.rung(student))
    return plans


def read_rungs(config: LadderConfig) -> dict[str, Plan]:
    """``rungs`` of the texts that are read for it. Raises: KDError."""
    from kd_core.data import load_task
    from kd_core.data.spans import augmented
    from kd_core.jobs.plan import make_plan, read_vocabulary

    distill = config.distill
    task = augmented(load_task(distill.task), distill.task)
    vocabulary = read_vocabulary(distill.teacher, task, distill.task.max_length)
    return rungs(config, lambda one: make_plan(one, task, vocabulary))


def rung_seconds(
    config: LadderConfig, plans: Iterable[Plan], past: Iterable[PastRun], calibrated: Callable[[], float]
) -> list[float]:
    """Of each student, as if none were shown to keep enough; after the first, teacher and answers are cached.

    In int8 a student is converted, asked and timed in about the time of its validation: half to twice that
    for 44 of 49 students of eight tasks.
    """
    from kd_core.jobs.estimate import estimate

    known, rate, each = list(past), cache(calibrated), []
    for number, plan in enumerate(plans):
        seconds = estimate(plan, known, rate).seconds
        once = seconds["teach"] + seconds["record"] if number == 0 else 0.0
        each.append(once + seconds["distil"] + seconds["validate"] * (2 if config.int8 else 1))
    return each


def _of_a_fold(plan: Plan, folds: int) -> Plan:
    """Of the training and transfer texts, what a fold learns from."""
    share = (1 - 1 / folds) * (1 - INNER)
    rows = {name: round(share * plan.rows[name]) for name in ("train", "transfer")}
    rows |= {"validation": round((1 - 1 / folds) * INNER * plan.rows["train"]), "test": plan.rows["test"]}
    steps = fixed(plan.config.training.steps)
    config = plan.config.change({"training.evaluate_every": max(1, steps // EVALUATIONS)})
    return replace(plan, config=config, rows=rows)
