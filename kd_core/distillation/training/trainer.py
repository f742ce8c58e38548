"""The one training loop: a small subclass of ``transformers.Trainer`` for teacher and students alike.

It adds the objective, batches that depend on the seed and the step alone, checkpoints by time, and a callback
that turns steps into events and obeys pause and stop. Everything else (optimizer, schedule, clipping, mixed
precision, what a checkpoint holds) is the Trainer's.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerControl,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from kd_core.distillation.balance import class_weights, score
from kd_core.distillation.events import Checkpointed
from kd_core.distillation.run import TENSORBOARD, Run
from kd_core.distillation.training import losses
from kd_core.distillation.training.batches import Recipe, StepBatches
from kd_core.distillation.training.intermediate import IntermediateTerms
from kd_core.distillation.training.replay import ReplayRecorder
from kd_core.distillation.training.reporter import POINTS, Reporter
from kd_core.errors import Stopped
from kd_core.models.inference import collate, predict_logits
from kd_core.system import parallel
from kd_core.system.atomic import is_whole, seal
from kd_core.system.settings import fixed

# What a killed training loses at most, but for the time of a step or an evaluation.
SECONDS_BETWEEN_CHECKPOINTS = 30.0
WORTH_A_CALL = 256  # tokens of padding: with fewer saved, a second call of the model would cost more
BEST = "best.safetensors"  # in a checkpoint: the weights that were best on validation until then

# For the trackers, unless somebody says otherwise: they tell their makers nothing about their use.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "GRADIO_ANALYTICS_ENABLED": "False",  # trackio's
    "WANDB_PROJECT": "kd-studio",  # not "huggingface"
}


class DistillTrainer(Trainer):  # type: ignore[misc]
    """``Trainer`` with the objective ``alpha * hard + (1 - alpha) * soft + intermediate``."""

    def __init__(
        self,
        model: PreTrainedModel,
        recipe: Recipe,
        run: Run,
        *,
        train: Dataset,
        validation: Dataset,
        terms: IntermediateTerms | None = None,
        recorder: ReplayRecorder | None = None,
        resumable: bool = True,
    ) -> None:
        """``train`` has ``run.task.train``, then transfer rows; checkpoints go into ``run.work``."""
        self.recipe = recipe
        self.recorder = recorder
        self.run = run
        self.parts: dict[str, torch.Tensor] = {}
        self.best: dict[str, torch.Tensor] = {}
        self.resumable = resumable
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._terms = terms
        super().__init__(
            model=model,
            args=_arguments(recipe, run),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=partial(collate, pad_token_id=model.config.pad_token_id or 0),
            callbacks=[Reporter(self)],
        )
        task = run.task
        weights = class_weights(recipe.objective.class_weights, task.labels, task.train["label"][:])
        self._weights = None if weights is None else torch.tensor(weights, device=self.args.device).float()
        self.remove_callback(PrinterCallback)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
                # Its own is among the checkpoints, which go.
                callback.logging_dir = str(run.work / TENSORBOARD / recipe.name)
        # Our loss is a mean over rows; without this the Trainer would divide by a count of its own.
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> DataLoader[Any]:
        lengths = [len(ids) for ids in self.train_dataset["input_ids"]]
        batches = StepBatches(lengths, len(self.run.task.train), self.recipe)
        loader = DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)
        # Not accelerator.prepare: the batches are divided already.
        return prepare_data_loader(  # type: ignore[no-any-return]
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        objective = self.recipe.objective
        texts = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        if self._terms:
            outputs = model(**texts, **self._terms.wanted_outputs)
            logits = outputs.logits
        else:
            groups = _row_groups(texts["attention_mask"], inputs["labels"])
            logits = _logits(model, texts, groups)
        weights = _ProcessWeights(inputs)
        hard = weights.labelled * losses.hard_loss(logits, inputs["labels"], self._weights)
        soft = torch.zeros_like(hard)
        if objective.alpha < 1:
            soft = weights.rows * losses.soft_loss(
                logits,
                inputs["teacher_logits"],
                divergence=objective.divergence,
                temperature=fixed(objective.temperature),
                t_squared=objective.t_squared,
                labels=inputs["labels"],
                **objective.own_settings,
            )
        loss = losses.objective(hard, soft, objective.alpha)
        self.texts = len(inputs["labels"])  # of this step and process; a pass's last batch is short
        self.parts = {"hard": hard.detach(), "soft": soft.detach()}
        if self._terms:
            inner = weights.tokens * self._terms(outputs, texts)
            self.parts["intermediate"] = inner.detach()
            loss = loss + inner
        self.parts["loss"] = loss.detach()
        return (loss, {"logits": logits}) if return_outputs else loss

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: nobody reads it, and the Trainer would count the parameters in each step."""
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Trackers get the parts of the loss too, all of this step and not of the steps until it."""
        if self.args.report_to and "loss" in logs:
            logs |= {name: float(value) for name, value in self.parts.items()}
        super().log(logs, start_time)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Accuracy, cross-entropy and what the recipe is judged by, on the validation split.

        Stops between two batches when asked to.
        """
        try:
            logits = predict_logits(
                self.model, self.eval_dataset, precision=self.recipe.precision, control=self.run.control
            )
        except Stopped:
            self.checkpoint()
            raise
        labels = torch.tensor(self.eval_dataset["label"][:])
        loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), labels)
        answers = logits.argmax(axis=1)
        by = dict.fromkeys(("accuracy", self.recipe.metric))
        metrics = {f"eval_{name}": score(name, answers, labels, self.run.task.labels) for name in by}
        metrics["eval_loss"] = float(loss)
        self.log(dict(metrics))
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        better = super()._determine_best_metric(metrics, trial)
        if better or self.recipe.keep_last:
            self.best = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        return bool(better)

    @property
    def checkpoint_is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= SECONDS_BETWEEN_CHECKPOINTS

    def checkpoint(self) -> None:
        """Keep all it takes to go on after this step; its evaluation may be left to do.

        The one before is kept, too: one that is whole is always there.
        """
        step, folder = self.state.global_step, Path(self.args.output_dir)
        if not self.resumable or step == self._saved_step:
            return

        def still_ours() -> None:
            with self.run.control.fence():
                pass

        parallel.on_main_process(still_ours)
        self._save_checkpoint(self.model, None)

        def finish() -> None:
            latest, *older = _checkpoints(folder)
            if self.best:
                save_file(self.best, latest / BEST)
            if self.recorder:
                self.recorder.save(latest)
            still_ours()  # what another process writes there meanwhile is not to get our manifest
            seal(latest)
            for path in older[1:]:
                shutil.rmtree(path)

        parallel.wait()  # each process has written its random state
        parallel.on_main_process(finish)
        self._saved_at, self._saved_step = time.monotonic(), step
        self.run.on_event(
            Checkpointed(self.recipe.who, self.recipe.seed, step, str(folder / f"checkpoint-{step}"))
        )

    def load_checkpoint(self, folder: Path) -> None:
        """What the Trainer itself does not load."""
        best = _best(folder)
        if best.is_file():
            self.best = load_file(best)
        if self.recorder:
            self.recorder.load(folder)


