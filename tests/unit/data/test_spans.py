"""Spans of the training texts for the teacher to label."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data.spans import FEW, WORDS, augmented, spans_per_text
from kd_core.data.splits import normalised
from kd_core.data.task import Answers, Task, labelled, unlabelled
from kd_core.data.words import WORD

TRAIN = ["a b c d e f g h i j", "one two three", "Größe  zählt,\tnicht wahr", "好看的电影", "word"]


def task(train: list[str] = TRAIN, transfer: list[str] | None = None, held_out: str = "x y") -> Task:
    part = labelled([held_out], [0])
    rows = labelled(train, [i % 2 for i in range(len(train))])
    return Task("t", ("no", "yes"), rows, part, part, unlabelled(transfer or []))


def spans(made: Task) -> list[str]:
    return made.transfer["text"][len(made.transfer) - made.spans :]


@settings(deadline=None, max_examples=50)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=90), min_size=1, max_size=6),
    count=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_each_is_a_part_of_a_training_text_of_two_to_eight_words_or_a_third_of_it(
    texts: list[str], count: int, seed: int
) -> None:
    made = augmented(task(texts), TaskConfig(augment=count, split_seed=seed))
    assert made.spans == len(made.transfer) <= count * len(texts)
    for span in spans(made):
        assert any(span in text for text in texts)
        lengths = [len(WORD.findall(text)) for text in texts if span in text]
        assert min(WORDS[0], *lengths) <= len(WORD.findall(span)) <= max(WORDS[1], max(lengths) // 3)
    keys = [normalised(span) for span in spans(made)]
    assert len(set(keys)) == len(keys)


def test_of_a_long_text_they_are_up_to_a_third_of_it() -> None:
    """Of 26 words as of few; of 45 words, 2 to 15."""
    for words, longest in ((26, 8), (45, 15)):
        texts = [" ".join(f"w{place}" for place in range(n, n + words)) for n in range(50)]
        lengths = {len(span.split()) for span in spans(augmented(task(texts), TaskConfig(augment=20)))}
        assert lengths == set(range(2, longest + 1))


def test_a_few_other_texts_or_the_training_texts_again_are_as_none() -> None:
    """One row without a label had turned spans off, and a file given twice."""
    train = [f"{text} number {n}" for n in range(4) for text in TRAIN]
    assert spans_per_text(task(train, ["other"]), TaskConfig()) == 8
    assert spans_per_text(task(train, ["other", "another"]), TaskConfig()) == 0
    twice = augmented(task(train, train), TaskConfig())
    assert twice.spans > 0
    assert (
        twice.notes[0] == "20 transfer texts are training texts too, of which a student learns nothing new."
    )


def test_whole_texts_of_the_task_are_left_out() -> None:
    made = augmented(task(["x y", "x  Y", "X y"]), TaskConfig(augment=50))
    assert made.spans == 0
    assert augmented(task(["x y z"]), TaskConfig(augment=50)).transfer["text"][:] == ["y z"]


def test_a_function_of_texts_and_seed() -> None:
    one, same, other = (
        spans(augmented(task(), TaskConfig(augment=3, split_seed=seed))) for seed in (0, 0, 1)
    )
    assert one == same != other


def test_they_follow_the_transfer_texts_and_a_note_counts_them() -> None:
    made = augmented(task(transfer=["from the user"]), TaskConfig(augment=4))
    assert made.transfer["text"][0] == "from the user"
    assert len(made.transfer) == 1 + made.spans
    assert made.notes == (
        f"The teacher also answers {made.spans} spans of words, cut from the training texts.",
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("好看的电影", {"好看", "电影"}),
        ("น้ำดื่มดี", {"น้ำดื่", "ดื่ม", "มดี", "น้ำดื่ม", "ดื่มดี"}),
        ("हिन्दी भाषा बोली", {"हिन्दी भाषा", "भाषा बोली"}),
    ],
)
def test_without_spaces_a_text_is_cut_between_characters(text: str, parts: set[str]) -> None:
    assert set(spans(augmented(task([text]), TaskConfig(augment=100)))) >= parts


def test_no_span_begins_with_a_mark_of_the_letter_before() -> None:
    made = spans(augmented(task(["น้ำดื่มที่ร้านนี้"]), TaskConfig(augment=60)))
    assert made
    assert not [span for span in made if unicodedata.category(span[0]) == "Mn" or span[0] == "ำ"]


@pytest.mark.parametrize(("limit", "each"), [(12_000, 8), (40, 8), (39, 7), (9, 1), (4, 0), (0, 0)])
def test_without_transfer_texts_a_few_of_each_text_as_many_as_the_limit_has_room_for(
    limit: int, each: int
) -> None:
    """TRAIN has five texts."""
    config = TaskConfig(transfer_texts=limit)
    made = augmented(task(), config)
    assert spans_per_text(task(), config) == spans_per_text(made, config) == each
    assert spans(made) == spans(augmented(task(), config.model_copy(update={"augment": each})))
    assert bool(made.spans) == bool(each)


def test_of_many_texts_nothing_is_cut_unless_asked_for() -> None:
    many = [f"text number {i} of many" for i in range(FEW)]
    assert [spans_per_text(task(many[first:]), TaskConfig()) for first in (0, 1)] == [0, 4]
    assert spans_per_text(task(many), TaskConfig(augment=2)) == 2


def test_with_transfer_texts_nothing_is_cut_unless_asked_for() -> None:
    given = task(transfer=["more"])
    assert augmented(given, TaskConfig()) is given
    assert augmented(given, TaskConfig(augment=2)).spans
    assert augmented(task(), TaskConfig(augment=0)).spans == 0


def test_nor_for_a_teacher_that_is_a_file_of_answers() -> None:
    answers = Answers({}, np.zeros((5, 2), np.float32), "logits", "rows")
    assert spans_per_text(replace(task(), answers=answers), TaskConfig()) == 0
