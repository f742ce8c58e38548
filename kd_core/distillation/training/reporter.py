"""What a training tells: its steps as events, and pause and stop as the Trainer hears them."""

from __future__ import annotations

import math
import time
from importlib import import_module
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.roles import NAMES
from kd_core.errors import DivergedError, Stopped
from kd_core.models.inference import predict_logits
from kd_core.system import parallel
from kd_core.system.formatting import in_sentence

# Points of a curve: more would only be drawn over each other.
POINTS = 400


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Steps of a ``DistillTrainer`` become events; pause and stop become the Trainer's own flags."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._on_event = trainer, trainer.run.on_event
        self._every = max(1, trainer.recipe.steps // POINTS)
        self._samples, self._since = 0, time.perf_counter()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        trainer, recipe, step = self._trainer, self._trainer.recipe, state.global_step
        if rank := parallel.rank():
            torch.manual_seed(recipe.seed + rank)  # other dropout than the main process's
        if step == 0:
            self._record_replay(0)
            return
        state.best_model_checkpoint = None  # version 0.1's; the weights are in memory now
        looked = any(line["step"] == step and "eval_accuracy" in line for line in state.log_history)
        if not looked and (step % recipe.evaluate_every == 0 or step == recipe.steps):
            trainer._determine_best_metric(trainer.evaluate(), None)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        recipe, run = self._trainer.recipe, self._trainer.run.control
        self._join_parts()
        self._record_replay(state.global_step)
        self._samples += self._trainer.texts * args.world_size
        loss = float(self._trainer.parts["loss"])
        if not math.isfinite(loss):
            flag = "--teacher-learning-rate" if recipe.who == "teacher" else "--learning-rate"
            raise DivergedError(
                f"The loss of the {in_sentence(NAMES[recipe.who])} became {loss} at step "
                f"{state.global_step} of {recipe.steps} with learning rate {recipe.learning_rate:g}; try a "
                f"smaller {flag}."
            )
        if (
            state.global_step == 1
            or state.global_step % self._every == 0
            or state.global_step == recipe.steps
        ):
            self._report(state.global_step, self._trainer.lr_scheduler.get_last_lr()[0])
        if _any_says(parallel.is_main() and (run.paused or self._trainer.checkpoint_is_due), args.device):
            self._trainer.checkpoint()
        if run.paused:
            run.wait()
            self._samples, self._since = 0, time.perf_counter()
        if _any_says(run.stopping, args.device) and state.global_step < recipe.steps:
            run.stop()  # of all processes, after the same step
            self._trainer.checkpoint()
            raise Stopped(f"Stopped at step {state.global_step} of {recipe.steps}.")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        recipe = self._trainer.recipe
        self._on_event(
            Evaluated(
                who=recipe.who,
                seed=recipe.seed,
                step=state.global_step,
                accuracy=metrics["eval_accuracy"],
                loss=metrics["eval_loss"],
                score=metrics[f"eval_{recipe.metric}"],
            )
        )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if "wandb" in args.report_to:  # the only tracker that would go on with the next model
            import_module("wandb").finish()

    def _join_parts(self) -> None:
        """The loss over the joined batch."""
        parts = self._trainer.parts
        if parallel.size() > 1:
            means = parallel.all_reduce_sum(torch.stack(list(parts.values()))) / parallel.size()
            self._trainer.parts = dict(zip(parts, means, strict=True))

    def _record_replay(self, step: int) -> None:
        """Without gradient and dropout, so it draws no random number."""
        trainer, precision = self._trainer, self._trainer.recipe.precision
        if recorder := trainer.recorder:
            recorder.record(step, lambda: predict_logits(trainer.model, recorder.texts, precision=precision))

    def _report(self, step: int, learning_rate: float) -> None:
        recipe = self._trainer.recipe
        parts = {name: float(value) for name, value in self._trainer.parts.items()}
        now = time.perf_counter()
        speed = self._samples / max(now - self._since, 1e-9)
        self._samples, self._since = 0, now
        self._on_event(
            Step(
                who=recipe.who,
                seed=recipe.seed,
                step=step,
                steps=recipe.steps,
                loss=parts["loss"],
                hard=parts["hard"],
                soft=parts["soft"],
                intermediate=parts.get("intermediate", 0.0),
                learning_rate=learning_rate,
                samples_per_second=speed,
            )
        )


def _any_says(yes: bool, device: torch.device) -> bool:
    return bool(parallel.all_reduce_sum(torch.tensor(int(yes), device=device)))
