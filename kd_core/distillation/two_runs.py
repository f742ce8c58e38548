"""The distilled students of two runs on the same test texts. No torch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kd_core.distillation.comparison import Bools, Verdict, verdict
from kd_core.distillation.predictions import logits, read_predictions
from kd_core.distillation.run_folder import PREDICTIONS, find
from kd_core.errors import RunError


def student_over(run_id: str, baseline: str) -> Verdict:
    """Accuracy of a run's distilled student minus that of the baseline's, text by text; see ``judge``.

    Seeds are taken in pairs, those that have no partner stay out. Raises: RunError where a folder is not on
    this machine or damaged, and where the two were judged on different texts.
    """
    (texts, mine), (others, theirs) = students_right(run_id), students_right(baseline)
    if not texts.equals(others):
        raise RunError(
            f"{run_id} and {baseline} have different test texts, so their students cannot be compared text "
            "by text. Compare runs of one task with the same split seed."
        )
    seeds = min(len(mine), len(theirs))
    return verdict(mine[:seeds], theirs[:seeds])


def students_right(run_id: str) -> tuple[pd.DataFrame, Bools]:
    """The test texts with their labels, and whether each seed's student (S, N) is right. Raises: RunError."""
    rows = read_predictions(find(run_id), PREDICTIONS)
    seeds = sorted(
        (name for name in map(str, rows) if name.startswith("student-")),
        key=lambda name: int(name.removeprefix("student-")),
    )
    answers = np.stack([logits(rows, name).argmax(axis=1) for name in seeds])
    return rows[["text", "label"]], answers == rows["label"].to_numpy()
