"""A search of the store whose scores are made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kd_core.errors import Stopped
from kd_core.jobs.store import Store
from kd_core.search import SearchConfig, Setting
from kd_core.search import trials as boards
from kd_core.system.control import Control

JOB = "20260131-143000-a1b2"


def searched(
    store: Store,
    status: Any = "done",
    *,
    study: str = "s",
    job: str = JOB,
    trainings: int = 99,
    alone_gains: Mapping[Any, float] = {},
    **changes: Any,
) -> SearchConfig:
    """A search whose scores are made up: T 4 is better than T 1, alpha 0.5 not told from 0.9.

    ``alone_gains``: what a student alone has more, by its learning rate.
    """
    config = SearchConfig.from_dict(
        {"study": study, "temperatures": (1, 4), "alphas": (0.5, 0.9), "folds": 3, **changes}
    )
    control, left = Control(), trainings

    def measure(setting: Setting, alone: bool, fold: int, seed: int) -> dict[str, Any]:
        nonlocal left
        if left == 0:
            control.stop()
            control.check()
        left -= 1
        accuracy = 0.8 + fold / 100
        if alone:
            accuracy += alone_gains.get(setting.learning_rate, 0.0)
        else:
            accuracy += setting.temperature / 100 + (0, 0.004, -0.002)[fold] * (setting.alpha > 0.7)
        return {"accuracy": accuracy, "seconds": 2.0, "params": 10, "teacher_texts": 100}

    with boards.connected() as storage:
        board = boards.begin(storage, study, config, {})
        try:
            boards.work(board, config, measure, lambda: None, control)
        except Stopped:
            assert trainings < config.trainings
    store.create_run(job, config.model_dump(mode="json"), kind="search", name="" if study == job else study)
    store.set_status(job, status)
    return config
