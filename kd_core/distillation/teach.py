"""Step 1: fine-tune the teacher on the task, or take it from the cache."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors.torch import load_model
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import fixed
from kd_core.data.task import content_hash
from kd_core.distillation.events import TrainingStarted
from kd_core.distillation.run import Run, Trained, keep_history, tell_history
from kd_core.distillation.training.batches import Recipe
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.models.inference import device, encode
from kd_core.models.loading import model_hash
from kd_core.system import parallel


def teach(run: Run, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> tuple[Trained, bool]:
    """Train ``model`` in place to the weights that are best on validation; True if they were cached.

    Raises: Stopped, DivergedError.
    """
    task, settings = run.task, run.config.teacher
    epoch = math.ceil(len(task.train) / settings.batch_size)
    recipe = Recipe(
        who="teacher",
        seed=settings.seed,
        steps=epoch * fixed(settings.epochs),
        batch_size=settings.batch_size,
        learning_rate=fixed(settings.learning_rate),
        evaluate_every=epoch,
        precision=run.precision,
    )
    place = run.place(
        "teachers",
        start=model_hash(model, tokenizer),
        texts=[content_hash(task.train), content_hash(task.validation)],
        recipe=repr(recipe),
        freeze_embeddings=settings.freeze_embeddings,
        max_length=run.max_length,
    )

    def make(folder: Path) -> None:
        run.on_event(TrainingStarted("teacher", settings.seed, recipe.steps))
        embeddings = model.get_input_embeddings()
        embeddings.requires_grad_(not settings.freeze_embeddings or settings.model == "scratch")
        trainer = DistillTrainer(
            model,
            recipe,
            train=encode(tokenizer, task.train, run.max_length),
            labelled=len(task.train),
            validation=encode(tokenizer, task.validation, run.max_length),
            folder=run.work / "teacher",
            on_event=run.on_event,
            control=run.control,
            reporting=run.reporting("teacher"),
        )
        train(trainer)
        embeddings.requires_grad_(True)

        def keep() -> None:
            keep_history(folder, trainer.state.log_history)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        parallel.on_main_process(keep)

    cached = parallel.fetch(place, make)
    if cached:
        run.on_event(TrainingStarted("teacher", settings.seed, recipe.steps, cached=True))
        tell_history(place, "teacher", settings.seed, run.on_event)
        load_model(model, place / "model.safetensors")
    return Trained("teacher", settings.seed, model.eval().to(device()), tokenizer, place), cached
