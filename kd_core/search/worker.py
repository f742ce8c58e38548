"""Trains the cells of a search. The teacher of a fold learns, and is recorded, once for all its cells."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from filelock import FileLock, Timeout
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import DistillConfig, fixed
from kd_core.data import load_task
from kd_core.data.task import Task
from kd_core.distillation.distil import recipe_for
from kd_core.distillation.events import Event, OnEvent, Progress, TrainingStarted, ignore
from kd_core.distillation.record import record
from kd_core.distillation.resolve import resolve
from kd_core.distillation.roles import StudentVariant, student_variants
from kd_core.distillation.run import Run, Trained
from kd_core.distillation.teach import teach
from kd_core.distillation.training.intermediate import IntermediateTerms
from kd_core.distillation.training.trainer import DistillTrainer, train
from kd_core.errors import DataError
from kd_core.jobs.room import check_room, check_training
from kd_core.models.inference import encode, predict_logits, supports_bf16
from kd_core.models.loading import load_teacher, seeded, teacher_config
from kd_core.models.students import build_student
from kd_core.search import results
from kd_core.search import trials as boards
from kd_core.search.config import LOOKS, SearchConfig, Setting
from kd_core.search.folds import fold_tasks
from kd_core.search.processes import more_workers, workers_here
from kd_core.search.results import SearchResult
from kd_core.system import paths
from kd_core.system.control import Control


def carry_out(
    config: SearchConfig, study: str, work: Path, on_event: OnEvent = ignore, control: Control | None = None
) -> SearchResult:
    """Work on the search named ``study``, which begins here unless it exists, until all cells are done.

    ``work`` is a folder for checkpoints that goes at the end. Any number of processes may do this at once;
    ``config.workers`` says how many this one makes of itself.
    Raises: KDError; Stopped when ``control`` says so, and then finished trainings are kept.
    """
    control = control or Control()
    check_room()
    task = load_task(config.distill.task)
    tasks = fold_tasks(task, config.distill.task, config.folds)
    _check_models(config, task)
    with boards.connected() as storage:
        precision = config.distill.training.precision
        if precision == "auto":  # decided once: workers on other machines follow
            precision = "bf16" if supports_bf16() else "fp32"
        facts = {boards.PRECISION: precision, boards.FINGERPRINT: task.fingerprint}
        board = boards.begin(storage, study, config, facts)
        if board.facts[boards.FINGERPRINT] != task.fingerprint:
            raise DataError(
                f"The task {task.name!r} has other texts here than where the search {study!r} began. "
                "Give this machine the same files."
            )
        base = config.distill.change({"training.precision": board.facts[boards.PRECISION]})
        config = config.model_copy(update={"distill": base})
        trainings = _Trainings(
            config, tasks, len(task.train), len(task.transfer), board, work, on_event, control
        )
        more = workers_here(config) - 1
        if more:
            trainings.get_ready()
        with more_workers(study, more, work, control):
            boards.work(board, config, trainings.measure, trainings.tell, control)
        found = results.read(board)
    shutil.rmtree(work, ignore_errors=True)
    return found


def _check_models(config: SearchConfig, task: Task) -> None:
    """Before anything is trained. Raises: ConfigError, ModelError."""
    teacher = teacher_config(config.distill.teacher, task.labels)
    for setting in config.alone:
        resolve(config.apply(setting), task, teacher)


@dataclass
class _Fold:
    """A fold whose teacher is ready; ``students`` are those that its cells start from."""

    run: Run
    teacher: Trained
    knowledge: Dataset
    students: dict[tuple[str, int], _Start] = field(default_factory=dict)


@dataclass(frozen=True)
class _Start:
    """A new student, and the fold's texts in its word pieces."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    train: Dataset  # labelled, then transfer texts, with the teacher's logits
    validation: Dataset
    test: Dataset


