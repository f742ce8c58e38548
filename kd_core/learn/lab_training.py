"""The labs that train: students that differ in one thing.

All of them keep the word pieces of the whole transfer set, so those of one architecture and seed start from
the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.distillation.distil import train_student
from kd_core.distillation.events import Event, OnEvent, Progress, Step, ignore
from kd_core.distillation.record import record
from kd_core.distillation.resolve import resolve, token_lengths
from kd_core.distillation.roles import ROLES, StudentVariant, hard_answers, labels_only
from kd_core.distillation.run import Run, Trained
from kd_core.distillation.run_folder import begin
from kd_core.distillation.teach import teach
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.distillation.validate import logits_of
from kd_core.learn.lab_results import OWN, LabCell, LabConfig, LabReport, best_shift, pack, pack_answers
from kd_core.models.inference import Logits, device
from kd_core.models.loading import load_teacher
from kd_core.models.size import model_size
from kd_core.system.control import Control
from kd_core.system.machine import describe_machine
from kd_core.system.settings import fixed


@dataclass(frozen=True)
class LabTraining:
    """One student: what it learns from, and what of the lab's config is different for it.

    ``teacher`` names its teacher in the report, where that is not the lab's own: one by ``changes``, or one
    that was never ``taught``, whose answers have the mean and spread of the own one's, and mean nothing.
    """

    name: str
    seed: int
    variant: StudentVariant
    changes: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = OWN
    taught: bool = True


@dataclass(frozen=True)
class _Lent:
    """A teacher, its answers to what students learn from (``record``) and those to the test texts."""

    model: Trained
    knowledge: Dataset
    test: Logits


def transfer_trainings(config: LabConfig) -> list[LabTraining]:
    """What does the student learn from? Alone, distilled with each number of transfer texts, and for the
    largest number from the teacher's hard answers too: more texts without soft labels. Last, alone from
    random weights: what its start is worth."""
    labels = labels_only(config.distil.objective)
    variants = {"student alone": StudentVariant("alone", labels, 0)}
    for texts in sorted(set(config.transfer)):
        variants[f"{texts} transfer texts"] = StudentVariant("student", config.distil.objective, texts)
    if most := max(config.transfer):
        own = hard_answers(config.distil.objective)
        variants[f"{most} hard answers"] = StudentVariant("hard_answers", own, most)
    variants["random start"] = StudentVariant("plain_start", labels, 0, init=ROLES["plain_start"].init)
    return [LabTraining(name, seed, variant) for seed in config.seeds for name, variant in variants.items()]


def run_lab(
    config: DistillConfig,
    trainings: Sequence[LabTraining],
    work: Path,
    on_event: OnEvent = ignore,
    control: Control | None = None,
    *,
    before: LabReport | None = None,
    keep: Callable[[LabReport], None] = lambda report: None,
    watch: OnEvent = ignore,
) -> LabReport:
    """Train and score the students of ``trainings``, less those that the report ``before`` has.

    ``keep`` gets the report so far after each, ``watch`` every event of the trainings. Checkpoints and
    students lie in ``work``, a folder for each name.
    Raises: KDError (Stopped: a training goes on from its checkpoint when called again).
    """
    task = load_task(config.task)
    model, tokenizer = load_teacher(config.teacher, task)
    config = begin(
        work, config, resolve(config, task, model.config, token_lengths(tokenizer, task)), on_event
    )
    if before and before.get("training_version", 1) != TRAINING_VERSION:  # 0.1 did not note it
        before = None
    done = {(cell["name"], cell["seed"]) for cell in before["cells"]} if before else set()
    left = [
        _resolved(training, config) for training in trainings if (training.name, training.seed) not in done
    ]
    progress = _LabProgress(
        on_event, fixed(config.training.steps), len(trainings), len(trainings) - len(left)
    )

    def hear(event: Event) -> None:
        progress(event)
        watch(event)

    run = Run(task, config, work, hear, control or Control())
    teacher, _ = teach(run, model, tokenizer)
    knowledge, _ = record(run, teacher)
    own = lent = _Lent(teacher, knowledge, logits_of(run, teacher, {"test": task.test})["test"])
    truth, who = np.asarray(task.test["label"][:]), OWN
    report: LabReport = before or {
        "config": config.model_dump(mode="json"),
        "training_version": TRAINING_VERSION,
        "machine": describe_machine(),
        "test_texts": len(task.test),
        "labels": list(task.labels),
        "truth": pack_answers(truth),
        "teacher": {"accuracy": float((own.test.argmax(axis=1) == truth).mean())},
        "teachers": {OWN: pack_answers(own.test.argmax(axis=1))},
        "cells": [],
    }
    for training in left:
        progress.start(f"{training.name}, seed {training.seed}")
        if training.teacher != who:
            who, lent = training.teacher, own if training.teacher == OWN else _lend(run, training, own)
            answers = pack_answers(lent.test.argmax(axis=1))
            report = report | {"teachers": {**report.get("teachers", {}), who: answers}}
        cell = _train_and_score(run, training, lent.model, lent.knowledge)
        if (machine := describe_machine()) != report["machine"]:
            cell["machine"] = machine
        report = report | {"cells": [*report["cells"], cell]}
        keep(report)
        progress.done += 1
    return report


def _resolved(training: LabTraining, config: DistillConfig) -> LabTraining:
    """At the temperature of a resolved ``config`` where the training leaves it open."""
    objective = training.variant.objective
    if objective.temperature == "auto":
        objective = objective.model_copy(update={"temperature": config.objective.temperature})
    return replace(training, variant=replace(training.variant, objective=objective))


def _lend(run: Run, training: LabTraining, own: _Lent) -> _Lent:
    """Another teacher than the lab's own."""
    run = replace(run, config=run.config.change(training.changes), work=run.work / training.teacher)
    model, tokenizer = load_teacher(run.config.teacher, run.task)
    if training.taught:
        teacher, _ = teach(run, model, tokenizer)
    else:
        teacher = Trained("teacher", training.seed, model.eval().to(device()), tokenizer, run.work)
    knowledge, _ = record(run, teacher)
    test = logits_of(run, teacher, {"test": run.task.test})["test"]
    if training.taught:
        return _Lent(teacher, knowledge, test)
    # An untaught head hardly moves, and says the same class of all texts.
    known, like = (np.asarray(some["logits"][:], dtype=np.float32) for some in (knowledge, own.knowledge))
    scale = like.std(axis=0) / known.std(axis=0)
    shift = like.mean(axis=0) - scale * known.mean(axis=0)
    scaled = Dataset.from_dict({"logits": (scale * known + shift).tolist()}, features=own.knowledge.features)
    return _Lent(teacher, scaled, scale * test + shift)


