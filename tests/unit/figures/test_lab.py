"""The pictures of the labs: what they show, and that a user's words are no markup in them."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core import figures

EVIL = '<img src="http://127.0.0.1:9/x"> %{y}'
LABELS = ["a", EVIL]


def every_figure(dark: bool) -> dict:
    return {
        "entropy": figures.entropy_curve([1, 2, 4], [0.1, 0.3, 0.5], 2, 2, dark=dark),
        "similarity": figures.class_similarity([[np.nan, 1], [1, np.nan]], LABELS, dark=dark),
        "answers": figures.two_answers([0.9, 0.1], [0.6, 0.4], LABELS, title="Answers", dark=dark),
        "gradient": figures.gradient_bars([-0.1, 0.1], [0.3, -0.3], LABELS, title="Pushes", dark=dark),
        "sizes": figures.gradient_over_temperature([1, 2], 0.5, [1, 0.2], 2, t_squared=True, dark=dark),
        "folds": figures.folds(3, dark=dark),
        "flattered": figures.flattered([0.8, 0.85], [0.8, 0.81], 2, dark=dark),
        "humps": figures.humps([0, 0.5, 1], [0.2, 0.6, 0.2], [0.3, 0.4, 0.3], title="Humps", dark=dark),
    }


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_has_a_title_a_height_and_no_background(dark: bool) -> None:
    for name, figure in every_figure(dark).items():
        layout = figure.layout
        assert layout.title.text, name
        assert layout.height >= 150, name
        assert layout.uirevision, name
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)", name
        assert layout.font.color == figures.INK[dark], name
        assert layout.template.data.heatmap[0].textfont.color == figures.INK[dark], name


def test_what_a_user_wrote_is_no_markup() -> None:
    for name, figure in every_figure(False).items():
        assert "<img" not in figure.to_json().replace("\\u003c", "<"), name


def test_the_mark_stands_on_the_entropy_curve() -> None:
    line, mark = figures.entropy_curve([1, 2, 4], [0.1, 0.3, 0.5], 3, 2).data
    assert (mark.x[0], mark.y[0]) == (3, pytest.approx(0.4))
    assert list(line.y) == [0.1, 0.3, 0.5]


def test_the_likeliest_classes_of_either_model_come_first() -> None:
    figure = figures.two_answers([0.1, 0.2, 0.7], [0.1, 0.8, 0.1], ["a", "b", "c"], title="x")
    teacher, student = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["b", "c", "a"]
    assert list(teacher.x) == pytest.approx([20, 70, 10])
    assert list(student.x) == pytest.approx([80, 10, 10])
    assert student.marker.color == figures.COLOURS["student"][0]
    many = figures.two_answers(np.full(40, 0.025), np.full(40, 0.025), [str(i) for i in range(40)], title="x")
    assert len(many.data[0].x) == 8


def test_a_push_is_against_the_gradient_and_the_total_is_the_sum() -> None:
    hard, soft, total = figures.gradient_bars([-0.1, 0.1], [0.3, -0.3], ["a", "b"], title="x").data
    assert list(hard.x) == pytest.approx([0.1, -0.1])
    assert list(soft.x) == pytest.approx([-0.3, 0.3])
    assert list(total.x) == pytest.approx([-0.2, 0.2])


@pytest.mark.parametrize("t_squared", [True, False])
def test_the_chosen_way_is_the_bold_one(t_squared: bool) -> None:
    figure = figures.gradient_over_temperature([1, 2], 0.5, [1, 0.25], 2, t_squared=t_squared)
    hard, scaled, plain = figure.data
    assert list(hard.y) == [0.5, 0.5]
    assert list(scaled.y) == [1, 1]
    assert list(plain.y) == [1, 0.25]
    assert (scaled.line.width > plain.line.width) == t_squared
    assert len({line.line.dash for line in figure.data}) == 3


def test_a_loss_without_temperature_has_one_line() -> None:
    hard, soft = figures.gradient_over_temperature([1, 2], 0.5, [3, 3], 2, t_squared=None).data
    assert list(hard.y) == [0.5, 0.5]
    assert (soft.name, list(soft.y)) == ("Soft", [3, 3])


def test_a_cell_says_its_share_and_the_diagonal_nothing() -> None:
    (cells,) = figures.class_similarity([[np.nan, 0.25, 0.75]] * 3, ["a", "b", "c"]).data
    assert list(cells.text[0]) == ["", "25 %", "75 %"]
    assert (cells.zmin, cells.zmax) == (0, 100)
    (many,) = figures.class_similarity(np.full((40, 40), 0.5), [str(i) for i in range(40)]).data
    assert many.texttemplate is None


def test_humps_are_densities() -> None:
    teacher, student = figures.humps([0, 0.5, 1], [0.2, 0.6, 0.2], [0.3, 0.4, 0.3], title="x").data
    assert list(teacher.y) == pytest.approx([0.4, 1.2, 0.4])
    assert list(student.y) == pytest.approx([0.6, 0.8, 0.6])
    assert len(figures.humps([0, 1], [0.5, 0.5], None, title="x").data) == 1


def test_each_training_is_judged_on_its_own_part() -> None:
    figure = figures.folds(4)
    *parts, test = figure.layout.shapes
    judged = [(part.x0, (part.y0 + part.y1) / 2) for part in parts if part.line.width]
    assert len(parts) == 16
    assert judged == [pytest.approx((i + 0.04, i)) for i in range(4)]
    assert test.x0 > 4, "the test texts lie apart"
    words = [note.text for note in figure.layout.annotations]
    assert words.count("judge") == 4
    assert "learn" not in [note.text for note in figures.folds(10).layout.annotations]


def test_the_marks_stand_on_both_lines() -> None:
    figure = figures.flattered([0.8, 0.85, 0.9], [0.8, 0.81, 0.82], 2)
    seen, mark, unseen, other = figure.data
    assert list(seen.y) == pytest.approx([80, 85, 90])
    assert (list(mark.x), list(mark.y)) == ([2], pytest.approx([85]))
    assert list(other.y) == pytest.approx([81])
    assert [note.text for note in figure.layout.annotations] == ["<b>85.0 %</b>", "<b>81.0 %</b>"]
    assert unseen.line.dash != seen.line.dash
    (alone,) = figures.flattered([0.8, 0.85, 0.9], [0.8, 0.81, 0.82], 1).layout.annotations
    assert alone.text == "<b>80.0 %</b>", "of one nothing was picked"


def test_numbers_stand_clear_of_steep_lines() -> None:
    curve = [0.8 + 0.01 * i for i in range(10)]
    upper, lower = figures.flattered(curve, curve, 2).layout.annotations
    assert (upper.yshift, lower.xanchor) == (24, "left")
    upper, lower = figures.flattered(curve, curve, 5).layout.annotations
    assert (upper.yshift, lower.yshift, lower.xanchor) == (6, -6, "center")
