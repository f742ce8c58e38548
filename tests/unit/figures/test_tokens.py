"""Tests of probabilities as bars, and of a text whose words are shaded."""

from __future__ import annotations

import re

from kd_core.figures import answer_bars, style, tokens, word_shades
from tests.unit.figures.sampled import EVIL


def words(figure) -> list[str]:
    return [re.sub(r"<.*", "", text) for text in figure.data[0].text]


def test_bars_in_the_order_given() -> None:
    figure = answer_bars({"teacher": {"sport": 0.5, EVIL: 0.5}, "student": {"sport": 0.25, EVIL: 0.75}})
    assert [bars.name for bars in figure.data] == ["Teacher", "Distilled student"]
    bars = figure.data[1]
    assert (list(bars.x), list(bars.text)) == ([25, 75], ["25.0 %", "75.0 %"])
    assert bars.marker.color == style.COLOURS["student"][0]
    assert figure.layout.yaxis.ticktext[0] == "sport"
    assert figure.layout.yaxis.ticktext[1].startswith("&lt;img")
    assert "<img" not in str(bars.customdata)


def test_words_with_their_numbers() -> None:
    figure = word_shades(["Shares", "fall", "now", "<b>"], [0.5, -0.25, 0.004, 0.0], "teacher", strongest=0.5)
    assert words(figure) == ["Shares", "fall", "now", "&lt;b&gt;"]
    numbers = [re.sub(r".*<span[^>]*>(.*)</span>", r"\1", text) for text in figure.data[0].text]
    assert numbers == ["+50.0", "−25.0", "&nbsp;", "&nbsp;"]
    points = ["+50.0 points", "−25.0 points", "+0.4 points", "0.0 points"]
    assert [row[1] for row in figure.data[0].customdata] == points


def test_lines_are_filled_and_long_words_are_cut() -> None:
    figure = word_shades(["word"] * 12 + ["x" * 500, "亚洲股市"], [0.0] * 14, "student", strongest=1)
    bars = figure.data[0]
    assert max(start + width for start, width in zip(bars.base, bars.x, strict=True)) <= tokens.LINE
    assert list(bars.y)[:8] == [0] * 7 + [1]
    assert words(figure)[12] == "x" * 19 + "…"
    assert bars.x[13] == 9, "as wide as eight letters"
    assert figure.layout.height > word_shades([], [], "student", strongest=1).layout.height


def test_words_from_right_to_left_begin_at_the_right() -> None:
    for texts, reverse in ((["هذا", "كتاب", "ok"], True), (["this", "book", "كتاب"], False)):
        left, right = word_shades(texts, [0.5, -0.25, 0.0], "teacher", strongest=0.5).layout.xaxis.range
        assert (left > right) == reverse
