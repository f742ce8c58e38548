"""Step 1: fine-tune the teacher on the task, or take it from the cache."""

from __future__ import annotations

import math
from contextlib import nullcontext

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.data.task import content_hash
from kd_core.distillation.events import NOT_NEEDED, Note
from kd_core.distillation.probe import start_from_probe
from kd_core.distillation.roles import labels_only
from kd_core.distillation.run import History, Run, Trained, cached_or_trained
from kd_core.distillation.training.batches import LONG, Recipe
from kd_core.distillation.training.fit import fit
from kd_core.distillation.training.trainer import last_checkpoint
from kd_core.models.inference import device, encode
from kd_core.models.loading import has_new_head, model_hash
from kd_core.models.small_table import small_table
from kd_core.system.settings import fixed


def teach(run: Run, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> tuple[Trained, bool]:
    """Train ``model`` in place to the weights that ``teacher.weights`` names; True if they were cached.

    Where the teacher is a file, ``model`` only lends its tokenizer and its weights as a start.
    Raises: Stopped, DivergedError.
    """
    task, settings = run.task, run.config.teacher
    if task.answers:
        run.on_event(Note(NOT_NEEDED))
        lent = model.eval().to(device())
        return Trained("teacher", settings.seed, lent, tokenizer, run.work, answers=False), False
    probing = settings.probe and settings.model != "scratch" and has_new_head(model)
    epoch = math.ceil(len(task.train) / settings.batch_size)
    recipe = Recipe(
        who="teacher",
        seed=settings.seed,
        steps=epoch * fixed(settings.epochs),
        batch_size=settings.batch_size,
        learning_rate=fixed(settings.learning_rate),
        evaluate_every=epoch,
        precision=run.precision,
        objective=labels_only(run.config.objective),
        metric=run.config.training.metric,
        attention_dropout=run.max_length <= LONG,
        keep_last=settings.weights == "last",
    )
    place = run.place(
        "teachers",
        start=model_hash(model, tokenizer),
        texts=[content_hash(task.train), content_hash(task.validation)],
        recipe=repr(recipe),
        freeze_embeddings=settings.freeze_embeddings,
        max_length=run.max_length,
        **({"probe": True} if probing else {}),  # keys of before are without
    )

    frozen = settings.freeze_embeddings and settings.model != "scratch"

    def train() -> History:
        splits = [encode(tokenizer, split, run.max_length) for split in (task.train, task.validation)]
        with small_table(model, splits) if frozen else nullcontext(splits) as (texts, validation):
            if probing and not last_checkpoint(run.work / recipe.name):
                start_from_probe(model.to(device()), texts, run.precision, run.control, run.on_event)
            return fit(
                run,
                recipe,
                model,
                tokenizer,
                texts=texts,
                validation=validation,
                freeze_embeddings=frozen,
                teacher=None,
            )

    return cached_or_trained(run, recipe, model, tokenizer, place, train)
