"""What a run's student answers in int8 to its validation and test texts, and how fast: measured once."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.distillation.metrics import Latency
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION, find
from kd_core.errors import RunError
from kd_core.system import cache
from kd_core.system.atomic import fetch, is_whole

SPEED, TIMED_TEXTS = "latency.json", 100


def measure(run_id: str) -> None:
    """Convert the student, unless that was done before, and ask it; some seconds.

    Raises: RunError, ModelError.
    """
    from kd_core.deployment.forms import open_form
    from kd_core.distillation.latency import latency

    run = find(run_id)

    def make(folder: Path) -> None:
        form = open_form(run_id, "student", "int8", threads=1)
        for file in (VALIDATION, PREDICTIONS):
            try:
                texts = pd.read_parquet(run / file, columns=["text"])["text"].to_list()
            except (OSError, ValueError) as error:
                raise RunError(f"Run {run_id} has not kept the texts of {file}; repeat it.") from error
            np.save(folder / f"{file}.npy", form.predict(texts), allow_pickle=False)
        texts = texts[:TIMED_TEXTS]
        tokens = [len(ids) for ids in form.encode(texts)]
        times = latency({"int8": form.answer}, texts, {"int8": tokens}, repeats=len(texts))
        (folder / SPEED).write_text(json.dumps(asdict(times["int8"])))

    fetch(_place(run_id), make)


def measured(run_id: str) -> bool:
    return is_whole(_place(run_id))


def logits(run_id: str, file: str) -> NDArray[np.float32]:
    """(texts, classes) of the run's ``file``. Raises: RunError where they were not measured."""
    if not measured(run_id):
        raise RunError(f"The student of run {run_id} was not measured in int8: kd cascade {run_id} --int8.")
    found: NDArray[np.float32] = np.load(_place(run_id) / f"{file}.npy", allow_pickle=False)
    return found


def speed(run_id: str) -> Latency | None:
    """One text at a time on one core; None where it was not measured."""
    if not measured(run_id):
        return None
    return Latency(**json.loads((_place(run_id) / SPEED).read_text()))


def _place(run_id: str) -> Path:
    return cache.place("int8-answers", run=run_id)
