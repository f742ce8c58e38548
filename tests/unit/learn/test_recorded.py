"""The recorded numbers belong to the corpus and the split that the app shows them with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kd_core.data.bbc import CORPUS_SHA256, LABELS
from kd_core.distillation.training.replay import moments
from kd_core.learn.claim_training import trainings
from kd_core.learn.claims import ClaimName, claims, findings
from kd_core.learn.lab_results import LabConfig, unpack, unpack_answers
from kd_core.learn.recorded import _content, digest, is_recorded, recorded, recorded_lab, recorded_replay
from kd_core.system.paths import app_folder


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
    seeds = (0, 1, 2)
    transfer, size = recorded_lab("transfer"), recorded_lab("size")
    settings = {(cell["who"], cell["transfer"], cell["seed"]) for cell in transfer["cells"]}
    distilled = {("student", texts, seed) for texts in (0, 500, 2000, 8000) for seed in seeds}
    hard = {("hard_answers", 8000, seed) for seed in seeds}
    assert settings == distilled | hard | {("alone", 0, seed) for seed in seeds}
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
