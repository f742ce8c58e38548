"""Curves of a training: losses, and the accuracy on the validation texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_core import figures


def test_loss_terms_have_a_colour_and_a_dash_each_and_are_means_over_the_seeds(curve: pd.DataFrame) -> None:
    figure = figures.loss_curves(curve)
    lines = {trace.name: trace for trace in figure.data if trace.showlegend is None}
    assert {name: line.line.dash for name, line in lines.items()} == {
        "total": "solid",
        "soft": "dash",
        "hard": "dot",
    }
    assert len({line.line.color for line in lines.values()}) == 3
    assert list(lines["total"].y) == pytest.approx([2.1, 1.1])
    behind = [trace for trace in figure.data if trace.name == "total" and trace.showlegend is False]
    assert [list(trace.y) for trace in behind] == [[2.0, 1.0], [2.2, 1.2]]  # two seeds
    assert all(trace.opacity < 0.5 for trace in behind)
    assert figure.layout.yaxis.rangemode == "tozero"


def test_a_long_loss_is_smoothed_and_stays_where_it_is() -> None:
    steps = np.arange(1, 201)
    noise = np.where(steps % 2, 0.5, -0.5)
    curve = pd.DataFrame({"who": "student", "seed": 0, "step": steps, "loss": 2 + noise})
    curve = curve.assign(hard=0.0, soft=0.0, intermediate=0.0)
    behind, smooth = figures.loss_curves(curve).data
    assert np.ptp(behind.y) == 1
    assert np.abs(smooth.y - 2).max() < 0.11


def test_a_loss_with_one_term_is_drawn_once(curve: pd.DataFrame) -> None:
    assert [trace.name for trace in figures.loss_curves(curve, who="alone").data] == ["total"]
    with_teacher_inside = curve.assign(intermediate=0.5)
    assert {trace.name for trace in figures.loss_curves(with_teacher_inside).data} == {
        "total",
        "soft",
        "hard",
        "intermediate",
    }


def test_the_log_scale_has_readable_ticks(curve: pd.DataFrame) -> None:
    axis = figures.loss_curves(curve, log=True).layout.yaxis
    assert axis.type == "log"
    assert {"0.1", "0.2", "0.5", "1", "2"} <= set(axis.ticktext)


def test_a_finished_teacher_is_a_level_line(evaluations: pd.DataFrame) -> None:
    figure = figures.validation_curves(evaluations, 0.9)
    first_seed, second_seed, student, alone, teacher = figure.data
    assert first_seed.showlegend is second_seed.showlegend is False
    assert list(first_seed.y) == [50, 80]
    assert (student.name, list(student.x)) == ("Distilled student", [10, 20])
    assert list(student.y) == pytest.approx([60, 70])  # the mean of two seeds
    assert "mean of 2 seeds" in student.hovertemplate
    assert alone.name == "Student alone"
    assert (teacher.name, list(teacher.x), list(teacher.y)) == ("Teacher, 90.0 %", [0, 20], [90, 90])
    assert teacher.line.dash == "dash"


def test_the_axis_of_validation_names_what_decides(evaluations: pd.DataFrame) -> None:
    by_f1 = figures.validation_curves(evaluations.assign(score=0.25), measure="F1 of <b>")
    assert by_f1.layout.title.text == "Validation F1 of &lt;b&gt;"
    assert by_f1.layout.yaxis.title.text == "F1 of &lt;b&gt; (%)"
    assert {value for line in by_f1.data for value in line.y} == {25}
    of_accuracy = figures.validation_curves(evaluations)
    assert (of_accuracy.layout.title.text, of_accuracy.layout.yaxis.title.text) == (
        "Validation accuracy",
        "Accuracy (%)",
    )


def test_a_teacher_that_still_learns_is_a_curve(evaluations: pd.DataFrame) -> None:
    figure = figures.validation_curves(evaluations)
    assert (figure.data[0].name, list(figure.data[0].y)) == ("Teacher", [90])


def test_curves_of_a_run_that_has_just_begun(curve: pd.DataFrame, evaluations: pd.DataFrame) -> None:
    assert len(figures.loss_curves(curve[:0]).data) == 0
    assert figures.validation_curves(evaluations[:0]).layout.yaxis.range == (0, 100)
    assert list(figures.validation_curves(evaluations[:0], 0.9).data[0].y) == [90, 90]
    for empty in (figures.loss_curves(curve[:0]), figures.validation_curves(evaluations[:0])):
        assert empty.layout.xaxis.rangemode == "tozero", "there is no step -1"


def test_a_mark_at_100_percent_is_not_cut(evaluations: pd.DataFrame) -> None:
    figure = figures.validation_curves(evaluations.assign(score=1.0), 1.0)
    assert figure.layout.yaxis.range[1] == 100
    marked = [trace for trace in figure.data if "markers" in (trace.mode or "")]
    assert marked
    assert all(trace.cliponaxis is False for trace in marked)


def test_runs_side_by_side_are_means_over_their_seeds(evaluations: pd.DataFrame) -> None:
    first, second = figures.overlay({"one": evaluations, "two": evaluations}).data
    assert list(first.y) == pytest.approx([60, 70])
    assert (first.name, second.name) == ("one", "two")
    assert first.line.dash != second.line.dash
    assert first.line.color != second.line.color
