"""The students of a run that are so small that a second core does little for one: one on each core.

The run's own process takes them in their order, helpers from the last one on. A lock beside its checkpoints
says who has a student. What a helper has trained is in its place when the run comes to it; where a helper
ended early, the run goes on from its checkpoint. Whoever trains a student, on one core its bits are the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock

from kd_core.config import DistillConfig
from kd_core.distillation.events import EVENT_TYPES, Event, Note
from kd_core.models.presets import STUDENTS, find_preset
from kd_core.system.container import available_memory, cores
from kd_core.system.helpers import helpers, with_threads
from kd_core.system.process import holding
from kd_core.system.settings import fixed

if TYPE_CHECKING:
    from kd_core.distillation.run import Run

NARROW = 128  # hidden size of a transformer that two cores do not train twice as fast
MANY_STEPS = 800  # of a student: a helper needs ten seconds before its first one
MEMORY = 1e9  # bytes of a helper: torch, the teacher and a student
DONE = "done"

T = TypeVar("T")


def on_one_core(config: DistillConfig, students: int) -> bool:
    """Whether each of so many students of the resolved ``config`` is trained on one core.

    No matter whether a helper comes: a student's bits depend on the number of cores that train it.
    """
    preset = find_preset(config.student.model, STUDENTS)
    narrow = config.student.hidden <= NARROW and not (preset and preset.network)
    return narrow and students > 1 and fixed(config.training.steps) >= MANY_STEPS


def at_once(config: DistillConfig, students: int) -> int:
    """How many of so many students are trained at once, where memory allows and there is no GPU."""
    if not on_one_core(config, students):
        return 1
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # "4,2": of the outer level, the inner
    return max(1, min(students, int(wished) if wished.isdigit() else len(cores())))


@dataclass
class StudentPool:
    """Trains a run's students, some of them in helper processes."""

    run: Run
    shared: bool = False  # somebody else may train a student, be it a helper that a killed process left
    done: set[str] = field(default_factory=set)  # by helpers
    _telling: Lock = field(default_factory=Lock)

    def on_event(self, event: Event) -> None:
        """From any thread, one at a time."""
        with self._telling:
            self.run.on_event(event)

    def on_line(self, line: str) -> None:
        """What a helper says: an event, or that a student is done."""
        try:
            said = json.loads(line)
        except ValueError:  # it was ended in the middle of a line
            return
        kind, content = said["kind"], said["content"]
        if kind == DONE:
            self.done.add(content)
        else:
            self.on_event(EVENT_TYPES[kind](**content))

    def train(self, name: str, train: Callable[[Run], T]) -> T:
        """``train(run)``, once nobody else has that student. Raises: Stopped."""
        if not self.shared:
            return train(self.run)
        with holding(lock_of(self.run.work, name), self.run.control):
            quiet = name in self.done  # what it did has been told
            return train(replace(self.run, on_event=self._notes if quiet else self.on_event))

    def _notes(self, event: Event) -> None:
        if isinstance(event, Note):
            self.on_event(event)


@contextmanager
def student_pool(run: Run, students: int) -> Iterator[StudentPool]:
    """Meanwhile students are trained on one core each, where that is quickest, and helpers train some."""
    import torch

    from kd_core.system import parallel

    alone = parallel.size() > 1 or torch.cuda.is_available()
    wanted = 1 if alone else min(at_once(run.config, students), torch.get_num_threads())
    others = min(wanted - 1, int(available_memory() / MEMORY))
    pool = StudentPool(run, shared=wanted > 1)
    with ExitStack() as stack:
        if others > 0:
            command = ("kd_core.distillation.helper", str(run.work.absolute()))
            stack.enter_context(
                helpers(
                    [command] * others,
                    run.work,
                    threads=1,
                    control=run.control,
                    on_line=pool.on_line,
                    abandoned=True,
                )
            )
        if on_one_core(run.config, students) and not alone:
            stack.enter_context(with_threads(1))
        yield pool


def lock_of(work: Path, name: str) -> FileLock:
    return FileLock(work / f"{name}.lock")
