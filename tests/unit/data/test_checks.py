"""What is looked for in a task before anybody learns from it."""

from __future__ import annotations

import pytest

from kd_core.data import checks
from kd_core.data.checks import FEW, Check, examine
from kd_core.data.task import Task, labelled, unlabelled

Rows = list[tuple[str, int]]
NAMES = ("Repeated texts", "Leaks between splits", "Near-copies", "Conflicting labels", "Rare classes")
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def rows(split: str, count: int, first: int = 0) -> Rows:
    """Different texts, in turn of each class."""
    return [
        (f"{split} {WORDS[i % 12]} {WORDS[(i * 5 + i // 12) % 12]} {'abcdefghij'[i // 12] * 3}", i % 2)
        for i in range(first, first + count)
    ]


def task(
    train: Rows | None = None, test: Rows | None = None, transfer: tuple[str, ...] = (), labels=("neg", "pos")
) -> Task:
    """One that nothing is wrong with, but for what is given."""
    train, test = train or rows("learned", 40), test or rows("asked", 2 * FEW)
    splits = (labelled(*zip(*part, strict=True)) for part in (train, rows("looked", 10), test))
    return Task("t", labels, *splits, unlabelled(transfer))


def found(checked: Task) -> dict[str, Check]:
    checks = examine(checked)
    assert tuple(check.name for check in checks) == NAMES
    return {check.name: check for check in checks if check.found}


def test_nothing_is_found_where_nothing_is_wrong():
    assert found(task()) == {}
    says = {check.name: check.says for check in examine(task())}
    assert says["Rare classes"] == "The smallest class, neg, has 20 training texts."
    assert says["Near-copies"] == "No near-copy among 20 test texts, compared with 40 training texts."


def test_repeats_are_counted_without_the_first_of_each():
    again = rows("learned", 40) + [("Learned  one one aaa", 0)] * 2
    (check,) = found(task(again)).values()
    assert (check.name, check.found) == ("Repeated texts", 2)
    assert check.says == "2 of 42 training texts repeat another."
    assert check.examples.to_dict("list") == {"Times": [3], "Text": ["learned one one aaa"]}


@pytest.mark.parametrize("transfer", [(), ("ASKED one one aaa",)])
def test_a_text_that_is_learned_from_and_tested_on(transfer: tuple[str, ...]):
    train = rows("learned", 40) + ([] if transfer else [("asked one one aaa", 0)])
    (check,) = found(task(train, transfer=transfer)).values()
    assert (check.name, check.found) == ("Leaks between splits", 1)
    assert check.says == "1 validation or test text is learned from as well."
    assert check.examples.to_dict("list") == {"Split": ["test"], "Text": ["asked one one aaa"]}


def test_of_many_texts_a_part_is_compared_and_it_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "HELD_OUT", 8)
    says = {check.name: check.says for check in examine(task())}["Near-copies"]
    assert says == "No near-copy among 7 of the 20 test texts, compared with 40 training texts."


def test_a_near_copy_is_shown_beside_what_it_is_like():
    long = "the quick brown fox jumps over the lazy dog while the other animals watch"
    (check,) = found(
        task([*rows("learned", 40), (long, 0)], [*rows("asked", 20), (f"{long} today", 1)])
    ).values()
    assert (check.name, check.found) == ("Near-copies", 1)
    assert check.says == "1 near-copy among 21 test texts, compared with 41 training texts."
    row = check.examples.iloc[0]
    assert 80 < row["Alike"] < 100
    assert (row["Test text"], row["Training text"]) == (f"{long} today", long)


def test_a_run_is_told_of_copies_and_what_to_do():
    assert checks.copies(task()) == []
    again = [*rows("learned", 40), ("Learned  one one aaa", 0), ("asked one one aaa bbb", 0)]
    repeats, near = checks.copies(task(again))
    assert repeats.startswith("1 of 42 training texts repeats another. What stands there twice counts twice.")
    assert near.startswith(
        "1 near-copy among 20 test texts, compared with 42 training texts. Such texts are "
    )


def test_a_text_with_two_labels():
    both = [("an odd one", 0), ("An odd  one", 1)]
    checks = found(task(rows("learned", 40) + both))
    assert checks["Conflicting labels"].says == "1 text has more than one label."
    assert checks["Conflicting labels"].examples.to_dict("list") == {
        "Labels": ["neg, pos"],
        "Text": ["an odd one"],
    }


def test_a_class_with_few_texts():
    train = [(text, 0) for text, _ in rows("learned", 40)] + [("a", 1), ("b", 1)]
    (check,) = found(task(train)).values()
    assert check.says == "1 of 2 classes has few training or test texts."
    assert check.examples.to_dict("list") == {"Class": ["pos"], "Training texts": [2], "Test texts": [10]}
    few = [row for row in rows("asked", 2 * FEW) if row[1] == 0] + rows("asked", 4)
    assert found(task(test=few))["Rare classes"].examples["Class"].tolist() == ["pos"]