def _logits(
    model: PreTrainedModel, texts: dict[str, torch.Tensor], groups: list[torch.Tensor]
) -> torch.Tensor:
    """Of all rows in their order (B, classes), each of the ``groups`` of rows by a call of its own."""
    if len(groups) == 1:
        logits: torch.Tensor = model(**texts).logits
        return logits
    found = []
    for rows in groups:
        width = int(texts["attention_mask"][rows].sum(dim=1).max())
        found.append(model(**{name: tensor[rows, :width] for name, tensor in texts.items()}).logits)
    return torch.cat(found)[torch.cat(groups).argsort()]


def _row_groups(mask: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """The rows of a batch as they go through the model, each group as wide as its own longest text.

    Labelled rows and transfer rows, which are longer as a rule, and of both those apart that are not half as
    long as the longest, where that saves enough padding. A GPU gets the batch whole, for there the number of
    calls decides; and so do several processes, for at each call they wait for each other, and some may have
    rows of one kind only.
    """
    rows = torch.arange(len(mask), device=mask.device)
    if mask.device.type != "cpu" or parallel.size() > 1:
        return [rows]
    lengths, known = mask.sum(dim=1), labels != losses.UNLABELLED
    groups = []
    for rest in (rows[known], rows[~known]):
        while len(rest):
            own, longest = lengths[rest], lengths[rest].max()
            short = 2 * own <= longest
            if short.any() and (longest - own[short].max()) * short.sum() < WORTH_A_CALL:
                short[:] = False
            groups.append(rest[~short])
            rest = rest[short]
    return groups


class _ProcessWeights:
    """Weights of a process's means, so that the processes' average is the mean over the joined batch.

    Means over labelled rows, over rows, and over tokens; all 1 for a single process.
    """

    def __init__(self, inputs: dict[str, torch.Tensor]) -> None:
        self.labelled = self.rows = self.tokens = torch.ones(())
        if parallel.size() > 1:
            labels, mask = inputs["labels"], inputs["attention_mask"]
            known = (labels != losses.UNLABELLED).sum()
            here = torch.stack([known, mask.new_tensor(len(mask)), mask.sum()])
            there = parallel.all_reduce_sum(here.clone()).clamp(min=1)
            self.labelled, self.rows, self.tokens = parallel.size() * here / there


def train(trainer: DistillTrainer) -> PreTrainedModel:
    """Run the recipe, from its last whole checkpoint if there is one.

    The model ends with the weights that were best on validation, or with the last where the recipe keeps
    these; the checkpoints are removed.
    Raises: Stopped (a checkpoint of the last step is kept), DivergedError.
    """
    folder = Path(trainer.args.output_dir)
    start = last_checkpoint(folder)
    if start:
        trainer.load_checkpoint(start)
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    except Exception:  # it ended badly, but it ended: trackers close what they have open
        trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
        raise
    trainer.model.load_state_dict(trainer.best)
    for name in ("forward", "_original_forward"):  # accelerate's, which would go on to compute in bfloat16
        trainer.model.__dict__.pop(name, None)
    parallel.on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))  # none, where it was quick
    trainer.model.eval()
    return trainer.model


