"""What is said of a student that has learned from a teacher's choices alone. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kd_core.distillation.roles import metric_name
from kd_core.distillation.sentences import not_above
from kd_core.system.formatting import counted, interval, percent, points

if TYPE_CHECKING:  # scipy comes with it
    from kd_core.config import TaskConfig
    from kd_core.distillation.comparison import Verdict
    from kd_core.distillation.report import ModelReport

WORDS = {
    "helped": "The teacher's probabilities helped",
    "no_difference": "The teacher's probabilities made no difference that these texts can show",
    "hurt": "The teacher's probabilities hurt",
}
OF_ONE_SEED = {
    "helped": "With the teacher's probabilities this student is better",
    "no_difference": WORDS["no_difference"],
    "hurt": "With the teacher's probabilities this student is worse",
}
LABELS_ALONE = "The teacher has given labels alone, so there are no soft answers whose worth could be judged."

CHOICES_ALONE = (
    "The student has learned the teacher's choices alone, so nothing says what its soft answers add."
)


def sentence(
    task: TaskConfig,
    metric: str,
    student: ModelReport,
    texts: int,
    agreement: float,
    verdict: Verdict | None,
    over_floor: Verdict | None,
    advice: str = "",
) -> str:
    """The verdict in words. ``agreement`` is the share of the ``texts`` on which the first student's answer
    is the teacher's, ``verdict`` that against the student of the teacher's hard answers. ``over_floor`` comes
    first where the student is not above TF-IDF, with ``advice``."""
    what = task.measures if metric == "accuracy" else metric_name(metric)
    how = f"{percent(student.accuracy)}, 95 % interval {percent(student.low)} to {percent(student.high)}"
    by, agrees = "", f"Agreement with the teacher: {percent(agreement)}."
    if len(student.seeds) > 1:
        by = f" by {counted(len(student.seeds), 'student')}"
        agrees = f"The first of them agrees with the teacher on {percent(agreement)}."
    parts = [f"Agreement with the teacher on {texts:,} test texts{by}: {how}."]
    if task.gold == "test":
        parts = [f"Accuracy by the gold labels of {texts:,} test texts{by}: {how}. {agrees}"]
    if over_floor and over_floor.kind != "helped":
        parts.insert(0, not_above(over_floor, f"of {what}", advice))
    if verdict is None:
        parts.append(LABELS_ALONE if task.answers == "labels" else CHOICES_ALONE)
    else:
        words = WORDS if verdict.seeds > 1 else OF_ONE_SEED
        parts.append(
            f"{words[verdict.kind]}: {_gain(verdict)} in {what} over the same student on its "
            "teacher's hard answers."
        )
        if verdict.seeds == 1:
            parts.append("Each was trained once; more seeds tell how much of that is luck.")
    return " ".join(parts)


def _gain(verdict: Verdict) -> str:
    return f"{points(verdict.delta)}, 95 % interval {interval(verdict.low, verdict.high)}"
