"""Probabilities as bars, and a text whose words are shaded."""

from __future__ import annotations

import re

import pytest

from kd_core.distillation.roles import Role
from kd_core.figures import answer_bars, style, tokens, word_shades

EVIL = '<img src="http://127.0.0.1:9/x"> %{y}'


def words(figure) -> list[str]:
    return [re.sub(r"<.*", "", text) for text in figure.data[0].text]


def numbers(figure) -> list[str]:
    return [re.sub(r".*<span[^>]*>(.*)</span>", r"\1", text) for text in figure.data[0].text]


def luminance(colour: str) -> float:
    parts = (
        re.findall(r"\d+", colour)
        if colour.startswith("rgb")
        else [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    )
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (int(part) / 255 for part in parts)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_bars_in_the_order_given():
    figure = answer_bars({"teacher": {"sport": 0.5, EVIL: 0.5}, "student": {"sport": 0.25, EVIL: 0.75}})
    assert [bars.name for bars in figure.data] == ["Teacher", "Distilled student"]
    bars = figure.data[1]
    assert list(bars.x) == [25, 75]
    assert list(bars.text) == ["25.0 %", "75.0 %"]
    assert bars.marker.color == style.COLOURS["student"][0]
    assert tuple(figure.layout.xaxis.range) == (0, 100)
    assert list(figure.layout.yaxis.ticktext) == ["sport", '&lt;img src="h…9/x"&gt; %{y}']
    assert not figure.layout.yaxis.zeroline, "a line at 0 would cross the bars of the first class"
    assert "<img" not in str(bars.customdata)


def test_words_with_their_numbers():
    figure = word_shades(["Shares", "fall", "now", "<b>"], [0.5, -0.25, 0.004, 0.0], "teacher", strongest=0.5)
    assert words(figure) == ["Shares", "fall", "now", "&lt;b&gt;"]
    assert numbers(figure) == ["+50.0", "−25.0", "&nbsp;", "&nbsp;"]
    assert [row[1] for row in figure.data[0].customdata] == [
        "+50.0 points",
        "−25.0 points",
        "+0.4 points",
        "0.0 points",
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_the_deeper_the_stronger_and_nothing_at_zero(dark: bool):
    effects = [0.0, 0.1, 0.5, -0.1, -0.5]
    shades = list(word_shades(["a"] * 5, effects, "alone", strongest=0.5, dark=dark).data[0].marker.color)
    page, deep_for, deep_against = (
        style.pick(pair, dark) for pair in (style.PAGE, tokens.FOR, tokens.AGAINST)
    )
    assert contrast(shades[0], page) == pytest.approx(1)
    for weak, strong, deep in ((shades[1], shades[2], deep_for), (shades[3], shades[4], deep_against)):
        assert 1 < contrast(weak, page) < contrast(strong, page) < contrast(deep, page)
    assert min(contrast(shade, style.pick(style.INK, dark)) for shade in shades) >= 4.5  # words stay readable


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("who", style.COLOURS)
def test_numbers_on_a_cell_stay_readable_and_cells_differ(who: Role, dark: bool):
    shades = [style.shade_of(who, share, dark) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert min(contrast(shade, style.pick(style.INK, dark)) for shade in shades) >= 4.5
    assert [shades[0], shades[-1]] == [colour for _, colour in style.scale_of(who, dark)]
    depths = [contrast(shade, style.pick(style.PAGE, dark)) for shade in shades]
    assert depths == sorted(depths)


def test_lines_are_filled_and_long_words_are_cut():
    figure = word_shades(["word"] * 12 + ["x" * 500, "亚洲股市"], [0.0] * 14, "student", strongest=1)
    bars = figure.data[0]
    ends = [start + width for start, width in zip(bars.base, bars.x, strict=True)]
    assert max(ends) <= tokens.LINE
    assert list(bars.y)[:8] == [0] * 7 + [1]
    assert words(figure)[12] == "x" * 19 + "…"
    assert bars.x[13] == 9  # as wide as eight letters
    assert figure.layout.height == 8 + 40 * (bars.y[-1] + 1)


def test_no_words():
    assert word_shades([], [], "student", strongest=1).layout.height == 48


def test_words_from_right_to_left_begin_at_the_right():
    arabic = word_shades(["هذا", "كتاب", "ok"], [0.5, -0.25, 0.0], "teacher", strongest=0.5)
    english = word_shades(["this", "book", "كتاب"], [0.5, -0.25, 0.0], "teacher", strongest=0.5)
    assert arabic.layout.xaxis.range[0] > arabic.layout.xaxis.range[1]
    assert english.layout.xaxis.range[0] < english.layout.xaxis.range[1]
