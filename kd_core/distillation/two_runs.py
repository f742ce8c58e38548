"""The distilled students of two runs on the same test texts. No torch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kd_core.distillation.comparison import Bools, Verdict, verdict
from kd_core.distillation.run_folder import PREDICTIONS, find
from kd_core.errors import RunError


def student_over(run_id: str, baseline: str) -> Verdict:
    """Accuracy of a run's distilled student minus that of the baseline's, text by text; see ``judge``.

    Seeds are taken in pairs, those that have no partner stay out. Raises: RunError where a folder is not on
    this machine or damaged, and where the two were judged on different texts.
    """
    (texts, mine), (others, theirs) = _right(run_id), _right(baseline)
    if not texts.equals(others):
        raise RunError(
            f"{run_id} and {baseline} have different test texts, so their students cannot be compared text "
            "by text. Compare runs of one task with the same split seed."
        )
    seeds = min(len(mine), len(theirs))
    return verdict(mine[:seeds], theirs[:seeds])


def _right(run_id: str) -> tuple[pd.DataFrame, Bools]:
    """The test texts with their labels, and whether each seed's student (S, N) is right."""
    try:
        rows = pd.read_parquet(find(run_id) / PREDICTIONS)
        seeds = sorted(
            (name for name in rows if str(name).startswith("student-")),
            key=lambda name: int(str(name).removeprefix("student-")),
        )
        answers = np.stack([np.stack(rows[name].to_list()).argmax(axis=1) for name in seeds])
    except (OSError, ValueError) as error:
        raise RunError(f"The predictions of {run_id} are missing or damaged: {PREDICTIONS}.") from error
    return rows[["text", "label"]], answers == rows["label"].to_numpy()