def _train_and_score(run: Run, training: LabTraining, teacher: Trained, knowledge: Dataset) -> LabCell:
    """A cell of the report."""
    run = replace(run, config=run.config.change(training.changes), work=run.work / training.name)
    transfer = min(training.variant.transfer, len(run.task.transfer))
    variant = replace(training.variant, transfer=transfer)
    student = train_student(run, variant, training.seed, teacher, knowledge)
    size = model_size(student.model.config)
    logits = logits_of(run, student, {"test": run.task.test, "validation": run.task.validation})
    truth = {
        name: np.asarray(split["label"][:])
        for name, split in (("test", run.task.test), ("validation", run.task.validation))
    }
    right = {name: logits[name].argmax(axis=1) == truth[name] for name in logits}
    cell: LabCell = {
        "name": training.name,
        "seed": training.seed,
        "who": variant.who,
        "transfer": transfer,
        "layers": run.config.student.layers,
        "hidden": run.config.student.hidden,
        "accuracy": float(right["test"].mean()),
        "right": pack(right["test"]),
        "params": size.params,
        "embedding_params": size.embedding_params,
        "validation": float(right["validation"].mean()),
        "answers": pack_answers(logits["test"].argmax(axis=1)),
        "teacher": training.teacher,
        "temperature": fixed(variant.objective.temperature),
    }
    if variant.unseen:
        place = run.task.labels.index(variant.unseen)
        shift = best_shift(logits["validation"], truth["validation"], place)
        shifted = logits["test"] + shift * (np.arange(len(run.task.labels)) == place)
        cell |= {"unseen": place, "shift": shift, "shifted": pack_answers(shifted.argmax(axis=1))}
    return cell


@dataclass
class _LabProgress:
    """The steps of all students as the progress of one job; until the first of them, only a label."""

    on_event: OnEvent
    steps: int
    trainings: int
    done: int
    label: str = ""

    def start(self, label: str) -> None:
        self.label = label
        self._report(label, 0)

    def __call__(self, event: Event) -> None:
        match event:
            case Step(who="teacher"):
                self._report("teaching the teacher", 0)
            case Progress(stage="record"):
                self._report("recording the teacher", 0)
            case Step(step=step):
                self._report(self.label, step)

    def _report(self, label: str, step: int) -> None:
        total = self.trainings * self.steps
        self.on_event(Progress(None, label, self.done * self.steps + step, total))
