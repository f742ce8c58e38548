"""Colours and marks that tell models apart, room for names, and larger letters for a room."""

from __future__ import annotations

from typing import get_args

import pandas as pd
import plotly.graph_objects as go
import pytest

from kd_core import figures
from kd_core.distillation.roles import Role
from kd_core.figures.style import enlarged, in_full, letters, new_figure


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("who", get_args(Role))
def test_words_in_a_models_colour_can_be_read(who: Role, dark: bool) -> None:
    pair = (luminance(figures.TEXT_COLOURS[who][dark]), luminance(figures.style.PAGE[dark]))
    assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5


def test_models_differ_in_more_than_their_colour() -> None:
    looks = {(figures.DASHES[who], figures.style.SYMBOLS[who]) for who in get_args(Role)}
    assert len(looks) == len(get_args(Role)) == len(figures.COLOURS)


def test_names_have_room_and_are_no_markup() -> None:
    def named(*names: str) -> go.Layout:
        return new_figure("Title", "Unit", "", dark=False, names=names).layout

    rows = named("<b>tech</b>", "bbc-headlines: minilm-l6 → tiny (a1b2)")
    assert list(rows.yaxis.ticktext) == ["&lt;b&gt;tech&lt;/b&gt;", "bbc-headlin…iny (a1b2)"]
    assert rows.margin.l == 14 + round(6.8 * 22), "half of a phone that is 390 pixels wide"
    assert list(rows.yaxis.range) == [1.5, -0.5]  # the first on top
    assert named("tech").margin.l == 14 + round(6.8 * 4)
    assert named("<<<<").margin.l == named("tech").margin.l  # as it is read, not as it is escaped
    assert named("科技").margin.l == named("tech").margin.l  # wide letters count twice
    chinese = named("体育新闻与历史节目特别报道")  # 13 characters, 26 letters wide
    assert list(chinese.yaxis.ticktext) == ["体育新闻与…目特别报道"]
    assert chinese.margin.l <= rows.margin.l
    thai = "กีฬาและการแข่งขันระดับ"
    assert (len(thai), letters(thai)) == (22, 18), "vowel signs stand over other letters"


def test_a_whole_name_for_the_hover_has_lines_that_fit_on_a_phone() -> None:
    name = "beneficiary_not_allowed <b> or something else that customers of the bank ask about"
    assert in_full(name) == (
        "beneficiary_not_allowed &lt;b&gt;<br>or something else that<br>customers of the bank ask<br>about"
    )
    labels = [name, "sport"]
    shown = figures.two_answers([0.9, 0.1], [0.6, 0.4], labels, title="")
    assert shown.layout.yaxis.ticktext[0] == "beneficiary… ask about"
    assert [trace.hovertext[0] for trace in shown.data] == [in_full(name)] * 2
    assert shown.data[0].hovertemplate.startswith("%{hovertext}<br>")


def test_a_layout_goes_over_what_all_figures_share() -> None:
    bar = {"type": "bar", "x": ["a"], "y": [1]}
    figure = new_figure("T", "", "Unit", [bar], {"margin": {"t": 8}, "yaxis": {"range": [0, 2]}}, dark=False)
    assert (figure.layout.margin.t, figure.layout.margin.r) == (8, 12)
    assert (figure.layout.yaxis.range, figure.layout.yaxis.title.text) == ((0, 2), "Unit")
    assert [trace.type for trace in figure.data] == ["bar"]


def test_a_figure_for_a_room_has_larger_letters_and_the_same_marks() -> None:
    curve = pd.DataFrame({"who": "student", "seed": 0, "step": [25, 50], "accuracy": [0.5, 0.75]})
    small = figures.race_chart({"A": curve}, 0.9, 50, alone=curve.assign(who="alone"), lowest=0.5)
    large = enlarged(small, 1.5)
    assert large.layout.height == 1.5 * small.layout.height
    assert large.layout.title.font.size == 1.5 * small.layout.title.font.size
    assert large.layout.xaxis.tickfont.size == 1.5 * small.layout.xaxis.tickfont.size
    assert large.layout.margin.l == 1.5 * small.layout.margin.l
    assert [trace.name for trace in large.data] == ["A", "Student alone", "Teacher, 90.0 %"]
    for before, after in zip(small.data, large.data, strict=True):
        assert list(after.y) == list(before.y)
        assert after.marker.size == before.marker.size
    assert large.layout.yaxis.range[0] == 50
    lower = figures.race_chart({"A": curve}, 0.9, 50, alone=curve.assign(who="alone"))
    assert lower.layout.yaxis.range[0] == 47
    above = figures.race_chart({"A": curve}, 0.9, 50, names_above=True)
    assert (above.layout.legend.y, above.layout.legend.yanchor) == (1.02, "bottom")
    assert above.layout.margin.t > small.layout.margin.t
    assert above.layout.margin.l == small.layout.margin.l
