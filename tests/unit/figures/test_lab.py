"""Tests of the figures of the labs, and of choosing among trainings."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core import figures
from tests.unit.figures.sampled import annotations


def test_likeliest_classes_of_either_model_come_first() -> None:
    figure = figures.two_answers([0.1, 0.2, 0.7], [0.1, 0.8, 0.1], ["a", "b", "c"], title="x")
    teacher, student = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["b", "c", "a"]
    assert list(teacher.x) == pytest.approx([20, 70, 10])
    assert list(student.x) == pytest.approx([80, 10, 10])
    assert student.marker.color == figures.COLOURS["student"][0]
    many = figures.two_answers(np.full(40, 0.025), np.full(40, 0.025), [str(i) for i in range(40)], title="x")
    assert len(many.data[0].x) == 8


def test_push_is_against_the_gradient_and_the_total_is_the_sum() -> None:
    bars = figures.gradient_bars([-0.1, 0.1], [0.3, -0.3], ["a", "b"], title="x").data
    expected = [[0.1, -0.1], [-0.3, 0.3], [-0.2, 0.2]]
    assert [list(bar.x) for bar in bars] == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize("t_squared", [True, False])
def test_chosen_way_of_the_gradient_is_bold(t_squared: bool) -> None:
    figure = figures.gradient_over_temperature([1, 2], 0.5, [1, 0.25], 2, t_squared=t_squared)
    hard, scaled, plain = figure.data
    assert [list(line.y) for line in figure.data] == [[0.5, 0.5], [1, 1], [1, 0.25]]
    assert (scaled.line.width > plain.line.width) == t_squared
    assert len({line.line.dash for line in (hard, scaled, plain)}) == 3


def test_best_of_several_trainings_flatters() -> None:
    figure = figures.flattered([0.8, 0.85, 0.9], [0.8, 0.81, 0.82], 2)
    seen, mark, unseen, other = figure.data
    assert list(seen.y) == pytest.approx([80, 85, 90])
    assert (list(mark.x), list(mark.y)) == ([2], pytest.approx([85]))
    assert list(other.y) == pytest.approx([81])
    assert annotations(figure) == ["<b>85.0 %</b>", "<b>81.0 %</b>"]
    assert unseen.line.dash != seen.line.dash
    alone = figures.flattered([0.8, 0.85, 0.9], [0.8, 0.81, 0.82], 1)
    assert annotations(alone) == ["<b>80.0 %</b>"], "of one nothing was picked"


def test_values_of_the_other_figures() -> None:
    line, mark = figures.entropy_curve([1, 2, 4], [0.1, 0.3, 0.5], 3, 2).data
    assert (mark.x[0], mark.y[0]) == (3, pytest.approx(0.4)), "on the line"
    assert list(line.y) == [0.1, 0.3, 0.5]
    densities = figures.humps([0, 0.5, 1], [0.2, 0.6, 0.2], [0.3, 0.4, 0.3], title="x").data
    assert [list(hump.y) for hump in densities] == [
        pytest.approx(y) for y in ([0.4, 1.2, 0.4], [0.6, 0.8, 0.6])
    ]
    assert len(figures.humps([0, 1], [0.5, 0.5], None, title="x").data) == 1
    (cells,) = figures.class_similarity([[np.nan, 0.25, 0.75]] * 3, ["a", "b", "c"]).data
    assert list(cells.text[0]) == ["", "25 %", "75 %"]
    hard, soft = figures.gradient_over_temperature([1, 2], 0.5, [3, 3], 2, t_squared=None).data
    assert (list(hard.y), soft.name, list(soft.y)) == ([0.5, 0.5], "Soft", [3, 3])
    assert annotations(figures.folds(4)).count("judge") == 4
