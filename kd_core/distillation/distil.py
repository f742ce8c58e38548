"""Step 3: students that learn from the labels and from the teacher's knowledge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets
from safetensors.torch import load_model

from kd_core.config import DistillConfig, fixed
from kd_core.data.task import Task, content_hash
from kd_core.distillation.events import TrainingStarted
from kd_core.distillation.roles import ROLES, StudentVariant, student_variants
from kd_core.distillation.run import Run, Trained, keep_history, tell_history
from kd_core.distillation.training.batches import Recipe
from kd_core.distillation.training.intermediate import IntermediateTerms
from kd_core.distillation.training.replay import TEXTS, Replay, Watch
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.distillation.validate import logits_of
from kd_core.models.inference import device, encode
from kd_core.models.loading import model_hash, seeded
from kd_core.models.students import build_student
from kd_core.system import parallel


def distil(run: Run, teacher: Trained, knowledge: Dataset) -> list[Trained]:
    """Step 3: every student of the run, for every seed. Raises: Stopped, DivergedError, ModelError."""
    return [
        train_student(run, variant, seed, teacher, knowledge)
        for seed in run.config.training.seeds
        for variant in student_variants(run.config, len(run.task.transfer))
    ]


def recipe_for(config: DistillConfig, variant: StudentVariant, seed: int) -> Recipe:
    """How a student is trained; ``config`` is resolved."""
    settings = config.training
    return Recipe(
        who=variant.who,
        seed=seed,
        steps=fixed(settings.steps),
        batch_size=settings.batch_size,
        transfer_batch_size=settings.transfer_batch_size if variant.transfer else 0,
        learning_rate=fixed(settings.learning_rate),
        evaluate_every=fixed(settings.evaluate_every),
        precision=fixed(settings.precision),
        warmup=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        objective=variant.objective,
    )


def train_student(
    run: Run, variant: StudentVariant, seed: int, teacher: Trained, knowledge: Dataset
) -> Trained:
    """One student for one seed. Of the distilled one, for the first seed, ``run.work`` gets a replay."""
    task, settings = run.task, run.config.training
    student, tokenizer = build_student(run.config.student, teacher.model, teacher.tokenizer, task, seed)
    student.get_input_embeddings().requires_grad_(not run.config.student.freeze_embeddings)
    recipe = recipe_for(run.config, variant, seed)

    def make(folder: Path) -> None:
        run.on_event(TrainingStarted(variant.who, seed, recipe.steps))
        terms = None
        if variant.objective.needs_teacher_online:
            with seeded(seed):
                terms = IntermediateTerms(
                    variant.objective, student, tokenizer, teacher.model, teacher.tokenizer
                )
        texts = task.train
        if variant.transfer:
            texts = concatenate_datasets([texts, task.transfer.select(range(variant.transfer))])
        encoded = encode(tokenizer, texts, run.max_length)
        watch = None
        if variant.who == "student" and seed == settings.seeds[0]:
            watch = Watch(encode(tokenizer, _watched(task), run.max_length), recipe.steps)
        trainer = DistillTrainer(
            student,
            recipe,
            train=concatenate_datasets([encoded, knowledge.select(range(len(encoded)))], axis=1),
            labelled=len(task.train),
            validation=encode(tokenizer, task.validation, run.max_length),
            folder=run.work / f"{variant.who}-{seed}",
            on_event=run.on_event,
            control=run.control,
            terms=terms,
            watch=watch,
            reporting=run.reporting(f"{variant.who}-{seed}"),
        )
        try:
            train(trainer)
        finally:
            if terms:
                terms.close()
        student.requires_grad_(True)

        def keep() -> None:
            keep_history(folder, trainer.state.log_history)
            if watch and watch.whole:
                _replay(run, watch, teacher).write(run.work)
            student.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        parallel.on_main_process(keep)

    place = run.work / "students" / f"{variant.who}-{seed}"
    if ROLES[variant.who].shared:
        place = run.place(
            variant.who,
            start=model_hash(student, tokenizer),
            texts=[content_hash(task.train), content_hash(task.validation)],
            recipe=repr(recipe),
            freeze_embeddings=run.config.student.freeze_embeddings,
            max_length=run.max_length,
        )
    if parallel.fetch(place, make):
        run.on_event(TrainingStarted(variant.who, seed, recipe.steps, cached=True))
        tell_history(place, variant.who, seed, run.on_event)
        load_model(student, place / "model.safetensors")
    return Trained(variant.who, seed, student.eval().to(device()), tokenizer, place)


def _watched(task: Task) -> Dataset:
    return task.validation.select(range(min(TEXTS, len(task.validation))))


def _replay(run: Run, watch: Watch, teacher: Trained) -> Replay:
    texts = _watched(run.task)
    return Replay(
        labels=run.task.labels,
        texts=tuple(texts["text"]),
        truth=np.asarray(texts["label"]),
        steps=tuple(watch.steps),
        teacher=logits_of(run, teacher, {"replay": texts})["replay"],
        student=np.stack([watch.seen[step] for step in watch.steps]),
    )
