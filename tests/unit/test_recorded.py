"""The recorded numbers belong to the corpus and the split that the app shows them with."""

from __future__ import annotations

import json

import numpy as np

from kd_core.data.bundled import CORPUS_SHA256
from kd_core.paths import app_folder
from kd_core.recorded import digest, recorded


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