def last_checkpoint(folder: Path) -> Path | None:
    """From which a training in ``folder`` goes on; None where it begins."""
    found: Path | None = parallel.on_main_process(
        lambda: next((path for path in _checkpoints(folder) if _usable(path)), None)
    )
    return found


def _usable(checkpoint: Path) -> bool:
    """Whether it is whole, and so are the best weights until then."""
    return is_whole(checkpoint) and is_whole(_best(checkpoint).parent)


def _best(checkpoint: Path) -> Path:
    """Its best weights until then; those of version 0.1 lie in another checkpoint."""
    other = json.loads((checkpoint / TRAINER_STATE_NAME).read_text())["best_model_checkpoint"]
    # By its name alone: the data folder may have been moved meanwhile.
    return checkpoint.parent / Path(other).name / SAFE_WEIGHTS_NAME if other else checkpoint / BEST


def _checkpoints(folder: Path) -> list[Path]:
    """Latest first."""
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)


def _arguments(recipe: Recipe, run: Run) -> TrainingArguments:
    trackers = run.config.training.report_to
    if trackers:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    arguments = TrainingArguments(
        output_dir=str(run.work / recipe.name),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        eval_strategy="steps",
        eval_steps=recipe.evaluate_every,
        save_strategy="no",  # but by time
        metric_for_best_model=recipe.metric,
        greater_is_better=True,
        logging_steps=max(1, recipe.steps // POINTS),
        logging_nan_inf_filter=False,  # we stop at a NaN instead of hiding it
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,  # none is; projections act outside of the model, where it would err
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to=list(trackers) or "none",
        run_name=f"{run.work.name} {recipe.name}",
        project="kd-studio",  # trackio's
        disable_tqdm=True,
    )
    # Of several GPUs the first: the Trainer would cut each batch for DataParallel, whose copies of the model
    # the intermediate terms do not see. For all of them there is a process each (docs/scaling.md).
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
