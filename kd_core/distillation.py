"""Step 3, and the whole run in four steps: teach, record, distil, validate."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasets import Dataset, concatenate_datasets
from safetensors.torch import load_model

from kd_core import paths, runs
from kd_core.config import DistillConfig, ObjectiveConfig, fixed
from kd_core.data import load_task
from kd_core.data.task import content_hash
from kd_core.events import Control, Finished, OnEvent, TrainingStarted, Who, ignore
from kd_core.folders import fetch, is_whole
from kd_core.history import keep_history, tell_history
from kd_core.inference import encode
from kd_core.intermediate import IntermediateTerms
from kd_core.knowledge import record
from kd_core.models.loading import load_teacher, model_hash, seeded
from kd_core.models.students import build_student
from kd_core.report import Report
from kd_core.resolution import resolve
from kd_core.run import Clock, Run, Trained
from kd_core.teaching import teach
from kd_core.training import LABELS_ONLY, DistillTrainer, Recipe, train
from kd_core.validation import validate


def distill(
    config: DistillConfig,
    on_event: OnEvent = ignore,
    control: Control | None = None,
    *,
    run_id: str | None = None,
) -> Report:
    """Run the four steps and keep the result in a folder of its own under ``KD_HOME``.

    ``on_event`` is called on this thread; ``control`` may be used from any other. A run that was stopped or
    interrupted is resumed from its last whole checkpoint by its ``run_id`` and the same ``config``; it ends
    with the same weights as an undisturbed one.
    Raises: KDError (Stopped when ``control`` says so); then there is no run folder, only its work folder.
    """
    created = datetime.now(UTC)
    run_id = run_id or runs.new_id(created)
    if is_whole(paths.runs() / run_id):  # only the end of its process was not recorded
        return _finish(run_id, Report.read(paths.runs() / run_id), on_event)
    task = load_task(config.task)
    model, tokenizer = load_teacher(config.teacher, task)
    config = resolve(config, task, model.config)
    run = Run(task, config, paths.work() / run_id, on_event, control or Control())
    clock = Clock(on_event)
    with clock.stage("teach"):
        teacher, clock.cached["teach"] = teach(run, model, tokenizer)
    with clock.stage("record"):
        knowledge, clock.cached["record"] = record(run, teacher)
    with clock.stage("distil"):
        students = distil(run, teacher, knowledge)
    with clock.stage("validate"):
        findings = validate(run, [teacher, *students])
    report = runs.keep(run, run_id, created, [teacher, *students], findings, clock)
    return _finish(run_id, report, on_event)


def _finish(run_id: str, report: Report, on_event: OnEvent) -> Report:
    shutil.rmtree(paths.work() / run_id, ignore_errors=True)
    on_event(Finished(run_id))
    return report


@dataclass(frozen=True)
class Lesson:
    """One of the students of a run: what it minimises, and whether it sees the transfer set."""

    who: Who
    objective: ObjectiveConfig
    transfer: bool


def lessons(config: DistillConfig, transfer_texts: int) -> list[Lesson]:
    """The distilled student first, then its controls.

    With alpha = 1 and no intermediate term nothing is learned from the teacher, so transfer texts stay out.
    """
    goal = config.objective
    listens = goal.alpha < 1 or goal.needs_teacher_online
    transfer = listens and transfer_texts > 0
    plan = [Lesson("student", goal, transfer), Lesson("alone", LABELS_ONLY, False)]
    if transfer and config.controls.labelled_only:
        plan.append(Lesson("labelled_only", goal, False))
    return plan


def distil(run: Run, teacher: Trained, knowledge: Dataset) -> list[Trained]:
    """Step 3: every student of the run, for every seed. Raises: Stopped, DivergedError, ModelError."""
    return [
        _student(run, lesson, seed, teacher, knowledge)
        for seed in run.config.training.seeds
        for lesson in lessons(run.config, len(run.task.transfer))
    ]


def _student(run: Run, lesson: Lesson, seed: int, teacher: Trained, knowledge: Dataset) -> Trained:
    task, settings = run.task, run.config.training
    student, tokenizer = build_student(run.config.student, teacher.model, teacher.tokenizer, task, seed)
    student.get_input_embeddings().requires_grad_(not run.config.student.freeze_embeddings)
    recipe = Recipe(
        who=lesson.who,
        seed=seed,
        steps=fixed(settings.steps),
        batch_size=settings.batch_size,
        transfer_batch_size=settings.transfer_batch_size if lesson.transfer else 0,
        learning_rate=fixed(settings.learning_rate),
        evaluate_every=fixed(settings.evaluate_every),
        precision=run.precision,
        warmup=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        objective=lesson.objective,
    )

    def make(folder: Path) -> None:
        run.on_event(TrainingStarted(lesson.who, seed, recipe.steps))
        terms = None
        if lesson.objective.needs_teacher_online:
            with seeded(seed):
                terms = IntermediateTerms(
                    lesson.objective, student, tokenizer, teacher.model, teacher.tokenizer
                )
        texts = concatenate_datasets([task.train, task.transfer]) if lesson.transfer else task.train
        encoded = encode(tokenizer, texts, run.max_length)
        trainer = DistillTrainer(
            student,
            recipe,
            train=concatenate_datasets([encoded, knowledge.select(range(len(encoded)))], axis=1),
            labelled=len(task.train),
            validation=encode(tokenizer, task.validation, run.max_length),
            folder=run.work / f"{lesson.who}-{seed}",
            on_event=run.on_event,
            control=run.control,
            terms=terms,
        )
        try:
            train(trainer)
        finally:
            if terms:
                terms.close()
        keep_history(folder, trainer.state.log_history)
        student.requires_grad_(True)
        student.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    place = run.work / "students" / f"{lesson.who}-{seed}"
    if lesson.who == "alone":  # it depends neither on T nor on alpha, so other runs share it
        place = run.place(
            "alone",
            start=model_hash(student, tokenizer),
            texts=[content_hash(task.train), content_hash(task.validation)],
            recipe=repr(recipe),
            freeze_embeddings=run.config.student.freeze_embeddings,
            max_length=run.max_length,
        )
    if fetch(place, make):
        run.on_event(TrainingStarted(lesson.who, seed, recipe.steps, cached=True))
        tell_history(place, lesson.who, seed, run.on_event)
        load_model(student, place / "model.safetensors")
    return Trained(lesson.who, seed, student.eval(), tokenizer, place)
