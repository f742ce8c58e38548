"""Short trainings: their weights, gradients and steps, and a clock and a control for them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from kd_core.distillation.events import Step
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.errors import Stopped
from kd_core.system.control import Control
from tests.unit.conftest import tiny_recipe

RECIPE = tiny_recipe()


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def student(report, name: str = "student-0") -> dict[str, torch.Tensor]:
    """The weights of a student that a run has left."""
    return load_file(Path(report.folder) / "students" / name / "model.safetensors")


def steps(events: list, who: str = "student") -> list[Step]:
    return [event for event in events if isinstance(event, Step) and event.who == who]


class Gradients(TrainerCallback):
    """Each step's gradients, as the optimizer gets them."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model, **_):
        named = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
        self.steps.append({name: gradient.clone() for name, gradient in named})


def train_it(trainer) -> DistillTrainer:
    train(trainer)
    return trainer


def stopped(start, reached, match: str = "^Stopped") -> list:
    """The events of ``start(on_event, control)``, which is stopped when ``reached(event)``."""
    events, control = [], Control()

    def on_event(event) -> None:
        events.append(event)
        if reached(event):
            control.stop()

    with pytest.raises(Stopped, match=match):
        start(on_event, control)
    return events


def at_step(step: int, who: str = "student"):
    return lambda event: isinstance(event, Step) and (event.who, event.step) == (who, step)


class Clock:
    """A clock that its user turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


class WatchedControl(Control):
    """Says when somebody waits in it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked = threading.Event()

    def wait(self) -> None:
        if self.paused:
            self.blocked.set()
        super().wait()
