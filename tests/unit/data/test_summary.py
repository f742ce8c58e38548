"""What the data page says about a task."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.summary import EXAMPLES, TRANSFER, summarise, with_answers
from kd_core.data.task import Task, labelled, unlabelled


def test_sizes_and_balance_count_every_text(tiny_task):
    summary = summarise(tiny_task)
    assert summary.sizes == {"train": 60, "validation": 20, "test": 25, "transfer": 40}
    assert summary.labels == ("sport", "politics", "tech", "film", "money")
    assert list(summary.balance.index) == list(summary.labels)
    assert summary.balance.to_dict("list") == {"train": [12] * 5, "validation": [4] * 5, "test": [5] * 5}


def test_lengths_are_in_words(tiny_task):
    summary = summarise(tiny_task)
    assert summary.unit == "words"
    assert len(summary.lengths) == 105
    assert set(summary.lengths) == {7}


def test_examples_are_training_texts_of_every_class_with_their_names(tiny_task):
    summary = summarise(tiny_task)
    assert summary.examples["label"].value_counts().to_dict() == dict.fromkeys(tiny_task.labels, EXAMPLES)
    named = {(row["text"], tiny_task.labels[row["label"]]) for row in tiny_task.train}
    assert set(zip(summary.examples["text"], summary.examples["label"], strict=True)) <= named


def task(train, validation, test, labels=("neg", "pos"), **more) -> Task:
    splits = (labelled(*zip(*rows, strict=True)) for rows in (train, validation, test))
    return Task("t", labels, *splits, unlabelled([]), **more)


def test_a_class_that_a_split_lacks_counts_zero():
    rows = [("bad film", 0), ("good film", 1)]
    summary = summarise(task(rows, rows, [("good one", 1)], notes=("A note.",)))
    assert summary.balance.loc["neg"].to_dict() == {"train": 1, "validation": 1, "test": 0}
    assert summary.notes == ("A note.",)
    assert summary.sizes["transfer"] == 0


def test_a_class_that_no_split_has_counts_zero():
    """One that a teacher which is a file never chooses."""
    rows = [("bad film", 0), ("good film", 1)]
    balance = summarise(task(rows, rows, rows, labels=("neg", "pos", "odd"))).balance
    assert balance.loc["odd"].to_dict() == {"train": 0, "validation": 0, "test": 0}
    assert {str(kind) for kind in balance.dtypes} == {"int64"}  # else a page says 3.0 texts


def test_transfer_texts_are_from_all_over_and_keep_their_place(tiny_task):
    summary = summarise(tiny_task)
    assert len(summary.transfer) == min(TRANSFER, len(tiny_task.transfer))
    texts = tiny_task.transfer["text"][:]
    assert [texts[place] for place in summary.transfer.index] == summary.transfer["text"].tolist()
    train = tiny_task.train["text"][:]
    assert [train[place] for place in summary.examples.index] == summary.examples["text"].tolist()


def test_answers_beside_the_texts():
    texts = pd.DataFrame({"text": ["a", "b"]}, index=[7, 9])
    answered = with_answers(texts, np.log([[3.0, 1.0], [1.0, 4.0]]), ("neg", "pos"))
    assert answered["teacher"].tolist() == ["neg", "pos"]
    assert answered["sure"].tolist() == pytest.approx([75.0, 80.0])
    assert answered.index.tolist() == [7, 9]


def test_texts_without_spaces_are_measured_in_characters():
    rows = [("这部电影非常好看演员的表演也很自然我会推荐给朋友", 0), ("糟糕", 1)]
    summary = summarise(task(rows * 20, rows, rows))
    assert (summary.unit, sorted(set(summary.lengths))) == ("characters", [2, 24])
    short = [("很好看", 0), ("糟糕", 1)]
    summary = summarise(task(short * 20, short, short))
    assert (summary.unit, sorted(set(summary.lengths))) == ("characters", [2, 3])


def test_reading_and_summing_up_need_no_torch():
    code = (
        "import sys; from kd_core.config import TaskConfig; from kd_core.data import load_task, uploads;"
        "from kd_core.data.summary import summarise;"
        "print(summarise(load_task(TaskConfig())).sizes, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 1)[1].endswith("False\n")
    assert "'train': 1256, 'validation': 316, 'test': 524, 'transfer': 12000" in done.stdout


def test_tasks_are_loaded_while_another_thread_imports_transformers(monkeypatch, tiny_files):
    """datasets' hashes look into transformers, and fail while it is imported: there must be none."""
    from datasets.fingerprint import Hasher

    def fail(value):
        raise AssertionError("hashed")

    monkeypatch.setattr(Hasher, "hash", fail)
    assert summarise(load_task(TaskConfig(name="bbc-sentences"))).sizes["train"] == 6000
    assert summarise(load_task(TaskConfig(**tiny_files))).sizes["transfer"] == 40
