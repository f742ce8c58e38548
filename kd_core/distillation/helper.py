"""``python -m kd_core.distillation.helper WORK``: trains students of the run in the folder ``WORK``.

Started by ``side_by_side``, which hears what it prints: events, and which students are done.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from filelock import Timeout

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.data.spans import augmented
from kd_core.distillation import run_folder
from kd_core.distillation.distil import students_of, train_student
from kd_core.distillation.events import Checkpointed, Evaluated, Event, Step, TrainingStarted, ignore
from kd_core.distillation.record import record
from kd_core.distillation.run import Run
from kd_core.distillation.side_by_side import DONE, lock_of
from kd_core.distillation.teach import teach
from kd_core.distillation.training.batches import model_name
from kd_core.errors import Stopped
from kd_core.models.loading import load_teacher
from kd_core.system.helpers import parent_control

OUT = sys.stdout


class EventWriter:
    """Says what happens to the students that are trained here; the run itself tells of all others."""

    def __init__(self) -> None:
        self.trained: set[str] = set()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, TrainingStarted | Step | Evaluated | Checkpointed):
            return
        name = model_name(event.who, event.seed)
        if isinstance(event, TrainingStarted) and not event.cached:
            self.trained.add(name)
        if name in self.trained:
            write_line(type(event).__name__, asdict(event))


def write_line(kind: str, content: object) -> None:
    OUT.write(json.dumps({"kind": kind, "content": content}) + "\n")
    OUT.flush()


def main(work: Path) -> None:
    """The last student first, of those that nobody else has."""
    control, writer = parent_control(), EventWriter()
    asked = DistillConfig.from_yaml((work / run_folder.CONFIG).read_text(encoding="utf-8"))
    config = DistillConfig.from_yaml((work / run_folder.RESOLVED).read_text(encoding="utf-8"))
    task = augmented(load_task(asked.task), asked.task)
    model, tokenizer = load_teacher(asked.teacher, task)
    run = Run(task, config, work, ignore, control)
    teacher, _ = teach(run, model, tokenizer)  # both are there already
    knowledge, _ = record(run, teacher)
    run = replace(run, on_event=writer)
    for name, (variant, seed) in reversed(students_of(run).items()):
        lock = lock_of(work, name)
        with suppress(Timeout), lock.acquire(timeout=0):
            train_student(run, variant, seed, teacher, knowledge)
            if name in writer.trained:
                write_line(DONE, name)


if __name__ == "__main__":
    sys.stdout = sys.stderr  # what a library prints is no event
    with suppress(Stopped):
        main(Path(sys.argv[1]))
