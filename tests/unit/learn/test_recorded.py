"""The recorded numbers belong to the installed corpus and today's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kd_core.config import LESSON, DistillConfig, settings
from kd_core.data import load_task
from kd_core.data.bbc import CORPUS_SHA256, LABELS
from kd_core.distillation.resolve import resolve, token_lengths
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.distillation.training.replay import moments
from kd_core.learn.claim_training import trainings
from kd_core.learn.claims import ClaimName, claims, findings
from kd_core.learn.lab_results import LabConfig, unpack, unpack_answers
from kd_core.learn.recorded import (
    FOLDER,
    TASK,
    _content,
    digest,
    is_recorded,
    recorded,
    recorded_lab,
    recorded_replay,
)
from kd_core.models.loading import load_teacher, teacher_config
from kd_core.system.paths import app_folder

Older = dict[str, tuple[Any, Any]]  # by setting: the recorded value and today's

KNOWN: dict[str, Older] = {}  # by recording: changed defaults that do not affect what it shows


def test_recordings_belong_to_the_corpus_and_contain_no_text() -> None:
    file = app_folder() / "assets" / "recorded" / "bbc-headlines.json"
    assert json.loads(file.read_text())["corpus_sha256"] == CORPUS_SHA256
    headlines = {*recorded().texts(), *recorded_replay().texts}
    for recording in FOLDER.iterdir():
        content = recording.read_text()
        assert not [text for text in headlines if text in content], recording.name


def test_digests_of_headlines() -> None:
    known = recorded()
    assert [digest(text) for text in known.texts()] == list(known.digests)
    assert len(known.digests) == 200


def test_recorded_logits() -> None:
    known = recorded()
    assert set(known.logits) == {"teacher", "alone", "student"}
    for logits in known.logits.values():
        assert logits.shape == (200, 5)
        assert np.mean(logits.argmax(axis=1) == known.truth) > 0.8


def test_recorded_replay() -> None:
    replay = recorded_replay()
    assert replay.student.shape == (40, 50, 5)
    assert replay.steps == tuple(moments(900))
    assert [digest(text) for text in replay.texts] == _content("replay-bbc-headlines")["digests"]
    assert replay.agrees[0].mean() < 0.5 < 0.7 < replay.agrees[-1].mean()


def test_recorded_labs_are_complete() -> None:
    transfer, size = recorded_lab("transfer"), recorded_lab("size")
    settings = [(cell["who"], cell["transfer"], cell["seed"]) for cell in transfer["cells"]]
    kinds = [*(("student", texts) for texts in (0, 500, 2000, 8000)), ("hard_answers", 8000)]
    kinds += [("alone", 0), ("plain_start", 0)]
    assert sorted(settings) == sorted((*kind, seed) for kind in kinds for seed in range(5))
    students = {(cell["layers"], cell["hidden"]) for cell in size["cells"]}
    assert students == {(layers, hidden) for layers in (1, 2, 3, 4) for hidden in (64, 128, 192, 256)}
    for content in (transfer, size):
        assert content["corpus_sha256"] == CORPUS_SHA256
        assert {"processor", "cores", "torch"} <= set(content["machine"])
        for cell in content["cells"]:
            right = unpack(cell["right"], content["test_texts"])
            assert right.mean() == cell["accuracy"]


@pytest.mark.parametrize("name", [name for name in claims() if is_recorded(name)])
def test_recorded_claims_are_complete(name: ClaimName) -> None:
    content = recorded_lab(name)
    assert content["corpus_sha256"] == CORPUS_SHA256
    left_out = sorted({cell["unseen"] for cell in content["cells"] if "unseen" in cell})
    config = LabConfig(lab=name, classes=[LABELS[place] for place in left_out])
    wanted = {(training.name, training.seed) for training in trainings(config)}
    assert {(cell["name"], cell["seed"]) for cell in content["cells"]} == wanted
    assert content["labels"] == list(LABELS)
    truth = unpack_answers(content["truth"])
    for cell in content["cells"]:
        right = unpack(cell["right"], content["test_texts"])
        assert (right == (unpack_answers(cell["answers"]) == truth)).all()
        assert right.mean() == cell["accuracy"]
        assert cell["teacher"] in content["teachers"]
    assert findings(name, content).main


@pytest.fixture(scope="module")
def resolved() -> Callable[[DistillConfig], DistillConfig]:
    """``resolved(config)`` is the config that a run would store today."""
    _, tokenizer = load_teacher(LESSON.teacher, load_task(LESSON.task))
    task = cache(load_task)
    lengths = cache(lambda config: token_lengths(tokenizer, task(config)))

    def of(config: DistillConfig) -> DistillConfig:
        assert config.teacher.model in ("auto", LESSON.teacher.model)
        known = task(config.task)  # the number of texts decides the pooling of the teacher
        teacher = teacher_config(config.teacher, known.labels, texts=len(known.train))
        return resolve(config, known, teacher, lengths(config.task))

    return of


def older(name: str, asked: DistillConfig) -> Older:
    """Return the settings in which the recording differs from ``asked``."""
    content = _content(name)
    stored = content.get("config") or content["result"]["config"]["distill"]
    return _changed({"version": 1} | stored, content.get("training_version", 1), asked)


def _changed(stored: dict[str, Any], training_version: int, asked: DistillConfig) -> Older:
    was = settings(DistillConfig.from_dict(stored).model_dump(mode="json"))
    now = settings(asked.model_dump(mode="json"))
    was["training_version"], now["training_version"] = training_version, TRAINING_VERSION
    del now["training.precision"]  # depends on the machine
    return {place: (was[place], value) for place, value in now.items() if was[place] != value}


@pytest.mark.parametrize("name", sorted({*KNOWN, *(file.stem for file in FOLDER.glob("*.json"))}))
def test_recordings_use_todays_settings(
    name: str, record: ModuleType, resolved: Callable[[DistillConfig], DistillConfig]
) -> None:
    if name.startswith("search-"):  # not resolved
        asked = LESSON.change({"task.transfer_texts": 0, "training.steps": 150})
    else:
        asked = resolved(record.asked(name.removesuffix(TASK).removesuffix("-")))
    found, known = older(name, asked), KNOWN.get(name, {})
    stale = {place: pair for place, pair in found.items() if known.get(place) != pair}
    assert not stale, f"{name} is stale: {stale}. Record it again, or add it to KNOWN"
    gone = known.keys() - found.keys()
    assert not gone, f"{name} is not stale in {sorted(gone)}: remove it from KNOWN"


def test_a_changed_default_makes_recordings_stale() -> None:
    name = f"search-{TASK}"
    asked = LESSON.change({"task.transfer_texts": 0, "training.steps": 150})
    assert older(name, asked) == {}
    changed = asked.change({"student.trim_vocabulary": False, "objective.temperature": 2.0})
    assert older(name, changed) == {
        "student.trim_vocabulary": (True, False),
        "objective.temperature": (4.0, 2.0),
    }
