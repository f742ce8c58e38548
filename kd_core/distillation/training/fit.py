"""One training from start to end, for a teacher, a student of a run, and a student of a search."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.distillation.run import History, Run, Trained
from kd_core.distillation.training.batches import Recipe
from kd_core.distillation.training.intermediate import IntermediateTerms, without_attention_dropout
from kd_core.distillation.training.replay import ReplayRecorder
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.models.loading import seeded


def fit(
    run: Run,
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    texts: Dataset,
    validation: Dataset,
    freeze_embeddings: bool,
    teacher: Trained | None,
    recorder: ReplayRecorder | None = None,
    resumable: bool = True,
) -> History:
    """Train ``model`` in place to the weights that are best on validation, or the last, by the recipe.

    ``texts`` are the task's training texts, then transfer texts. Intermediate terms ask
    ``teacher``. A training that is not ``resumable`` keeps no checkpoints, and begins anew when stopped.
    Raises: Stopped, DivergedError, ModelError.
    """
    if not resumable:
        shutil.rmtree(run.work / recipe.name, ignore_errors=True)
    model.get_input_embeddings().requires_grad_(not freeze_embeddings)
    terms = None
    if teacher and recipe.objective.needs_teacher_online:
        with seeded(recipe.seed):
            terms = IntermediateTerms(recipe.objective, model, tokenizer, teacher.model, teacher.tokenizer)
    with ExitStack() as opened:
        if terms:
            opened.enter_context(closing(terms))
        if not recipe.attention_dropout:
            opened.enter_context(without_attention_dropout(model))
        trainer = DistillTrainer(
            model,
            recipe,
            run,
            train=texts,
            validation=validation,
            terms=terms,
            recorder=recorder,
            resumable=resumable,
        )
        train(trainer)
    model.requires_grad_(True)
    log = trainer.state.log_history
    return [
        (line["step"], line["eval_accuracy"], line["eval_loss"], line.get(f"eval_{recipe.metric}"))
        for line in log
        if "eval_accuracy" in line
    ]
