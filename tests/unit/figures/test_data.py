"""Figures of a task: its classes, the lengths of its texts, and an answer at a temperature."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from kd_core import figures


def test_temperature_softens_the_answer() -> None:
    logits = [0.0, math.log(3)]
    bars, marks = figures.temperature_preview(logits, ["cat", "dog"], 2).data
    assert list(marks.x) == pytest.approx([75, 25])
    assert list(bars.x) == pytest.approx([100 * 3**0.5 / (1 + 3**0.5), 100 / (1 + 3**0.5)])
    assert list(figures.temperature_preview([1e6, -1e6], ["a", "b"], 0.01).data[0].x) == [100, 0]
    assert len(figures.temperature_preview(logits, ["cat", "dog"], 1).data) == 1, "nothing to compare with"


def test_class_balance_stacks_the_splits() -> None:
    counts = pd.DataFrame({"train": [3, 2], "test": [1, 1]}, index=["cat", "dog"])
    figure = figures.class_balance(counts)
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [("train", [3, 2]), ("test", [1, 1])]
    assert list(figure.layout.yaxis.ticktext) == ["cat", "dog"]


def test_classes_that_are_not_shown_are_counted() -> None:
    counts = pd.DataFrame({"train": range(77)}, index=[f"class {number}" for number in range(77)])
    figure = figures.class_balance(counts)
    assert len(figure.layout.yaxis.ticktext) == 40
    assert figure.layout.title.text == "Texts of 40 of 77 classes"


def test_a_very_long_text_does_not_squash_the_lengths() -> None:
    figure = figures.lengths([5] * 990 + [1_000_000] * 5)
    assert max(figure.data[0].x) == 5
    assert figure.layout.xaxis.title.text == "Length (words); last bar: 5 to 1,000,000"
    assert figures.lengths([5] * 990).layout.xaxis.title.text == "Length (words)"


@pytest.mark.parametrize("words", [[], [1], [7, 7, 7]])
def test_lengths_of_few_texts(words: list[int]) -> None:
    assert len(figures.lengths(words).data[0].x) == len(words)


def test_lengths_that_are_nearly_alike_have_bars_of_their_own() -> None:
    (bars,) = figures.lengths([783] * 5 + [801] * 300 + [809]).data
    assert (bars.xbins.start, bars.xbins.size) == (782.5, 1)


def test_lengths_are_whole_numbers() -> None:
    assert figures.lengths([8] * 300).layout.xaxis.dtick == 1
    assert figures.lengths([*range(3, 40)]).layout.xaxis.dtick is None, "there Plotly chooses well"
