"""The distilled students of two runs on the same test texts. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kd_core.distillation.balance import judged_classes
from kd_core.distillation.comparison import Bools, Ints, Verdict, f1_verdict, verdict
from kd_core.distillation.predictions import logits, read_predictions
from kd_core.distillation.run_folder import PREDICTIONS, find
from kd_core.errors import RunError


def student_over(run_id: str, baseline: str, metric: str = "accuracy", names: Sequence[str] = ()) -> Verdict:
    """Score of a run's distilled student minus that of the baseline's, text by text; see ``judge``.

    ``metric`` as in ``training.metric``; ``names`` are the classes. Seeds are taken in pairs, those that have
    no partner stay out. Raises: RunError where a folder is not on this machine or damaged, and where the two
    were judged on different texts.
    """
    (texts, mine), (others, theirs) = _answers(run_id), _answers(baseline)
    if not texts.equals(others):
        raise RunError(
            f"{run_id} and {baseline} have different test texts, so their students cannot be compared text "
            "by text. Compare runs of one task with the same split seed."
        )
    seeds = min(len(mine), len(theirs))
    mine, theirs, labels = mine[:seeds], theirs[:seeds], texts["label"].to_numpy()
    if metric == "accuracy":
        return verdict(mine == labels, theirs == labels)
    return f1_verdict(mine, theirs, labels, judged_classes(metric, labels, names))


def students_right(run_id: str) -> tuple[pd.DataFrame, Bools]:
    """The test texts with their labels, and whether each seed's student (S, N) is right. Raises: RunError."""
    texts, answers = _answers(run_id)
    return texts, answers == texts["label"].to_numpy()


def _answers(run_id: str) -> tuple[pd.DataFrame, Ints]:
    """The test texts with their labels, and what each seed's student (S, N) says. Raises: RunError."""
    rows = read_predictions(find(run_id), PREDICTIONS)
    seeds = sorted(
        (name for name in map(str, rows) if name.startswith("student-")),
        key=lambda name: int(name.removeprefix("student-")),
    )
    return rows[["text", "label"]], np.stack([logits(rows, name).argmax(axis=1) for name in seeds])
