"""Tests of the figures of a training and of the data that it reads."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from kd_core import figures


def test_loss_terms_are_means_over_the_seeds(curve: pd.DataFrame) -> None:
    figure = figures.loss_curves(curve)
    lines = {trace.name: trace for trace in figure.data if trace.showlegend is None}
    dashes = {"total": "solid", "soft": "dash", "hard": "dot"}
    assert {name: line.line.dash for name, line in lines.items()} == dashes
    assert len({line.line.color for line in lines.values()}) == 3
    assert list(lines["total"].y) == pytest.approx([2.1, 1.1])
    behind = [trace for trace in figure.data if trace.name == "total" and trace.showlegend is False]
    assert [list(trace.y) for trace in behind] == [[2.0, 1.0], [2.2, 1.2]]  # two seeds
    assert [trace.name for trace in figures.loss_curves(curve, who="alone").data] == ["total"]
    with_inner = figures.loss_curves(curve.assign(intermediate=0.5)).data
    assert {trace.name for trace in with_inner} == {"total", "soft", "hard", "intermediate"}
    assert figures.loss_curves(curve, log=True).layout.yaxis.type == "log"
    assert len(figures.loss_curves(curve[:0]).data) == 0


def test_validation_curves_of_seeds_and_of_a_teacher(evaluations: pd.DataFrame) -> None:
    first_seed, second_seed, student, alone, teacher = figures.validation_curves(evaluations, 0.9).data
    assert first_seed.showlegend is second_seed.showlegend is False
    assert list(first_seed.y) == [50, 80]
    assert (student.name, list(student.x)) == ("Distilled student", [10, 20])
    assert list(student.y) == pytest.approx([60, 70])  # the mean of two seeds
    assert "mean of 2 seeds" in student.hovertemplate
    assert alone.name == "Student alone"
    assert (teacher.name, list(teacher.x), list(teacher.y)) == ("Teacher, 90.0 %", [0, 20], [90, 90])
    assert teacher.line.dash == "dash"
    learning = figures.validation_curves(evaluations)
    assert (learning.data[0].name, list(learning.data[0].y)) == ("Teacher", [90])
    assert (learning.layout.title.text, learning.layout.yaxis.title.text) == (
        "Validation accuracy",
        "Accuracy (%)",
    )


def test_validation_curves_by_another_metric(evaluations: pd.DataFrame) -> None:
    by_f1 = figures.validation_curves(evaluations.assign(score=0.25), measure="F1 of <b>")
    assert by_f1.layout.title.text == "Validation F1 of &lt;b&gt;"
    assert by_f1.layout.yaxis.title.text == "F1 of &lt;b&gt; (%)"
    assert {value for line in by_f1.data for value in line.y} == {25}
    perfect = figures.validation_curves(evaluations.assign(score=1.0), 1.0)
    assert perfect.data[2].cliponaxis is False, "a mark at 100 % is not cut"
    assert figures.validation_curves(evaluations[:0]).layout.yaxis.range == (0, 100)
    assert list(figures.validation_curves(evaluations[:0], 0.9).data[0].y) == [90, 90]


def test_runs_side_by_side_are_means_over_their_seeds(evaluations: pd.DataFrame) -> None:
    first, second = figures.overlay({"one": evaluations, "two": evaluations}).data
    assert list(first.y) == pytest.approx([60, 70])
    assert (first.name, second.name) == ("one", "two")
    assert first.line.dash != second.line.dash
    assert first.line.color != second.line.color


# Data


def test_temperature_softens_an_answer() -> None:
    logits = [0.0, math.log(3)]
    bars, marks = figures.temperature_preview(logits, ["cat", "dog"], 2).data
    assert list(marks.x) == pytest.approx([75, 25])
    assert list(bars.x) == pytest.approx([100 * 3**0.5 / (1 + 3**0.5), 100 / (1 + 3**0.5)])
    assert list(figures.temperature_preview([1e6, -1e6], ["a", "b"], 0.01).data[0].x) == [100, 0]
    assert len(figures.temperature_preview(logits, ["cat", "dog"], 1).data) == 1, "nothing to compare with"


def test_class_balance_stacks_the_splits_of_at_most_40_classes() -> None:
    counts = pd.DataFrame({"train": [3, 2], "test": [1, 1]}, index=["cat", "dog"])
    figure = figures.class_balance(counts)
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [("train", [3, 2]), ("test", [1, 1])]
    assert list(figure.layout.yaxis.ticktext) == ["cat", "dog"]
    many = figures.class_balance(pd.DataFrame({"train": range(77)}, index=[f"class {i}" for i in range(77)]))
    assert len(many.layout.yaxis.ticktext) == 40
    assert many.layout.title.text == "Texts of 40 of 77 classes"


@pytest.mark.parametrize(
    ("words", "highest", "title"),
    [
        ([], None, "Length (words)"),
        ([7, 7, 7], 7, "Length (words)"),
        ([5] * 990, 5, "Length (words)"),
        ([5] * 990 + [1_000_000] * 5, 5, "Length (words); last bar: 5 to 1,000,000"),
    ],
)
def test_lengths_of_texts(words: list[int], highest: int | None, title: str) -> None:
    figure = figures.lengths(words)
    assert len(figure.data[0].x) == len(words)
    assert max(figure.data[0].x, default=None) == highest
    assert figure.layout.xaxis.title.text == title
