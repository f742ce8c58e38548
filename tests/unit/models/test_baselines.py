"""The TF-IDF baseline."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.models import baselines
from kd_core.models.baselines import TfidfBaseline

TEXTS = ["the match was won", "the goal was late", "a bank fell", "a bank rose"]
LABELS = [0, 0, 1, 1]


def test_words_decide() -> None:
    floor = TfidfBaseline.fit(TEXTS, LABELS, 2)
    assert floor.logits(["the late goal", "one bank"]).argmax(axis=1).tolist() == [0, 1]


def test_class_weights() -> None:
    """A text without a known word is classified by the shares of the classes."""
    texts, labels = [*TEXTS, "the cup was won"], [*LABELS, 0]
    plain, weighted = (
        TfidfBaseline.fit(texts, labels, 2, weights).logits(["xyz"]).argmax()
        for weights in (None, np.array([1.0, 20.0]))
    )
    assert (plain, weighted) == (0, 1)


def test_languages_without_spaces() -> None:
    floor = TfidfBaseline.fit(["好看的书", "好看的人", "难看的书", "难看极了"], [1, 1, 0, 0], 2)
    assert floor.logits(["真好看", "太难看"]).argmax(axis=1).tolist() == [1, 0]


def test_texts_without_words() -> None:
    floor = TfidfBaseline.fit(["😀😀", "😀 👍", "!!!", "😡 !"], [1, 1, 0, 0], 2)
    assert floor.logits(["😀 !", "😡😡"]).argmax(axis=1).tolist() == [1, 0]


def test_logits_are_log_probabilities() -> None:
    logits = TfidfBaseline.fit(TEXTS, LABELS, 2).logits(["the bank", "nothing known"])
    assert np.exp(logits).sum(axis=1) == pytest.approx([1, 1])


def test_a_class_without_texts() -> None:
    logits = TfidfBaseline.fit(TEXTS, [0, 0, 2, 2], 3).logits(["a bank"])
    assert logits.shape == (1, 3)
    assert logits.argmax() == 2
    assert logits[0, 1] == -100


def test_long_texts_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "CHARACTERS", 6)
    floor = TfidfBaseline.fit(TEXTS, LABELS, 2)
    words, _ = floor.vectorizers
    assert sorted(words.vocabulary_) == ["a", "a bank", "bank", "go", "ma", "the", "the go", "the ma"]
    assert (floor.logits(["a bank fell"]) == floor.logits(["a bank"])).all()


def test_many_texts_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "LETTERS", 4)
    words, _ = TfidfBaseline.fit(["aa", "bb", "cc", "dd"], [0, 0, 0, 1], 2).vectorizers
    assert sorted(words.vocabulary_) == ["aa", "cc", "dd"]


def test_features_are_limited_for_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "WEIGHTS", 12)
    floor = TfidfBaseline.fit(TEXTS, [0, 1, 2, 3], 4)
    assert floor.params == 4 * (3 + 3) + 4


def test_size() -> None:
    """One weight for each feature and a bias; an IDF and the letters of each feature."""
    floor = TfidfBaseline.fit(["ab", "ab", "c", "c"], [0, 0, 1, 1], 2)
    words, letters = (sorted(one.vocabulary_) for one in floor.vectorizers)
    assert words == ["ab", "c"]
    assert letters == [" a", " ab", " ab ", " c", " c ", "ab", "ab ", "b ", "c "]
    assert floor.params == 11 + 1
    assert floor.megabytes == pytest.approx((4 * (12 + 11) + 3 + 23) / 1e6)
