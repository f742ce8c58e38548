"""What a run reports while it works, and how it is told to pause or stop.

Events are frozen dataclasses handed to a callback on the thread that trains. A callback should only
append to a queue; anything slow there slows the training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kd_core.errors import Stopped

Stage = Literal["teach", "record", "distil", "validate"]
STAGES: tuple[Stage, ...] = ("teach", "record", "distil", "validate")

# Who is trained or measured. "student" is the distilled one.
Who = Literal["teacher", "alone", "labelled_only", "student"]


@dataclass(frozen=True)
class Estimated:
    """What was said before the start: seconds of each stage, and the work they were computed from."""

    seconds: dict[str, float]
    work: dict[str, float]


@dataclass(frozen=True)
class StageStarted:
    stage: Stage


@dataclass(frozen=True)
class StageFinished:
    stage: Stage
    seconds: float
    cached: bool = False  # nothing was computed: the result was there already


@dataclass(frozen=True)
class TrainingStarted:
    """One model's training begins (or is skipped, when ``cached``)."""

    who: Who
    seed: int
    steps: int
    cached: bool = False


@dataclass(frozen=True)
class Progress:
    """What is not counted in optimisation steps: texts recorded, models measured.

    ``stage`` is None in a job that has not the four steps: a benchmark, an export, a search.
    """

    stage: Stage | None
    label: str
    done: int
    total: int


@dataclass(frozen=True)
class Step:
    """One optimisation step. Losses are means over its rows; ``soft`` includes the T² factor."""

    who: Who
    seed: int
    step: int
    steps: int
    loss: float
    hard: float
    soft: float
    intermediate: float
    learning_rate: float
    samples_per_second: float


@dataclass(frozen=True)
class Evaluated:
    """The model at ``step`` on the validation split."""

    who: Who
    seed: int
    step: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Checkpointed:
    who: Who
    seed: int
    step: int
    path: str


@dataclass(frozen=True)
class Finished:
    run_id: str


@dataclass(frozen=True)
class Failed:
    error: str


Event = (
    Estimated
    | StageStarted
    | StageFinished
    | TrainingStarted
    | Progress
    | Step
    | Evaluated
    | Checkpointed
    | Finished
    | Failed
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The callback of a caller who does not listen."""


class Control:
    """Pause, resume and stop, from any thread.

    The run looks at it once a step (once a batch while evaluating).
    """

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()

    def pause(self) -> None:
        self._go.clear()
        if self.stopping:  # looked at after the pause, so that it cannot hold up a stop that comes between
            self._go.set()

    def resume(self) -> None:
        self._go.set()

    def stop(self) -> None:
        self._stop.set()
        self._go.set()  # a paused run has to wake up to stop

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def wait(self) -> None:
        """Block while paused."""
        self._go.wait()

    def check(self) -> None:
        """Block while paused; raise ``Stopped`` once ``stop`` was called."""
        self.wait()
        if self.stopping:
            raise Stopped("Stopped on request.")
