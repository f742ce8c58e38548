"""Step 3, and the whole run in four steps: teach, record, distil, validate."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets
from safetensors.torch import load_model

from kd_core import parallel, paths, runs
from kd_core.batches import LABELS_ONLY, Recipe
from kd_core.config import DistillConfig, ObjectiveConfig, fixed
from kd_core.data import load_task
from kd_core.data.task import Task, content_hash
from kd_core.errors import DataError, RunError
from kd_core.events import Control, Finished, OnEvent, TrainingStarted, Who, ignore
from kd_core.folders import is_whole
from kd_core.history import keep_history, tell_history
from kd_core.inference import device, encode
from kd_core.intermediate import IntermediateTerms
from kd_core.knowledge import record
from kd_core.models.loading import load_teacher, model_hash, seeded
from kd_core.models.students import build_student
from kd_core.replay import TEXTS, Replay, Watch
from kd_core.report import Report
from kd_core.resolution import resolve
from kd_core.run import Clock, Run, Trained
from kd_core.teaching import teach
from kd_core.training import DistillTrainer, train
from kd_core.validation import logits_of, validate


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
    with the same weights as an undisturbed one. Several processes (``accelerate launch``) do one run; then
    the first one's ``config`` and ``run_id`` count, and its ``on_event`` hears of it.
    Raises: KDError (Stopped when ``control`` says so, RunError for another ``config`` than before);
    then there is no run folder, only its work folder.
    """
    with parallel.together():
        if not parallel.is_main():
            on_event = ignore
        config, run_id = parallel.from_main(lambda: (config, run_id or runs.new_id(datetime.now(UTC))))
        return _distill(config, on_event, control or Control(), run_id)


def _distill(config: DistillConfig, on_event: OnEvent, control: Control, run_id: str) -> Report:
    created = datetime.now(UTC)
    if parallel.from_main(lambda: is_whole(paths.runs() / run_id)):  # only its end was not recorded
        return _finish(run_id, Report.read(paths.runs() / run_id), on_event)
    task = load_task(config.task)
    model, tokenizer = load_teacher(config.teacher, task)
    parallel.from_main(partial(runs.begin, run_id, config))
    config = parallel.from_main(partial(resolve, config, task, model.config))
    run = Run(task, config, paths.work() / run_id, on_event, control)
    check_processes(run)
    clock = Clock(on_event)
    with clock.stage("teach"):
        teacher, clock.cached["teach"] = teach(run, model, tokenizer)
    with clock.stage("record"):
        knowledge, clock.cached["record"] = record(run, teacher)
    with clock.stage("distil"):
        students = distil(run, teacher, knowledge)

    def judge() -> Report:
        with clock.stage("validate"):
            findings = validate(run, [teacher, *students])
        return runs.keep(run, run_id, created, [teacher, *students], findings, clock)

    return _finish(run_id, parallel.from_main(judge), on_event)


def _finish(run_id: str, report: Report, on_event: OnEvent) -> Report:
    parallel.from_main(partial(shutil.rmtree, paths.work() / run_id, ignore_errors=True))
    on_event(Finished(run_id))
    return report


def check_processes(run: Run) -> None:
    """Whether all processes see the same folders and texts. Raises: RunError, DataError."""
    if parallel.size() == 1:
        return
    parallel.from_main(partial(run.work.mkdir, parents=True, exist_ok=True))
    seen = parallel.gather(lambda: (run.work.is_dir(), run.task.fingerprint))
    if not all(there for there, _ in seen):
        raise RunError(
            f"Not all {len(seen)} processes of this run see {run.work}. "
            "Set KD_HOME to a folder that all their machines share."
        )
    if len({fingerprint for _, fingerprint in seen}) > 1:
        raise DataError(
            f"The task {run.task.name!r} has other texts for some of the {len(seen)} processes of this run. "
            "Give all their machines the same files."
        )


@dataclass(frozen=True)
class Lesson:
    """One of the students of a run: what it minimises, and how many of the transfer texts it sees."""

    who: Who
    objective: ObjectiveConfig
    transfer: int


def lessons(config: DistillConfig, transfer_texts: int) -> list[Lesson]:
    """The distilled student first, then its controls.

    With alpha = 1 and no intermediate term nothing is learned from the teacher, so transfer texts stay out.
    """
    goal = config.objective
    listens = goal.alpha < 1 or goal.needs_teacher_online
    transfer = transfer_texts if listens else 0
    plan = [Lesson("student", goal, transfer), Lesson("alone", LABELS_ONLY, 0)]
    if transfer and config.controls.labelled_only:
        plan.append(Lesson("labelled_only", goal, 0))
    return plan


def distil(run: Run, teacher: Trained, knowledge: Dataset) -> list[Trained]:
    """Step 3: every student of the run, for every seed. Raises: Stopped, DivergedError, ModelError."""
    return [
        train_student(run, lesson, seed, teacher, knowledge)
        for seed in run.config.training.seeds
        for lesson in lessons(run.config, len(run.task.transfer))
    ]


def recipe_for(config: DistillConfig, lesson: Lesson, seed: int) -> Recipe:
    """How a student is trained; ``config`` is resolved."""
    settings = config.training
    return Recipe(
        who=lesson.who,
        seed=seed,
        steps=fixed(settings.steps),
        batch_size=settings.batch_size,
        transfer_batch_size=settings.transfer_batch_size if lesson.transfer else 0,
        learning_rate=fixed(settings.learning_rate),
        evaluate_every=fixed(settings.evaluate_every),
        precision=fixed(settings.precision),
        warmup=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        objective=lesson.objective,
    )


def train_student(run: Run, lesson: Lesson, seed: int, teacher: Trained, knowledge: Dataset) -> Trained:
    """One student for one seed. Of the distilled one, for the first seed, ``run.work`` gets a replay."""
    task, settings = run.task, run.config.training
    student, tokenizer = build_student(run.config.student, teacher.model, teacher.tokenizer, task, seed)
    student.get_input_embeddings().requires_grad_(not run.config.student.freeze_embeddings)
    recipe = recipe_for(run.config, lesson, seed)

    def make(folder: Path) -> None:
        run.on_event(TrainingStarted(lesson.who, seed, recipe.steps))
        terms = None
        if lesson.objective.needs_teacher_online:
            with seeded(seed):
                terms = IntermediateTerms(
                    lesson.objective, student, tokenizer, teacher.model, teacher.tokenizer
                )
        texts = task.train
        if lesson.transfer:
            texts = concatenate_datasets([texts, task.transfer.select(range(lesson.transfer))])
        encoded = encode(tokenizer, texts, run.max_length)
        watch = None
        if lesson.who == "student" and seed == settings.seeds[0]:
            watch = Watch(encode(tokenizer, _watched(task), run.max_length), recipe.steps)
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
            watch=watch,
            reporting=run.reporting(f"{lesson.who}-{seed}"),
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

        parallel.from_main(keep)

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
    if parallel.fetch(place, make):
        run.on_event(TrainingStarted(lesson.who, seed, recipe.steps, cached=True))
        tell_history(place, lesson.who, seed, run.on_event)
        load_model(student, place / "model.safetensors")
    return Trained(lesson.who, seed, student.eval().to(device()), tokenizer, place)


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
