"""What the values of a teacher's answers are: choices, probabilities, their logarithms, or logits."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from kd_core.config import TaskConfig
from kd_core.data.answer_values import FLOOR, _of_choices
from kd_core.data.table import Table
from tests.unit.data.answered import notes, rows


def test_one_column_is_one_hot_with_smoothing(load):
    given = [[f"text {i}", "Old" if i % 2 else "new"] for i in range(30)]
    task = load("text,answer", given, smoothing=0.2)
    assert task.answers.kind == "labels"
    assert np.exp(task.answers.of(["text 0"])[0]) == pytest.approx((0.2, 0.8))  # Old is sorted first
    assert "They carry no dark knowledge" in notes(task)
    sure = load("text,answer", given, smoothing=0).answers.of(["text 0"])[0]
    assert sure.tolist() == pytest.approx([np.log(FLOOR), 0])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([(2.5, -1.0), (-3.0, 0.5)], "logits"),
        ([(3.5, 1.0), (0.2, 6.0)], "logits"),
        ([(-0.105, -2.303), (-1.609, -0.223)], "log_probabilities"),
        ([(0.91, 0.1), (0.2, 0.8)], "probabilities"),  # two decimals, rounded
    ],
)
def test_the_kind_is_guessed_and_said(load, values, kind):
    task = load("text,new,old", rows(values=values))
    assert task.answers.kind == kind
    assert f"read as {kind.replace('_', '-')} (guessed" in notes(task)
    if kind == "logits":
        assert task.answers.of(["text number 0"])[0] == pytest.approx(values[0])
    elif kind == "log_probabilities":
        assert np.exp(task.answers.of(["text number 0"])[0]) == pytest.approx((0.9, 0.1), abs=1e-3)


def test_percent_are_divided_on_request(load):
    task = load("text,new,old", rows(values=[(90, 10), (20, 80)]), normalise=True)
    assert np.exp(task.answers.of(["text number 0"])[0]) == pytest.approx((0.9, 0.1))
    assert "40 answers divided by the sum" in notes(task)


def test_choices_among_many_classes_take_little_more_memory_than_their_logits():
    """Of 100,000 texts and 1,000 classes it was 3 GB."""
    names = [f"class {i}" for i in range(500)]
    chosen = pd.Series([names[i % 500] for i in range(2_000)])
    tracemalloc.start()
    logits = _of_choices(Table("answers.csv", pd.DataFrame()), chosen, names, TaskConfig(smoothing=0.1), [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (logits.shape, logits.dtype) == ((2_000, 500), np.float32)
    assert logits[7].tolist() == pytest.approx([np.log(0.9 if i == 7 else 0.1 / 499) for i in range(500)])
    assert peak < 5 * logits.nbytes
