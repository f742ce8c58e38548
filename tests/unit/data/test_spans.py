"""Texts made of, or chosen from, the training texts: spans of words, and a part of the texts (``fewer``)."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data.fewer import fewer, in_turn
from kd_core.data.spans import FEW, WORDS, augmented, spans_per_text
from kd_core.data.splits import normalised
from kd_core.data.task import Answers, Task
from kd_core.data.words import WORD
from kd_core.errors import DataError
from tests.unit.data.films import made

TRAIN = ["a b c d e f g h i j", "one two three", "Größe  zählt,\tnicht wahr", "好看的电影", "word"]
MANY = [f"{text} number {n}" for n in range(4) for text in TRAIN]
ANSWERS = Answers({}, np.zeros((5, 2), np.float32), "logits", "rows")


def task(train: list[str] = TRAIN, transfer: list[str] = (), **more) -> Task:
    return made([(text, i % 2) for i, text in enumerate(train)], transfer=transfer, **more)


def spans(train: list[str] = TRAIN, **options) -> list[str]:
    made = augmented(task(train), TaskConfig(**options))
    assert made.spans == len(made.transfer)
    return made.transfer["text"][:]


@settings(deadline=None, max_examples=50)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=90), min_size=1, max_size=6),
    count=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_spans_are_parts_of_training_texts_of_two_to_eight_words_or_a_third(texts, count, seed):
    found = spans(texts, augment=count, split_seed=seed)
    assert len(found) <= count * len(texts)
    for span in found:
        lengths = [len(WORD.findall(text)) for text in texts if span in text]
        assert min(WORDS[0], *lengths) <= len(WORD.findall(span)) <= max(WORDS[1], max(lengths) // 3)
    assert len({normalised(span) for span in found}) == len(found)


@pytest.mark.parametrize(("words", "longest"), [(26, 8), (45, 15)])
def test_spans_of_a_long_text_have_up_to_a_third_of_it(words, longest):
    texts = [" ".join(f"w{place}" for place in range(n, n + words)) for n in range(50)]
    assert {len(span.split()) for span in spans(texts, augment=20)} == set(range(2, longest + 1))


def test_spans_follow_the_transfer_texts_and_are_no_whole_texts():
    both = augmented(task(transfer=["from the user"]), TaskConfig(augment=4))
    assert (both.transfer["text"][0], len(both.transfer)) == ("from the user", 1 + both.spans)
    assert both.notes[0].startswith(f"The teacher also answers {both.spans} spans of words, cut from ")
    assert spans(["x y", "x  Y", "X y"], augment=50) == []
    assert spans(["x y z"], augment=50) == ["y z"]  # x y is held out
    assert spans(augment=3) == spans(augment=3) != spans(augment=3, split_seed=1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("好看的电影", {"好看", "电影"}),
        ("น้ำดื่มดี", {"น้ำดื่", "ดื่ม", "มดี", "น้ำดื่ม", "ดื่มดี"}),
        ("น้ำดื่มที่ร้านนี้", {"ที่ร้"}),
    ],
)
def test_texts_without_spaces_are_cut_between_letters_with_their_marks(text, parts):
    found = spans([text], augment=100)
    assert set(found) >= parts
    assert not [span for span in found if unicodedata.category(span[0]) == "Mn" or span[0] == "ำ"]


@pytest.mark.parametrize(
    ("given", "options", "count"),
    [
        *((task(), {"transfer_texts": room}, count) for room, count in ((40, 8), (39, 7), (5, 1), (4, 0))),
        (task(), {"augment": 0}, 0),
        (task(answers=ANSWERS), {}, 0),
        (task(transfer=["more"]), {}, 0),
        (task(transfer=["more"]), {"augment": 2}, 2),
        # A few other texts, or the training texts again, are as none.
        (task(MANY, ["other"]), {}, 8),
        (task(MANY, ["other", "another"]), {}, 0),
        (task(MANY, MANY), {}, 8),
        (task([f"text {i} of many" for i in range(FEW)]), {}, 0),
        (task([f"text {i} of many" for i in range(FEW - 1)]), {}, 4),
    ],
)
def test_how_many_spans_are_cut_of_each_text(given, options, count):
    config = TaskConfig(**options)
    assert spans_per_text(given, config) == count
    if len(given.train) < 100:
        cut = augmented(given, config)
        assert bool(cut.spans) == bool(count)
        again = "20 transfer texts are training texts too, of which a student learns nothing new."
        assert (again in cut.notes) == (given.transfer["text"][:] == MANY)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 5))
def test_any_first_part_has_each_class_in_its_share(labels, seed):
    order, counts = in_turn(labels, seed), Counter(labels)
    assert sorted(order) == list(range(len(labels)))
    assert order == in_turn(labels, seed)
    assert len({labels[row] for row in order[: len(counts)]}) == len(counts)  # one of each comes first
    for size in range(len(labels)):
        part = Counter(labels[row] for row in order[:size])
        assert all(abs(part[name] - size * count / len(labels)) <= 3 for name, count in counts.items())


def test_fewer_texts_keep_their_order_and_lie_in_a_larger_part():
    whole, small = (task([f"text {i}" for i in range(count)]) for count in (40, 20))
    half, quarter = (fewer(whole, TaskConfig(train_texts=count)) for count in (20, 10))
    other = fewer(whole, TaskConfig(train_texts=20, split_seed=1))
    assert Counter(half.train["label"]) == {0: 10, 1: 10}
    rows = [int(text.removeprefix("text ")) for text in half.train["text"]]
    assert rows == sorted(rows)
    assert half.notes == ("20 of the 40 labelled texts train, as was asked.",)
    assert (half.validation, half.test, half.transfer) == (whole.validation, whole.test, whole.transfer)
    assert {*quarter.train["text"]} < {*half.train["text"]} != {*other.train["text"]}
    for limit in (0, 40, 1_000):
        assert fewer(whole, TaskConfig(train_texts=limit)) is whole
    assert len(fewer(small, TaskConfig(train_texts=4)).train) == 4
    with pytest.raises(DataError, match=r"^--train-texts 3 is too few for 2 classes: give at least 4, or 0"):
        fewer(small, TaskConfig(train_texts=3))