@dataclass
class _Trainings:
    config: SearchConfig
    tasks: list[Task]
    train_texts: int
    transfer_texts: int
    board: boards.Board
    work: Path
    on_event: OnEvent
    control: Control
    folds: dict[int, _Fold] = field(default_factory=dict)
    label: str = "getting ready"

    def tell(self, label: str | None = None) -> None:
        self.label = label or self.label
        with suppress(*boards.AWAY):
            found = results.read(self.board)
            self.on_event(Progress(None, self.label, found.trainings_done, found.trainings + 1))

    def measure(self, setting: Setting, alone: bool, number: int, seed: int) -> dict[str, Any]:
        """Train one student on a fold's training part, and score it on the part that was held out."""
        fold = self._fold(number)
        started = time.monotonic()
        self.tell(f"{_words(setting, alone)}: fold {number + 1} of {self.config.folds}")
        config = _with_few_looks(
            resolve(self.config.apply(setting), fold.run.task, fold.teacher.model.config)
        )
        who = "alone" if alone else "student"
        variant = next(
            each for each in student_variants(config, len(fold.run.task.transfer)) if each.who == who
        )
        start = self._start(fold, config, seed)
        model = copy.deepcopy(start.model)
        self._train(fold, config, variant, seed, start, model)
        logits = predict_logits(model, start.test, precision=fold.run.precision, control=self.control)
        return {
            "accuracy": _accuracy(logits, start.test),
            "seconds": time.monotonic() - started,
            "params": sum(weight.numel() for weight in model.parameters()),
            "teacher_texts": self.train_texts + self.transfer_texts if variant.objective.uses_teacher else 0,
        }

    def _train(
        self,
        fold: _Fold,
        config: DistillConfig,
        variant: StudentVariant,
        seed: int,
        start: _Start,
        model: PreTrainedModel,
    ) -> None:
        model.get_input_embeddings().requires_grad_(not config.student.freeze_embeddings)
        folder = self.work / "cell"
        shutil.rmtree(folder, ignore_errors=True)  # of one that was stopped: it is done again
        terms = None
        if variant.objective.needs_teacher_online:
            teacher = fold.teacher
            with seeded(seed):
                terms = IntermediateTerms(
                    variant.objective, model, start.tokenizer, teacher.model, teacher.tokenizer
                )
        labelled = len(fold.run.task.train)
        trainer = DistillTrainer(
            model,
            recipe_for(config, variant, seed),
            train=start.train.select(range(labelled + variant.transfer)),
            labelled=labelled,
            validation=start.validation,
            folder=folder,
            on_event=ignore,
            control=self.control,
            terms=terms,
        )
        trainer.args.save_only_model = True  # a half-done training is done again: its optimizer is not needed
        try:
            train(trainer)
        finally:
            if terms:
                terms.close()

    def get_ready(self) -> None:
        """All teachers, with all cores, before the students share these."""
        for number in range(self.config.folds):
            self._fold(number)

    def _fold(self, number: int) -> _Fold:
        if number not in self.folds:
            self.folds[number] = self._taught(number)
        return self.folds[number]

    def _taught(self, number: int) -> _Fold:
        """Steps 1 and 2 on the fold's training part, from the cache where another process was quicker."""
        started, task, base = time.monotonic(), self.tasks[number], self.config.distill
        self.tell(f"teacher of fold {number + 1} of {self.config.folds}")
        with self._alone_here(number):
            model, tokenizer = load_teacher(base.teacher, task)
            config = resolve(base, task, model.config)
            run = Run(task, config, self.work, partial(_checked, config), self.control)
            teacher, _ = teach(run, model, tokenizer)
            knowledge, _ = record(run, teacher)
        test = encode(tokenizer, task.test, run.max_length)
        name = f"{boards.TEACHER} {number}"
        if name not in self.board.facts:
            logits = predict_logits(teacher.model, test, precision=run.precision, control=self.control)
            seconds = time.monotonic() - started
            self.board.note(name, {"accuracy": _accuracy(logits, test), "seconds": seconds})
        return _Fold(run, teacher, knowledge)

    @contextmanager
    def _alone_here(self, number: int) -> Iterator[None]:
        """Other workers on this machine wait for the teacher instead of making the same one."""
        lock = FileLock(paths.home() / f"search-fold-{number}.lock")
        while not lock.is_locked:
            self.control.check()
            with suppress(Timeout):
                lock.acquire(timeout=1)
        try:
            yield
        finally:
            lock.release()

    def _start(self, fold: _Fold, config: DistillConfig, seed: int) -> _Start:
        """Built once: its word pieces and the texts in them are what takes time."""
        name = config.student.model, seed
        if name not in fold.students:
            check_training(config, "student")
            task, teacher, length = fold.run.task, fold.teacher, fold.run.max_length
            model, tokenizer = build_student(config.student, teacher.model, teacher.tokenizer, task, seed)
            other = next((s for (student, _), s in fold.students.items() if student == name[0]), None)
            if other:  # of another seed: the same pieces
                start = _Start(model, other.tokenizer, other.train, other.validation, other.test)
            else:
                texts = encode(tokenizer, concatenate_datasets([task.train, task.transfer]), length)
                start = _Start(
                    model,
                    tokenizer,
                    concatenate_datasets([texts, fold.knowledge], axis=1),
                    encode(tokenizer, task.validation, length),
                    encode(tokenizer, task.test, length),
                )
            fold.students[name] = start
        return fold.students[name]


def _checked(config: DistillConfig, event: Event) -> None:
    if isinstance(event, TrainingStarted) and not event.cached:
        check_training(config, event.who)


def _with_few_looks(config: DistillConfig) -> DistillConfig:
    every = max(fixed(config.training.evaluate_every), fixed(config.training.steps) // LOOKS)
    return config.change({"training.evaluate_every": every})


def _accuracy(logits: Any, split: Dataset) -> float:
    return float((logits.argmax(axis=1) == np.asarray(split["label"])).mean())


def _words(setting: Setting, alone: bool) -> str:
    if alone:
        return f"student alone ({setting.student})"
    return f"T {setting.temperature:.3g}, alpha {setting.alpha:.3g}, {setting.student}"
