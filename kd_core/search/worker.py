"""Cross-validation as one worker does it: a teacher for each fold, and students that learn from it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from filelock import FileLock
from optuna.storages import RDBStorage
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.data.spans import augmented, spans_per_text
from kd_core.data.task import Task
from kd_core.distillation.balance import auto_metric, auto_temperature, score
from kd_core.distillation.distil import student_recipe
from kd_core.distillation.events import Event, OnEvent, Progress, Step, TrainingStarted, ignore
from kd_core.distillation.record import record
from kd_core.distillation.resolve import resolve, token_lengths
from kd_core.distillation.roles import student_variants
from kd_core.distillation.run import Run, Trained
from kd_core.distillation.teach import teach
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.distillation.training.fit import fit
from kd_core.errors import DataError, RunError
from kd_core.jobs.room import check_room, check_training
from kd_core.models.inference import Logits, encode, fast_precision, predict_logits
from kd_core.models.loading import load_teacher, teacher_config, teacher_name
from kd_core.models.students import build_student
from kd_core.search import results, trials
from kd_core.search.config import EVALUATIONS, SearchConfig, Setting
from kd_core.search.folds import fold_tasks
from kd_core.search.processes import more_workers, workers_here
from kd_core.search.results import SearchResult
from kd_core.system import paths
from kd_core.system.control import Control
from kd_core.system.process import holding
from kd_core.system.settings import fixed


def run_search(
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
    folds = with_spans(task, config)
    _check_models(config, [task, *folds])
    with trials.connected() as storage:
        board, config = _begin(storage, study, config, task)
        validation = CrossValidation(config, task, folds, board, work, on_event, control)
        others = workers_here(config) - 1
        if others:  # all teachers, with all cores, before the students share these
            for number in range(config.folds):
                validation.fold(number)
        with more_workers(study, others, work, control):
            trials.work(board, config, validation.score, validation.report_progress, control)
        result = results.read(board)
    shutil.rmtree(work, ignore_errors=True)
    return result


def with_spans(task: Task, config: SearchConfig) -> list[Task]:
    """The folds, with as many spans of each text as the run of the choice will have, of all texts."""
    of_all = config.distill.task.model_copy(update={"augment": spans_per_text(task, config.distill.task)})
    return [augmented(fold, of_all) for fold in fold_tasks(task, of_all, config.folds)]


def _begin(
    storage: RDBStorage, study: str, config: SearchConfig, task: Task
) -> tuple[trials.Board, SearchConfig]:
    """The search in the database, and the config with the precision and metric of when it began.

    Raises: RunError, DataError, where it was begun with something else.
    """
    precision = config.distill.training.precision
    if precision == "auto":
        precision = fast_precision()
    metric = config.distill.training.metric
    if metric == "auto":
        metric = auto_metric(task.labels, task.train["label"][:])
    facts = {
        trials.PRECISION: precision,
        trials.METRIC: metric,
        trials.USUAL: auto_temperature(task.labels, task.train["label"][:]),
        trials.FINGERPRINT: task.fingerprint,
        trials.TRAINED_BY: TRAINING_VERSION,
    }
    board = trials.begin(storage, study, config, facts)
    if board.facts[trials.FINGERPRINT] != task.fingerprint:
        raise DataError(
            f"The task {task.name!r} has other texts here than where the search {study!r} began. "
            "Give this machine the same files."
        )
    if board.facts.get(trials.TRAINED_BY, 1) != TRAINING_VERSION:  # 0.1 did not note it
        raise RunError(
            f"The search {study!r} was begun by another version of KD Studio, which trains differently. "
            "Start a new one, with another name."
        )
    decided = {"training.precision": board.facts[trials.PRECISION]}
    decided["training.metric"] = board.facts.get(trials.METRIC, "accuracy")  # that of a search of before
    base = config.distill.change(decided | {"teacher.model": teacher_name(config.distill.teacher, task)})
    return board, config.model_copy(update={"distill": base})


def _check_models(config: SearchConfig, tasks: Sequence[Task]) -> None:
    """The task and its folds, before anything is trained. Raises: ConfigError, DataError, ModelError."""
    task = tasks[0]
    if task.answers and task.answers.gold != "rows":
        raise DataError(
            "A search compares students with one that learned alone, from gold labels, and none of "
            "the rows of "
            f"{config.distill.task.knowledge} has one. Add some, or run kd distill."
        )
    teacher = teacher_config(config.distill.teacher, task.labels, texts=len(task.train))
    for setting, part in product(config.alone, tasks):
        resolve(config.apply(setting), part, teacher, {})


@dataclass(frozen=True)
class _Encoded:
    """A fold's texts in the word pieces of one student."""

    train: Dataset  # labelled, then transfer texts, with the teacher's logits
    validation: Dataset
    test: Dataset


@dataclass(frozen=True)
class _Fold:
    """A fold whose teacher is ready. Its students and texts are made once: word pieces take time."""

    run: Run
    teacher: Trained
    knowledge: Dataset
    students: dict[tuple[str, int], tuple[PreTrainedModel, PreTrainedTokenizerFast]] = field(
        default_factory=dict
    )
    texts: dict[str, _Encoded] = field(default_factory=dict)

    def new_student(
        self, config: DistillConfig, seed: int
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, _Encoded]:
        """A copy of the student that this seed starts from, and the texts in its word pieces."""
        name, task, teacher, length = config.student.model, self.run.task, self.teacher, self.run.max_length
        if (name, seed) not in self.students:
            check_training(config, "student")
            self.students[name, seed] = build_student(
                config.student, teacher.model, teacher.tokenizer, task, seed, self.run.place
            )
        model, tokenizer = self.students[name, seed]
        if name not in self.texts:
            train = encode(tokenizer, concatenate_datasets([task.train, task.transfer]), length)
            self.texts[name] = _Encoded(
                concatenate_datasets([train, self.knowledge], axis=1),
                encode(tokenizer, task.validation, length),
                encode(tokenizer, task.test, length),
            )
        return copy.deepcopy(model), tokenizer, self.texts[name]


