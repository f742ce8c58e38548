"""A part of a task's labelled texts."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.fewer import fewer, in_turn
from kd_core.data.task import Task, labelled, unlabelled
from kd_core.errors import DataError


def task(labels: list[int]) -> Task:
    train = labelled([f"text {row}" for row in range(len(labels))], labels)
    other = labelled(["other"], [0])
    return Task("films", ("neg", "pos"), train, other, other, unlabelled(["more"]))


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 5))
def test_any_first_part_has_each_class_in_its_share(labels: list[int], seed: int) -> None:
    order, counts = in_turn(labels, seed), Counter(labels)
    assert sorted(order) == list(range(len(labels)))
    assert order == in_turn(labels, seed)
    assert len({labels[row] for row in order[: len(counts)]}) == len(counts)  # one of each comes first
    for size in range(len(labels)):
        part = Counter(labels[row] for row in order[:size])
        assert all(abs(part[name] - size * count / len(labels)) <= 3 for name, count in counts.items())


def test_the_part_keeps_the_order_of_the_texts_and_says_how_large_it_is() -> None:
    whole = task([0] * 30 + [1] * 10)
    half = fewer(whole, TaskConfig(train_texts=20))
    assert Counter(half.train["label"]) == {0: 15, 1: 5}
    rows = [int(text.removeprefix("text ")) for text in half.train["text"]]
    assert rows == sorted(rows)
    assert half.notes == ("20 of the 40 labelled texts train, as was asked.",)
    assert (half.validation, half.test, half.transfer) == (whole.validation, whole.test, whole.transfer)
    # A smaller part lies in a larger one, and another seed draws another.
    quarter = fewer(whole, TaskConfig(train_texts=10))
    assert {*quarter.train["text"]} < {*half.train["text"]}
    assert fewer(whole, TaskConfig(train_texts=20, split_seed=1)).train["text"][:] != half.train["text"][:]


@pytest.mark.parametrize("limit", [0, 40, 1_000])
def test_all_texts_are_the_task_itself(limit: int) -> None:
    whole = task([0] * 30 + [1] * 10)
    assert fewer(whole, TaskConfig(train_texts=limit)) is whole


def test_too_few_are_refused_with_the_least() -> None:
    with pytest.raises(DataError, match=r"--train-texts 3 is too few for 2 classes: give at least 4, or 0"):
        fewer(task([0, 1] * 10), TaskConfig(train_texts=3))


def test_every_task_can_have_fewer() -> None:
    whole, part = (load_task(TaskConfig(train_texts=count, transfer_texts=0)) for count in (0, 100))
    assert len(part.train) == 100 < len(whole.train)
    assert part.test["text"][:] == whole.test["text"][:]
    assert part.fingerprint != whole.fingerprint
