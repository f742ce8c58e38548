"""The recorded numbers belong to the corpus and the split that the app shows them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

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
from tests import SAMPLES

Older = dict[str, tuple[Any, Any]]  # a setting: what was recorded, and what it is today

KNOWN: dict[str, Older] = {}  # by recording, where a changed default changes nothing of what it shows


def test_they_belong_to_the_corpus_and_hold_none_of_its_texts() -> None:
    file = app_folder() / "assets" / "recorded" / "bbc-headlines.json"
    assert json.loads(file.read_text())["corpus_sha256"] == CORPUS_SHA256
    assert not [text for text in recorded().texts() if text in file.read_text()]


def test_each_row_finds_its_headline() -> None:
    known = recorded()
    assert [digest(text) for text in known.texts()] == list(known.digests)
    assert len(known.digests) == 200


def test_logits_of_three_models_that_have_learned_the_task() -> None:
    known = recorded()
    assert set(known.logits) == {"teacher", "alone", "student"}
    for logits in known.logits.values():
        assert logits.shape == (200, 5)
        assert np.mean(logits.argmax(axis=1) == known.truth) > 0.8


def test_the_replay_is_one_of_fifty_headlines_at_forty_moments() -> None:
    replay = recorded_replay()
    assert replay.student.shape == (40, 50, 5)
    assert replay.steps == tuple(moments(900))
    assert [digest(text) for text in replay.texts] == _content("replay-bbc-headlines")["digests"]
    assert replay.agrees[0].mean() < 0.5 < 0.7 < replay.agrees[-1].mean()


def test_the_labs_measured_every_cell_on_this_corpus() -> None:
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
def test_the_claims_were_measured_on_this_corpus(name: ClaimName) -> None:
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


def test_no_text_is_recorded() -> None:
    headlines = set(recorded_replay().texts)
    for file in (app_folder() / "assets" / "recorded").iterdir():
        content = file.read_text()
        assert not [text for text in headlines if text in content], file.name


@pytest.fixture(scope="module")
def resolved() -> Callable[[DistillConfig], DistillConfig]:
    """As a run would store it today; all texts are English, so that all have the same teacher."""
    _, tokenizer = load_teacher(LESSON.teacher, load_task(LESSON.task))
    task = cache(load_task)
    lengths = cache(lambda config: token_lengths(tokenizer, task(config)))

    def of(config: DistillConfig) -> DistillConfig:
        assert config.teacher.model in ("auto", LESSON.teacher.model)
        known = task(config.task)  # how many texts there are decides what the teacher's head reads
        teacher = teacher_config(config.teacher, known.labels, texts=len(known.train))
        return resolve(config, known, teacher, lengths(config.task))

    return of


def older(name: str, asked: DistillConfig) -> Older:
    """In which settings the recording differs from what is ``asked`` for."""
    content = _content(name)
    stored = content.get("config") or content["result"]["config"]["distill"]
    return _changed({"version": 1} | stored, content.get("training_version", 1), asked)


def _changed(stored: dict[str, Any], training_version: int, asked: DistillConfig) -> Older:
    was = settings(DistillConfig.from_dict(stored).model_dump(mode="json"))
    now = settings(asked.model_dump(mode="json"))
    was["training_version"], now["training_version"] = training_version, TRAINING_VERSION
    del now["training.precision"]  # the machine's
    return {place: (was[place], value) for place, value in now.items() if was[place] != value}


@pytest.mark.parametrize("name", sorted({*KNOWN, *(file.stem for file in FOLDER.glob("*.json"))}))
def test_settings_in_which_a_recording_is_stale_are_known(
    name: str, record: ModuleType, resolved: Callable[[DistillConfig], DistillConfig]
) -> None:
    if name.startswith("search-"):  # what was asked for, and not what became of auto
        asked = LESSON.change({"task.transfer_texts": 0, "training.steps": 150})
    else:
        asked = resolved(record.asked(name.removesuffix(TASK).removesuffix("-")))
    found, known = older(name, asked), KNOWN.get(name, {})
    stale = {place: pair for place, pair in found.items() if known.get(place) != pair}
    assert not stale, f"{name} is stale in {stale}, then and now: record it again, or say in KNOWN why not"
    gone = known.keys() - found.keys()
    assert not gone, f"{name} is not stale in {sorted(gone)}: take that out of KNOWN"


# What the figures of a document were measured with is in tests/samples/measured.yaml, as a run resolves it.
MEASURED = {
    "the table of README.md": {"task.train_texts": 200, "task.transfer_texts": 4_000},
    "the suite of docs/quality.md": {"task.transfer_texts": 0},  # headlines
    "its row with a transfer set": {},  # demo
}


@pytest.mark.parametrize("what", MEASURED)
def test_figures_of_the_documents_are_of_todays_settings(
    what: str, resolved: Callable[[DistillConfig], DistillConfig]
) -> None:
    measured = yaml.safe_load((SAMPLES / "measured.yaml").read_text("utf-8"))[what]
    asked = resolved(DistillConfig().change(MEASURED[what]))
    stale = _changed(measured["config"], measured["training_version"], asked)
    assert not stale, f"{what} is stale in {stale}, then and now: measure it again"


def test_a_default_that_is_changed_makes_recordings_stale() -> None:
    name = f"search-{TASK}"
    asked = LESSON.change({"task.transfer_texts": 0, "training.steps": 150})
    assert older(name, asked) == {}
    changed = asked.change({"student.trim_vocabulary": False, "objective.temperature": 2.0})
    assert older(name, changed) == {
        "student.trim_vocabulary": (True, False),
        "objective.temperature": (4.0, 2.0),
    }
