"""Accuracies with their intervals, and differences with the colour of who is better."""

from __future__ import annotations

import pytest

from kd_core import figures
from kd_core.system.formatting import percent
from tests.unit.figures.sampled import annotations, read


def test_accuracies_are_dots_with_their_interval_on_a_scale_that_shows_differences(report: dict) -> None:
    figure = figures.accuracies(read(report))
    teacher, student, _labelled_only, alone = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["Teacher", "Distilled", "Labelled only", "Alone"]
    assert alone.x[0] == pytest.approx(83.97, abs=0.005)
    assert alone.error_x.array[0] == pytest.approx(100 * (0.86862 - 0.83969), abs=0.005)
    assert annotations(figure) == ["<b>87.6 %</b>", "<b>87.6 %</b>", "<b>86.3 %</b>", "<b>84.0 %</b>"]
    low, high = figure.layout.xaxis.range
    assert 70 < low < 84 - 3.2 < 90 < high < 100
    assert "95 % interval 84.5 % to 90.1 %" in teacher.hovertext[0]
    assert student.marker.color == "#D9660B"
    report["config"]["task"]["gold"] = "none"
    figure = figures.accuracies(read(report))
    assert figure.layout.title.text == "Agreement on the test texts"
    assert figure.layout.yaxis.ticktext[0] == "Distilled", "a teacher agrees with itself"


def test_the_first_pictures_are_in_what_decides(report: dict) -> None:
    """Of a report of before the F1 of a class has no interval: a dot without a line."""
    report["config"]["training"]["metric"] = "f1:tech"
    student = read(report).student
    figure = figures.accuracies(read(report))
    assert figure.layout.title.text == "F1 of tech on the test texts"
    assert figure.data[1].x[0] == pytest.approx(100 * student.by("f1:tech"))
    assert figure.data[1].error_x.array[0] == 0
    assert "interval" not in figure.data[1].hovertext[0]
    assert figures.differences(read(report)).layout.xaxis.title.text == "Points of F1 of tech, text by text"
    report["config"]["training"]["metric"] = "macro_f1"
    report["student"]["macro_f1_interval"] = [0.84, 0.9]
    assert (
        f"{percent(student.macro_f1)}, 95 % interval 84.0 % to 90.0 %"
        in (figures.accuracies(read(report)).data[1].hovertext[0])
    )


def test_differences_are_paired_and_coloured_by_who_is_better(report: dict) -> None:
    gap = report["verdict"] | {"delta": -0.02, "low": -0.03, "high": -0.01, "kind": "hurt"}
    unsure = report["verdict"] | {"delta": 0.01, "low": -0.01, "high": 0.03, "kind": "no_difference"}
    figure = figures.differences(read(report | {"over": {"teacher": gap, "labelled_only": unsure}}))
    names = ["than the student alone", "than the teacher", "than labelled only"]
    assert list(figure.layout.yaxis.ticktext) == names  # the control first
    alone, teacher, labelled_only = figure.data
    assert [alone.marker.color, teacher.marker.color, labelled_only.marker.color] == [
        figures.COLOURS["student"][0],
        figures.COLOURS["teacher"][0],
        figures.style.UNSURE[0],
    ]
    assert labelled_only.marker.symbol == "circle-open"
    assert annotations(figure)[1] == "<b>−2.0</b> (−3.0 to −1.0)"
    low, high = figure.layout.xaxis.range
    assert low < -3 < 0 < 6.7 < high


def test_differences_that_may_be_zero_are_grey() -> None:
    told, untold = figures.verdicts({"a": (0.04, 0.01, 0.07), "b": (0.01, -0.02, 0.04)}).data
    assert told.marker.color == figures.COLOURS["student"][0]
    assert untold.marker.color == figures.style.UNSURE[0]
    assert told.hovertext[0] == "+4.0 points, 95 % interval +1.0 to +7.0"