@dataclass
class CrossValidation:
    """Scores settings on the folds of ``task``; what it prepares for a fold, all its students share."""

    config: SearchConfig
    task: Task
    fold_tasks: list[Task]
    board: trials.Board
    work: Path
    on_event: OnEvent
    control: Control
    folds: dict[int, _Fold] = field(default_factory=dict)
    doing: str = "getting ready"

    def report_progress(self, doing: str | None = None) -> None:
        """How many trainings all workers together have done, and what this one is ``doing``."""
        self.doing = doing or self.doing
        with suppress(*trials.AWAY):
            done = results.trainings_done(self.board)
            self.on_event(Progress(None, self.doing, done, self.config.trainings + 1))

    def score(self, setting: Setting, alone: bool, number: int, seed: int) -> dict[str, Any]:
        """Train one student on a fold's training part, and score it on the part that was held out."""
        fold = self.fold(number)
        started = self.control.clock()
        self.report_progress(f"{_description(setting, alone)}: fold {number + 1} of {self.config.folds}")
        task = fold.run.task
        asked = self.config.apply(setting).change({"task.max_length": fold.run.max_length})
        config = for_search(resolve(asked, task, fold.teacher.model.config, {}))
        who = "alone" if alone else "student"
        variant = next(each for each in student_variants(config, len(task.transfer)) if each.who == who)
        model, tokenizer, texts = fold.new_student(config, seed)
        fit(
            replace(fold.run, config=config, on_event=ignore),
            student_recipe(config, variant, seed),
            model,
            tokenizer,
            texts=texts.train.select(range(len(task.train) + variant.transfer)),
            validation=texts.validation,
            freeze_embeddings=config.student.freeze_embeddings,
            teacher=fold.teacher,
            resumable=False,
        )
        teacher_texts = len(self.task.train) + len(self.task.transfer)
        logits = predict_logits(model, texts.test, precision=fold.run.precision, control=self.control)
        right = logits.argmax(axis=1) == np.asarray(texts.test["label"][:])
        plain = self.config.distill.training.metric == "accuracy"
        return {
            "accuracy": self.judged(logits, texts.test),
            **({"right": "".join("01"[int(one)] for one in right)} if plain else {}),
            "seconds": self.control.clock() - started,
            "params": sum(weight.numel() for weight in model.parameters()),
            "teacher_texts": teacher_texts if variant.objective.uses_teacher else 0,
        }

    def fold(self, number: int) -> _Fold:
        """Steps 1 and 2 on the fold's training part, from the cache where another process was quicker."""
        if number in self.folds:
            return self.folds[number]
        started, task, base = self.control.clock(), self.fold_tasks[number], self.config.distill
        self.report_progress(f"teacher of fold {number + 1} of {self.config.folds}")
        # Other workers on this machine wait for the fold's teacher instead of making the same one.
        lock = FileLock(paths.home() / f"search-fold-{number}.lock")
        with holding(lock, self.control):
            model, tokenizer = load_teacher(base.teacher, task)
            config = resolve(base, task, model.config, token_lengths(tokenizer, task))
            run = Run(task, config, self.work, partial(self._of_teacher, number, config), self.control)
            teacher, _ = teach(run, model, tokenizer)
            knowledge, _ = record(run, teacher)
        test = encode(tokenizer, task.test, run.max_length)
        name = f"{trials.TEACHER} {number}"
        if name not in self.board.facts:
            if task.answers:
                logits = task.answers.of(task.test["text"][:])
            else:
                logits = predict_logits(teacher.model, test, precision=run.precision, control=run.control)
            self.board.note(
                name, {"accuracy": self.judged(logits, test), "seconds": self.control.clock() - started}
            )
        self.folds[number] = _Fold(run, teacher, knowledge)
        return self.folds[number]

    def _of_teacher(self, number: int, config: DistillConfig, event: Event) -> None:
        _check_before_training(config, event)
        if isinstance(event, Step):
            step = f"step {event.step:,} of {event.steps:,}"
            self.report_progress(f"teacher of fold {number + 1} of {self.config.folds}, {step}")

    def judged(self, logits: Logits, texts: Dataset) -> float:
        """The score of a model's answers by the metric of the search."""
        metric = self.config.distill.training.metric
        return score(metric, logits.argmax(axis=1), np.asarray(texts["label"][:]), self.task.labels)


def _check_before_training(config: DistillConfig, event: Event) -> None:
    if isinstance(event, TrainingStarted) and not event.cached:
        check_training(config, event.who)


def for_search(config: DistillConfig) -> DistillConfig:
    """Students of a search are evaluated less often, and not tracked."""
    every = max(fixed(config.training.evaluate_every), fixed(config.training.steps) // EVALUATIONS)
    return config.change({"training.evaluate_every": every, "training.report_to": ()})


def _description(setting: Setting, alone: bool) -> str:
    if alone:
        return f"student alone ({setting.student})"
    return f"T {setting.temperature:.3g}, alpha {setting.alpha:.3g}, {setting.student}"
