"""What the data page says of a task: its checks (``kd_core.data.checks``) and its summary."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_core.config import TaskConfig
from kd_core.data import checks, load_task
from kd_core.data.checks import FEW, examine
from kd_core.data.summary import EXAMPLES, TRANSFER, summarise, with_answers
from tests.unit.data.films import case, made

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NAMES = ["Repeated texts", "Leaks between splits", "Near-copies", "Conflicting labels", "Rare classes"]
LEAK = "Leaks between splits | 1 validation or test text is learned from as well."
LONG = "the quick brown fox jumps over the lazy dog while the other animals watch"


def rows(split: str, count: int) -> list[tuple[str, int]]:
    """Return different texts, in turn of each class."""
    return [
        (f"{split} {WORDS[i % 12]} {WORDS[(i * 5 + i // 12) % 12]} {'abcdefghij'[i // 12] * 3}", i % 2)
        for i in range(count)
    ]


def task(more=(), test=(), transfer=(), **parts):
    """Make a task that nothing is wrong with but for what is given."""
    train = parts.get("train") or rows("learned", 40)
    held_out = parts.get("only_test") or rows("asked", 2 * FEW)
    return made([*train, *more], rows("looked", 10), [*held_out, *test], transfer)


def test_nothing_is_found_where_nothing_is_wrong():
    found = examine(task())
    assert [(check.name, check.found) for check in found] == [(name, 0) for name in NAMES]
    assert found[4].says == "The smallest class, neg, has 20 training texts."
    assert found[2].says == "No near-copy among 20 test texts, compared with 40 training texts."


FEW_TEXTS = "Rare classes | 1 of 2 classes has few training or test texts."


@pytest.mark.parametrize(
    ("given", "says"),
    [
        case(
            "Repeated texts | 2 of 42 training texts repeat another. | 3 | learned one one aaa",
            more=[("Learned  one one aaa", 0)] * 2,
        ),
        case(f"{LEAK} | test | asked one one aaa", more=[("asked one one aaa", 0)]),
        case(f"{LEAK} | test | asked one one aaa", transfer=["ASKED one one aaa"]),
        case(
            "Near-copies | 1 near-copy among 21 test texts, compared with 41 training texts. | "
            f"96 | {LONG} today | {LONG}",
            more=[(LONG, 0)],
            test=[(f"{LONG} today", 1)],
        ),
        case(
            "Conflicting labels | 1 text has more than one label. | neg, pos | an odd one",
            more=[("an odd one", 0), ("An odd  one", 1)],
        ),
        case(
            f"{FEW_TEXTS} | pos | 2 | 10",
            train=[(text, 0) for text, _ in rows("a", 40)] + [("a", 1), ("b", 1)],
        ),
        case(f"{FEW_TEXTS} | pos | 20 | 9", only_test=rows("asked", 2 * FEW)[:-1]),
    ],
)
def test_what_is_found(given, says):
    found = {check.name: check for check in examine(task(**given)) if check.found}
    name = says.split(" | ")[0]
    assert set(found) == {name} | ({"Repeated texts"} if name == "Conflicting labels" else set())
    (example,) = found[name].examples.to_numpy().tolist()
    shown = [str(round(cell) if isinstance(cell, float) else cell) for cell in example]
    assert " | ".join([name, found[name].says, *shown]) == says


def test_a_part_of_many_texts_is_compared(monkeypatch):
    monkeypatch.setattr(checks, "HELD_OUT", 8)
    says = examine(task())[2].says
    assert says == "No near-copy among 7 of the 20 test texts, compared with 40 training texts."


def test_a_run_is_told_of_copies_and_what_to_do():
    assert checks.copies(task()) == []
    repeats, near = checks.copies(task([("Learned  one one aaa", 0), ("asked one one aaa bbb", 0)]))
    assert repeats.startswith("1 of 42 training texts repeats another. What stands there twice counts twice.")
    assert near.startswith(
        "1 near-copy among 20 test texts, compared with 42 training texts. Such texts are "
    )


def test_summary_of_a_task(tiny_task):
    summary = summarise(tiny_task)
    assert summary.sizes == {"train": 60, "validation": 20, "test": 25, "transfer": 40}
    assert summary.labels == tuple(summary.balance.index) == tiny_task.labels
    assert summary.balance.to_dict("list") == {"train": [12] * 5, "validation": [4] * 5, "test": [5] * 5}
    assert (summary.unit, len(summary.lengths), set(summary.lengths)) == ("words", 105, {7})
    assert summary.examples["label"].value_counts().to_dict() == dict.fromkeys(tiny_task.labels, EXAMPLES)
    for place, label, text in summary.examples[["label", "text"]].itertuples():
        assert tiny_task.train[place] == {"text": text, "label": tiny_task.labels.index(label)}
    assert len(summary.transfer) == min(TRANSFER, len(tiny_task.transfer))
    texts = tiny_task.transfer["text"][:]
    assert [texts[place] for place in summary.transfer.index] == summary.transfer["text"].tolist()


def test_classes_that_a_split_lacks_count_zero():
    two = [("bad film", 0), ("good film", 1)]
    balance = summarise(made(two, two, [("good one", 1)], labels=("neg", "pos", "odd"))).balance
    assert balance.loc["neg"].to_dict() == {"train": 1, "validation": 1, "test": 0}
    assert balance.loc["odd"].to_dict() == {"train": 0, "validation": 0, "test": 0}
    assert {str(kind) for kind in balance.dtypes} == {"int64"}  # else a page says 3.0 texts


def test_answers_beside_the_texts():
    texts = pd.DataFrame({"text": ["a", "b"]}, index=[7, 9])
    answered = with_answers(texts, np.log([[3.0, 1.0], [1.0, 4.0]]), ("neg", "pos"))
    assert (answered["teacher"].tolist(), answered.index.tolist()) == (["neg", "pos"], [7, 9])
    assert answered["sure"].tolist() == pytest.approx([75.0, 80.0])


@pytest.mark.parametrize("long", ["这部电影非常好看演员的表演也很自然我会推荐给朋友", "很好看"])
def test_texts_without_spaces_are_measured_in_characters(long):
    two = [(long, 0), ("糟糕", 1)]
    summary = summarise(made(two * 20, two, two))
    assert (summary.unit, sorted(set(summary.lengths))) == ("characters", [2, len(long)])


def test_loading_needs_no_hash_of_datasets(monkeypatch, tiny_files):
    """Such a hash fails while another thread imports transformers."""
    monkeypatch.setattr("datasets.fingerprint.Hasher.hash", lambda value: pytest.fail("hashed"))
    assert summarise(load_task(TaskConfig(**tiny_files))).sizes["transfer"] == 40
