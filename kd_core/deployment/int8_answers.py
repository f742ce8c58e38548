"""What a run's student answers in int8 to its validation and test texts, and how fast: measured once.

Its time is taken in turns with the teacher's, text by text: a time of another sitting, when the machine had
more or less to do, would say nothing about the pair.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kd_core.distillation.events import OnEvent, Progress, ignore
from kd_core.distillation.metrics import Latency
from kd_core.distillation.predictions import read_predictions
from kd_core.distillation.roles import Role
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION, find
from kd_core.errors import RunError
from kd_core.system import cache
from kd_core.system.atomic import fetch, is_whole
from kd_core.system.control import Control

SPEED, TIMED_TEXTS = "latency.json", 100
IN_INT8 = "asking the student in int8"


def measure(run_id: str, on_event: OnEvent = ignore, control: Control | None = None) -> None:
    """Convert the student, unless that was done before, ask it, and time it beside its teacher.

    ``on_event`` hears how many texts it has answered. A teacher that is a file, or is gone, is not timed.
    Raises: RunError, ModelError; Stopped.
    """
    from kd_core.deployment.forms import open_form, time_in_turns

    run = find(run_id)

    def make(folder: Path) -> None:
        form = open_form(run_id, "student", "int8", threads=1)
        texts = {
            file: read_predictions(run, file, "text")["text"].to_list() for file in (VALIDATION, PREDICTIONS)
        }
        before, total = 0, sum(map(len, texts.values()))

        def tell(done: int) -> None:
            on_event(Progress(None, IN_INT8, before + done, total))

        for file, some in texts.items():
            np.save(folder / f"{file}.npy", form.predict(some, None, control, tell), allow_pickle=False)
            before += len(some)
        forms, timed = {"student": form}, texts[PREDICTIONS][:TIMED_TEXTS]
        with suppress(RunError):
            forms["teacher"] = open_form(run_id, "teacher", "pytorch", threads=1)
        times = time_in_turns(forms, timed, control)
        (folder / SPEED).write_text(json.dumps({who: asdict(time) for who, time in times.items()}))

    fetch(_place(run_id), make)


def measured(run_id: str) -> bool:
    return is_whole(_place(run_id))


def logits(run_id: str, file: str) -> NDArray[np.float32]:
    """(texts, classes) of the run's ``file``. Raises: RunError where they were not measured."""
    if not measured(run_id):
        raise RunError(f"The student of run {run_id} was not measured in int8: kd cascade {run_id} --int8.")
    found: NDArray[np.float32] = np.load(_place(run_id) / f"{file}.npy", allow_pickle=False)
    return found


def speed(run_id: str) -> dict[Role, Latency]:
    """ "student" in int8 and, where it could be asked, "teacher": one text at a time on one core, in turns.

    Empty where they were not measured.
    """
    if not measured(run_id):
        return {}
    times = json.loads((_place(run_id) / SPEED).read_text())
    return {who: Latency(**time) for who, time in times.items()}


def _place(run_id: str) -> Path:
    return cache.place("int8-answers", run=run_id, timed="in turns")
