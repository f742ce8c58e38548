"""Search: which temperature, alpha, ... to take, by cross-validation on the training data.

What pages and the command use; only ``run_search`` and ``outlook`` load torch, when they are called::

    SearchConfig(distill=..., temperatures=(1, 2, 4, 8), alphas=(0.1, 0.3), folds=3, method="grid", ...)
        .from_dict({...}) raises ConfigError with all .problems; .settings, .cells, .trainings: how many
        .apply(setting): the DistillConfig of a cell
    outlook(config, task, vocabulary, past, calibrated) -> Outlook    trainings and seconds, before the start
    runner().submit(config, name, kind="search")    the job: progress, stop and resume as of a run
    row.study               the study that a job in the store works on
    result(study)           -> SearchResult, while it goes on and afterwards; the job's report is the same
        .cells[i]: state, setting, scores, mean, se, from_best, same_as_best; .alone, .teacher
        .best, .choice: places in cells; .chosen(i): the config of cell i, for the Distill form
        .trainings_done of .trainings; .run_id: the run of the choice on all training data
    cells_study(study)      Optuna's own study, for optuna.visualization
    run_search(config, study, work, on_event, control)    work on it until all cells are done
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kd_core.distillation.events import ignore
from kd_core.search.config import SearchConfig, Setting
from kd_core.search.estimate import Outlook, outlook
from kd_core.search.results import (
    Cell,
    Difference,
    Score,
    SearchResult,
    cells_study,
    link,
    result,
)

if TYPE_CHECKING:
    from pathlib import Path

    from kd_core.distillation.events import OnEvent
    from kd_core.system.control import Control

__all__ = [
    "Cell",
    "Difference",
    "Outlook",
    "Score",
    "SearchConfig",
    "SearchResult",
    "Setting",
    "cells_study",
    "link",
    "outlook",
    "result",
    "run_search",
]


def run_search(
    config: SearchConfig, study: str, work: Path, on_event: OnEvent = ignore, control: Control | None = None
) -> SearchResult:
    """See ``kd_core.search.worker``, which loads torch."""
    from kd_core.search import worker

    return worker.run_search(config, study, work, on_event, control)
