"""Step 4: teacher and students on texts that none of them has seen, and what that says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import pandas as pd
from datasets import Dataset
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from kd_core.data.corruption import corrupted
from kd_core.data.task import Task, content_hash, labelled
from kd_core.distillation.events import Progress
from kd_core.distillation.latency import interleaved, latency
from kd_core.distillation.metrics import (
    Fidelity,
    Floor,
    Latency,
    Scores,
    Verdict,
    fidelity,
    scores,
    verdict,
    wilson,
)
from kd_core.distillation.report import ModelReport
from kd_core.distillation.roles import ROLES, Role
from kd_core.distillation.run import Run, Trained
from kd_core.models.baselines import TfidfBaseline
from kd_core.models.inference import Logits, collate, encode, predict_logits
from kd_core.models.loading import model_hash
from kd_core.models.size import model_size, size_mb
from kd_core.models.vocabulary import share_unknown
from kd_core.system.atomic import fetch

CORRUPTION_SEED = 0


@dataclass(frozen=True)
class Findings:
    models: dict[Role, ModelReport]
    verdict: Verdict
    fidelity: Fidelity
    predictions: pd.DataFrame  # a row per test text: text, label, and the logits of each model
    unknown_texts: float | None  # as in Report
    floor: Floor | None


def validate(run: Run, trained: list[Trained]) -> Findings:
    """Score all models under the same conditions. ``trained`` holds the teacher, students and controls.

    Raises: Stopped, between two batches.
    """
    task, controls = run.task, run.config.controls
    sets = {"test": task.test} | (shifted_sets(task) if controls.shifted else {})
    logits: dict[str, dict[str, Logits]] = {}
    for done, model in enumerate(trained):
        run.on_event(Progress("validate", f"scoring {model.name}", done, len(trained) + 1))
        logits[model.name] = logits_of(run, model, sets)
    run.on_event(Progress("validate", "measuring latency", len(trained), len(trained) + 1))
    speed = _latency(run, trained)

    labels = np.asarray(task.test["label"])
    by_who: dict[Role, list[Trained]] = defaultdict(list)
    for model in trained:
        by_who[model.who].append(model)
    reports = {
        who: _report(models, {m.seed: logits[m.name] for m in models}, sets, task.labels, speed[who])
        for who, models in by_who.items()
    }
    right = {
        who: np.stack([logits[m.name]["test"].argmax(axis=1) == labels for m in by_who[who]])
        for who in ("student", "alone")
    }
    floor = _floor(run, right["student"]) if controls.tfidf else None
    run.on_event(Progress("validate", "done", len(trained) + 1, len(trained) + 1))
    first = by_who["student"][0]
    predictions = pd.DataFrame({"text": task.test["text"], "label": labels})
    for model in trained:
        predictions[model.name] = list(logits[model.name]["test"])
    return Findings(
        models=reports,
        verdict=verdict(right["student"], right["alone"], resamples=controls.resamples),
        fidelity=fidelity(logits["teacher"]["test"], logits[first.name]["test"], labels),
        predictions=predictions,
        unknown_texts=_unknown_texts(task, by_who["teacher"][0], first),
        floor=floor,
    )


def _floor(run: Run, student: NDArray[np.bool_]) -> Floor:
    """``student``: whether it is right, (seeds, test texts). Raises: Stopped."""
    task, repeats = run.task, run.config.controls.latency_repeats
    texts = list(task.test["text"])
    baseline = TfidfBaseline.fit(task.train["text"], task.train["label"], len(task.labels))
    logits, labels = baseline.logits(texts), np.asarray(task.test["label"])
    score = scores(logits, labels, task.labels)
    right = np.broadcast_to(logits.argmax(axis=1) == labels, student.shape)
    times = interleaved(
        {"tfidf": lambda turn: baseline.logits([texts[turn % len(texts)]])}, repeats, control=run.control
    )
    return Floor(
        accuracy=score.accuracy,
        low=score.low,
        high=score.high,
        macro_f1=score.macro_f1,
        params=baseline.params,
        size_mb=baseline.megabytes,
        latency_ms=float(np.median(times["tfidf"])) / 1e6,
        verdict=verdict(student, right, resamples=run.config.controls.resamples),
    )


def _unknown_texts(task: Task, teacher: Trained, student: Trained) -> float | None:
    if not student.tokenizer.get_vocab().keys() <= teacher.tokenizer.get_vocab().keys():
        return None
    texts = chain(task.validation["text"], task.test["text"])
    return share_unknown(teacher.tokenizer, student.tokenizer, texts)


def shifted_sets(task: Task) -> dict[str, Dataset]:
    """Corrupted copies of the test texts, and what the task brings of another kind of text."""
    copies = corrupted(task.test["text"], seed=CORRUPTION_SEED)
    return {name: labelled(texts, task.test["label"]) for name, texts in copies.items()} | task.shifted


def logits_of(run: Run, trained: Trained, sets: Mapping[str, Dataset]) -> dict[str, Logits]:
    """Logits (rows, classes) for each set. Those of a model that many runs share are kept."""

    def compute() -> dict[str, Logits]:
        return {
            name: predict_logits(
                trained.model,
                encode(trained.tokenizer, split, run.max_length),
                precision=run.precision,
                control=run.control,
            )
            for name, split in sets.items()
        }

    if not ROLES[trained.who].shared:
        return compute()
    place = run.place(
        "scores",
        model=model_hash(trained.model, trained.tokenizer),
        sets={name: content_hash(split) for name, split in sets.items()},
        max_length=run.max_length,
        precision=run.precision,
    )

    def make(folder: Path) -> None:
        save_file(compute(), folder / "logits.safetensors")

    fetch(place, make)
    return load_file(place / "logits.safetensors")  # type: ignore[no-any-return]


def correct(run: Run, model: PreTrainedModel, encoded: Dataset) -> NDArray[np.bool_]:
    """Whether the model is right, for each text. Raises: Stopped, between two batches."""
    logits = predict_logits(model, encoded, precision=run.precision, control=run.control)
    return np.asarray(logits.argmax(axis=1) == np.asarray(encoded["label"]))


def _latency(run: Run, trained: list[Trained]) -> dict[Role, Latency]:
    """Batch 1, one thread, real test texts. All students share one architecture, so one of them is timed."""
    teacher = next(m for m in trained if m.who == "teacher")
    student = next(m for m in trained if m.who == "student")
    repeats = run.config.controls.latency_repeats
    texts = run.task.test.select(range(min(len(run.task.test), repeats)))
    encoded: dict[str, list[dict[str, Tensor]]] = {
        m.who: [
            collate([{"input_ids": ids}], m.model.config.pad_token_id or 0)
            for ids in encode(m.tokenizer, texts, run.max_length)["input_ids"]
        ]
        for m in (teacher, student)
    }
    models: dict[str, PreTrainedModel] = {m.who: m.model for m in (teacher, student)}
    measured = latency(models, encoded, repeats=repeats, threads=1, control=run.control)
    return {m.who: measured["teacher" if m is teacher else "student"] for m in trained}


def _report(
    models: list[Trained],
    logits: Mapping[int, Mapping[str, Logits]],
    sets: Mapping[str, Dataset],
    labels: tuple[str, ...],
    speed: Latency,
) -> ModelReport:
    """One kind of model over its seeds."""
    truth = {name: np.asarray(split["label"]) for name, split in sets.items()}
    by_seed: dict[int, Scores] = {
        seed: scores(by_set["test"], truth["test"], labels) for seed, by_set in logits.items()
    }
    shifted = {
        name: fmean(float((by_set[name].argmax(axis=1) == truth[name]).mean()) for by_set in logits.values())
        for name in sets
        if name != "test"
    }
    size = model_size(models[0].model.config)
    results = list(by_seed.values())
    accuracy = fmean(r.accuracy for r in results)
    low, high = wilson(accuracy, len(truth["test"]))
    return ModelReport(
        accuracy=accuracy,
        low=low,
        high=high,
        spread=pstdev(r.accuracy for r in results),
        macro_f1=fmean(r.macro_f1 for r in results),
        ece=fmean(r.ece for r in results),
        params=size.params,
        embedding_params=size.embedding_params,
        size_mb=size_mb(models[0].folder),
        latency_ms=speed,
        shifted=shifted,
        seeds=by_seed,
    )
