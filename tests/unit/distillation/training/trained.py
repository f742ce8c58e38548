"""A short training: its recipe, its weights and gradients, and a clock and a control for it."""

from __future__ import annotations

import threading

import torch
from transformers import TrainerCallback

from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.system.control import Control
from tests.unit.conftest import tiny_recipe

RECIPE = tiny_recipe()


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


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


class Clock:
    """A clock by which each step takes ten seconds."""

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
