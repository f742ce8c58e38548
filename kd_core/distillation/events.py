"""What a run reports while it works.

Events are frozen dataclasses handed to a callback on the thread that trains. A callback should only
append to a queue; anything slow there slows the training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kd_core.distillation.roles import Role

Stage = Literal["teach", "record", "distil", "validate"]
STAGES: tuple[Stage, ...] = get_args(Stage)
NOT_NEEDED = "Teaching is not needed: the teacher is a file, whose answers are there already."


@dataclass(frozen=True)
class Estimated:
    """The estimate before the start: seconds of each stage, and the work they were computed from."""

    seconds: dict[str, float]
    work: dict[str, float]


@dataclass(frozen=True)
class Resolved:
    """What the run does, now that it has read its task: ``config`` has no ``auto`` left.

    ``rows`` is ``Task.rows``, ``tokens`` are about those in a text of "train" and of "transfer".
    """

    config: dict[str, Any]
    classes: int
    rows: dict[str, int]
    tokens: dict[str, float]


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

    who: Role
    seed: int
    steps: int
    cached: bool = False


TEXTS_SCORED = "texts scored by the teacher"  # label of a Progress while it validates


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

    who: Role
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

    who: Role
    seed: int
    step: int
    accuracy: float
    loss: float
    score: float | None = None  # by ``training.metric``, which decides; older versions told of accuracy alone


@dataclass(frozen=True)
class Checkpointed:
    who: Role
    seed: int
    step: int
    path: str


@dataclass(frozen=True)
class Note:
    """A sentence that whoever watches the run should read."""

    text: str


@dataclass(frozen=True)
class Finished:
    run_id: str


@dataclass(frozen=True)
class Failed:
    error: str


Event = (
    Estimated
    | Resolved
    | StageStarted
    | StageFinished
    | TrainingStarted
    | Progress
    | Step
    | Evaluated
    | Checkpointed
    | Note
    | Finished
    | Failed
)
OnEvent = Callable[[Event], None]
EVENT_TYPES: dict[str, Callable[..., Event]] = {kind.__name__: kind for kind in get_args(Event)}


def ignore(event: Event) -> None:
    """The callback of a caller who needs no events."""


# The four steps, as a person reads them; the third is spelled like the command and the page.
STEP_NAMES: dict[Stage, str] = {
    stage: f"{number} {'Distill' if stage == 'distil' else stage.capitalize()}"
    for number, stage in enumerate(STAGES, start=1)
}
STEP_SENTENCES: dict[Stage, str] = {
    "teach": "A large model, the teacher, learns the task from labelled texts.",
    "record": "The teacher reads every text once, and its probabilities are kept.",
    "distil": "A small student learns from the labels and from those probabilities; its control, from labels "
    "alone.",
    "validate": "Teacher, student and the same student trained alone are compared on texts none has seen.",
}
