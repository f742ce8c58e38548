"""Step 3: students that learn from the labels and from the teacher's knowledge."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import DistillConfig
from kd_core.data.task import Task, content_hash
from kd_core.distillation import run_folder
from kd_core.distillation.probe import start_from_probe
from kd_core.distillation.roles import ROLES, StudentVariant, student_variants
from kd_core.distillation.run import History, Run, Trained, cached_or_trained
from kd_core.distillation.side_by_side import at_once, student_pool
from kd_core.distillation.training.batches import LONG, Recipe, model_name
from kd_core.distillation.training.fit import fit
from kd_core.distillation.training.replay import FILE as REPLAY
from kd_core.distillation.training.replay import TEXTS, Replay, ReplayRecorder
from kd_core.distillation.training.trainer import last_checkpoint
from kd_core.distillation.validate import logits_of
from kd_core.errors import ConfigError
from kd_core.models.inference import device, encode
from kd_core.models.loading import has_new_head, load_teacher, model_hash
from kd_core.models.presets import STUDENTS, find_preset
from kd_core.models.students import build_student
from kd_core.system import parallel
from kd_core.system.atomic import fetch
from kd_core.system.settings import fixed

SHARED = {who for who, entry in ROLES.items() if entry.shared}


def distil(run: Run, teacher: Trained, knowledge: Dataset) -> list[Trained]:
    """Step 3: every student of the run, for every seed. Raises: Stopped, DivergedError, ModelError.

    Where seeds are added to a finished run, the students that it has are taken from it; not of a checkpoint.
    """
    parallel.on_main_process(partial(_take_over, run))
    students = students_of(run)
    if at_once(run.config, len(students)) > 1:
        _start(run, *next(iter(students.values())), teacher)  # with all cores; later ones find its parts made
    with student_pool(run, len(students)) as pool:
        return [
            pool.train(
                name,
                partial(train_student, variant=variant, seed=seed, teacher=teacher, knowledge=knowledge),
            )
            for name, (variant, seed) in students.items()
        ]


def students_of(run: Run) -> dict[str, tuple[StudentVariant, int]]:
    """By name, in their order: for each seed the distilled one, then its controls."""
    return {
        model_name(variant.who, seed): (variant, seed)
        for seed in run.config.training.seeds
        for variant in student_variants(run.config, len(run.task.transfer))
    }


def _take_over(run: Run) -> None:
    if find_preset(run.config.student.model, STUDENTS) is None:
        return  # a checkpoint, of which no key says that it is still the same
    earlier = run_folder.with_fewer_seeds(run.config, run.work)
    if earlier is None:
        return
    for student in sorted((earlier / run_folder.STUDENTS).iterdir()):
        place = run.work / "students" / student.name
        if student.name.rpartition("-")[0] not in SHARED:  # those are in the cache
            fetch(place, partial(shutil.copytree, student, dirs_exist_ok=True))
    first = DistillConfig.from_file(earlier / run_folder.CONFIG).training.seeds[0]
    if (earlier / REPLAY).is_file() and first == run.config.training.seeds[0]:  # a replay is of the first
        shutil.copy(earlier / REPLAY, run.work)
    run.note(f"The students of the seeds before are those of run {earlier.name}.")


def seen(variant: StudentVariant, task: Task, knowledge: Dataset) -> tuple[Task, Dataset]:
    """The task as that student sees it, and the teacher's answers to its training and transfer texts.

    Of the class ``unseen`` there are no training and validation texts, and no transfer texts that the teacher
    takes for it. The test texts stay.
    """
    task = replace(task, transfer=task.transfer.select(range(variant.transfer)))
    knowledge = knowledge.select(range(len(task.train) + len(task.transfer)))
    if not variant.unseen:
        return task, knowledge
    if variant.unseen not in task.labels:
        raise ConfigError(
            f"No class {variant.unseen!r} can be left out; those of this task are {', '.join(task.labels)}"
        )
    place = task.labels.index(variant.unseen)
    train, validation = (np.asarray(split["label"][:]) != place for split in (task.train, task.validation))
    chosen = np.asarray(knowledge["logits"][:], dtype=np.float32).argmax(axis=1)
    transfer = chosen[len(train) :] != place
    kept = np.concatenate([train, transfer])
    return replace(
        task,
        train=task.train.select(np.flatnonzero(train)),
        validation=task.validation.select(np.flatnonzero(validation)),
        transfer=task.transfer.select(np.flatnonzero(transfer)),
    ), knowledge.select(np.flatnonzero(kept))


def student_recipe(config: DistillConfig, variant: StudentVariant, seed: int) -> Recipe:
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
        metric=settings.metric,
        attention_dropout=fixed(config.task.max_length) <= LONG,
    )


def train_student(
    run: Run, variant: StudentVariant, seed: int, teacher: Trained, knowledge: Dataset
) -> Trained:
    """One student for one seed. Of the distilled one, for the first seed, ``run.work`` gets a replay."""
    student, tokenizer = _start(run, variant, seed, teacher)
    recipe = student_recipe(run.config, variant, seed)
    # From a random start there is nothing to read.
    probing = run.config.student.probe and not variant.init and has_new_head(student)
    # After its word pieces were chosen, so that it starts from the same weights whatever it sees.
    task, knowledge = seen(variant, run.task, knowledge)

    def train() -> History:
        texts = concatenate_datasets([task.train, task.transfer])
        encoded = encode(tokenizer, texts, run.max_length)
        if probing and not last_checkpoint(run.work / recipe.name):
            labelled = encoded.select(range(len(task.train)))
            start_from_probe(student.to(device()), labelled, run.precision, run.control)
        replayed = task.validation.select(range(min(TEXTS, len(task.validation))))
        recorder = None
        if variant.who == "student" and seed == run.config.training.seeds[0]:
            recorder = ReplayRecorder(encode(tokenizer, replayed, run.max_length), recipe.steps)
        history = fit(
            replace(run, task=task),
            recipe,
            student,
            tokenizer,
            texts=concatenate_datasets([encoded, knowledge], axis=1),
            validation=encode(tokenizer, task.validation, run.max_length),
            freeze_embeddings=run.config.student.freeze_embeddings,
            teacher=teacher,
            recorder=recorder,
        )
        if recorder and recorder.complete:
            parallel.on_main_process(partial(_keep_replay, run, replayed, recorder, teacher))
        return history

    place = run.work / "students" / recipe.name
    if variant.who in SHARED:
        place = run.place(
            variant.who,
            start=model_hash(student, tokenizer),
            texts=[content_hash(task.train), content_hash(task.validation)],
            recipe=repr(recipe),
            freeze_embeddings=run.config.student.freeze_embeddings,
            max_length=run.max_length,
            **({"probe": True} if probing else {}),  # keys of before are without
        )
    trained, _ = cached_or_trained(run, recipe, student, tokenizer, place, train)
    return trained


def _start(
    run: Run, variant: StudentVariant, seed: int, teacher: Trained
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Before its training. The students of a seed mostly begin alike, and to build one takes a second."""
    settings = run.config.student
    if variant.init:
        settings = settings.model_copy(update={"init": variant.init})
    made_of = (settings, run.task, teacher, variant.untuned, seed)
    if run.last_start.get("of") != made_of:
        source, pieces = teacher.model, teacher.tokenizer
        if variant.untuned:
            source, pieces = load_teacher(run.config.teacher, run.task)
        notes: list[str] = []
        built = build_student(settings, source, pieces, run.task, seed, run.place, notes)
        for sentence in notes:
            run.note(sentence)
        run.last_start.update(of=made_of, built=built)
    model, tokenizer = run.last_start["built"]
    return copy.deepcopy(model), tokenizer


def _keep_replay(run: Run, texts: Dataset, recorder: ReplayRecorder, teacher: Trained) -> None:
    replay = Replay(
        labels=run.task.labels,
        texts=tuple(texts["text"]),
        truth=np.asarray(texts["label"]),
        steps=tuple(recorder.steps),
        teacher=logits_of(run, teacher, {"replay": texts})["replay"],
        student=np.stack([recorder.logits[step] for step in recorder.steps]),
    )
    replay.write(run.work)
