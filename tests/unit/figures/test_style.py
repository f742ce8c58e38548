"""Tests of what all figures have in common: labels, colours, escaped names and room for them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from kd_core import figures
from kd_core.distillation.roles import Role
from kd_core.figures import style, tokens
from kd_core.figures.style import enlarged, in_full, letters, new_figure
from tests.unit.figures.sampled import EVIL, read

RISK = pd.DataFrame({"coverage": [0.5, 1.0], "risk": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]})
LABELS = ["a", EVIL]


def every_figure(report: dict, curve: pd.DataFrame, evaluations: pd.DataFrame, dark: bool) -> dict:
    balance = pd.DataFrame({"train": [3, 2], "test": [1, 1]}, index=LABELS)
    pair = [0.9, 0.1], [0.6, 0.4]
    humps = [0, 0.5, 1], [0.2, 0.6, 0.2], [0.3, 0.4, 0.3]
    return {
        "loss": figures.loss_curves(curve, dark=dark),
        "cascade": figures.risk_coverage({"Distilled student": ("student", RISK)}, 0.5, dark=dark),
        "accuracy": figures.validation_curves(evaluations, 0.9, dark=dark),
        "overlay": figures.overlay({"a": evaluations, EVIL: evaluations}, dark=dark),
        **{measure: figures.bars(read(report), measure, dark=dark) for measure in ("size", "latency")},
        "accuracies": figures.accuracies(read(report), dark=dark),
        "differences": figures.differences(read(report), dark=dark),
        "confusion": figures.confusion(read(report), "student", dark=dark),
        "reliability": figures.reliability(read(report), "student", dark=dark),
        "per_class": figures.per_class(read(report), dark=dark),
        "shifted": figures.shifted(read(report), dark=dark),
        "verdicts": figures.verdicts({"a": (0.04, 0.01, 0.07), EVIL: (0, -0.1, 0.1)}, dark=dark),
        "temperature": figures.temperature_preview([1, 2], LABELS, 4, dark=dark),
        "balance": figures.class_balance(balance, dark=dark),
        "lengths": figures.lengths([1, 2, 3], dark=dark),
        "entropy": figures.entropy_curve([1, 2, 4], [0.1, 0.3, 0.5], 2, 2, dark=dark),
        "similarity": figures.class_similarity([[np.nan, 1], [1, np.nan]], LABELS, dark=dark),
        "answers": figures.two_answers(*pair, LABELS, title="Answers", dark=dark),
        "gradient": figures.gradient_bars([-0.1, 0.1], [0.3, -0.3], LABELS, title="Pushes", dark=dark),
        "sizes": figures.gradient_over_temperature([1, 2], 0.5, [1, 0.2], 2, t_squared=True, dark=dark),
        "folds": figures.folds(3, dark=dark),
        "flattered": figures.flattered([0.8, 0.85], [0.8, 0.81], 2, dark=dark),
        "humps": figures.humps(*humps, title="Humps", dark=dark),
    }


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_labelled_and_shows_no_markup_of_a_user(report, curve, evaluations, dark) -> None:
    for who in ("student", "teacher", "alone", "labelled_only"):
        for row in report[who]["seeds"]["0"]["per_class"]:
            row["name"] = EVIL
    report["labels"] = [EVIL] * 5
    made = every_figure(report, curve, evaluations, dark)
    for name, figure in made.items():
        layout = figure.layout
        assert layout.title.text, name
        assert layout.height >= 150, name
        assert layout.uirevision, f"{name} keeps the reader's zoom"
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)", name
        assert layout.font.color == figures.INK[dark], name
        assert layout.template.data.heatmap[0].textfont.color == figures.INK[dark], name
        assert "<img" not in figure.to_json().replace("\\u003c", "<"), name
        assert all("%{y} a" not in (trace.hovertemplate or "") for trace in figure.data), name
    assert made["confusion"].layout.yaxis.ticktext[0].endswith("…e shown (125)")


def test_pictures_need_no_torch() -> None:
    code = "import sys, kd_core.figures.html_report, kd_core.config; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# Colours


def luminance(colour: str) -> float:
    hexes = [int(colour[i : i + 2], 16) for i in (1, 3, 5)] if colour.startswith("#") else []
    parts = [part / 255 for part in hexes or map(int, re.findall(r"\d+", colour))]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("who", get_args(Role))
def test_words_and_numbers_in_a_models_colour_can_be_read(who: Role, dark: bool) -> None:
    ink, page = style.pick(style.INK, dark), style.pick(style.PAGE, dark)
    assert contrast(figures.TEXT_COLOURS[who][dark], page) >= 4.5
    shades = [style.shade_of(who, share, dark) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert min(contrast(shade, ink) for shade in shades) >= 4.5
    assert [shades[0], shades[-1]] == [colour for _, colour in style.scale_of(who, dark)]
    depths = [contrast(shade, page) for shade in shades]
    assert depths == sorted(depths)


@pytest.mark.parametrize("dark", [False, True])
def test_stronger_words_have_deeper_shades(dark: bool) -> None:
    effects = [0.0, 0.1, 0.5, -0.1, -0.5]
    figure = figures.word_shades(["a"] * 5, effects, "alone", strongest=0.5, dark=dark)
    none, *others = figure.data[0].marker.color
    page = style.pick(style.PAGE, dark)
    assert contrast(none, page) == pytest.approx(1)
    for (weak, strong), deep in ((others[:2], tokens.FOR), (others[2:], tokens.AGAINST)):
        assert 1 < contrast(weak, page) < contrast(strong, page) < contrast(style.pick(deep, dark), page)
    assert min(contrast(shade, style.pick(style.INK, dark)) for shade in others) >= 4.5


def test_models_differ_in_more_than_their_colour() -> None:
    looks = {(figures.DASHES[who], style.SYMBOLS[who]) for who in get_args(Role)}
    assert len(looks) == len(get_args(Role)) == len(figures.COLOURS)


# Names and sizes


def test_names_are_cut_to_their_room_and_are_no_markup() -> None:
    def named(*names: str):
        return new_figure("Title", "Unit", "", dark=False, names=names).layout

    rows = named("<b>tech</b>", "bbc-headlines: minilm-l6 → tiny (a1b2)")
    assert list(rows.yaxis.ticktext) == ["&lt;b&gt;tech&lt;/b&gt;", "bbc-headlin…iny (a1b2)"]
    assert list(rows.yaxis.range) == [1.5, -0.5], "the first stands on top"
    # Room is as the name is read, not as it is escaped, and wide letters count twice.
    assert named("<<<<").margin.l == named("科技").margin.l == named("tech").margin.l < rows.margin.l
    chinese = named("体育新闻与历史节目特别报道")
    assert list(chinese.yaxis.ticktext) == ["体育新闻与…目特别报道"]
    assert chinese.margin.l <= rows.margin.l
    assert letters("กีฬาและการแข่งขันระดับ") == 18, "vowel signs stand over other letters"
    assert (
        in_full("customers_of_the_bank <b> ask about this")
        == "customers_of_the_bank &lt;b&gt;<br>ask about this"
    )


def test_enlarged_figure_has_larger_letters_and_the_same_marks() -> None:
    curve = pd.DataFrame({"who": "student", "seed": 0, "step": [25, 50], "accuracy": [0.5, 0.75]})
    small = figures.race_chart({"A": curve}, 0.9, 50, alone=curve.assign(who="alone"), lowest=0.5)
    large = enlarged(small, 1.5)
    assert large.layout.title.font.size == 1.5 * small.layout.title.font.size
    assert [trace.name for trace in large.data] == ["A", "Student alone", "Teacher, 90.0 %"]
    assert [list(trace.y) for trace in large.data] == [list(trace.y) for trace in small.data]
