"""A job that goes one step at a time, and the status that its run is to have."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kd_core.config import DistillConfig
from kd_core.distillation.events import OnEvent, StageStarted, Step
from kd_core.jobs.store import RunRow, Store
from kd_core.system.control import Control

CONFIG = DistillConfig()
RUN = "20260131-143000-a1b2"


class Steps:
    """A handler that goes one step at a time, when the test says so; ``finish`` lets it run to its end."""

    def __init__(self, steps: int = 3) -> None:
        self.steps = steps
        self.go = threading.Semaphore(0)
        self.seen: list[str] = []

    def __call__(self, row: RunRow, on_event: OnEvent, control: Control) -> None:
        self.seen.append(row.id)
        on_event(StageStarted("teach"))
        for step in range(1, self.steps + 1):
            while not self.go.acquire(timeout=0.02):
                control.check()
            control.check()
            on_event(Step("teacher", 0, step, self.steps, 1 / step, 0.0, 0.0, 0.0, 1e-3, 100.0))

    def finish(self) -> None:
        self.go.release(1000)


def is_(store: Store, run_id: str, status: str) -> Callable[[], bool]:
    return lambda: store.run(run_id).status == status
