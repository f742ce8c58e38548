"""Tests of probabilities as bars, and of a text whose words are shaded."""

from __future__ import annotations

import re

from kd_core.figures import answer_bars, style, tokens, word_shades
from tests.unit.figures.sampled import EVIL


def test_bars_in_the_order_given() -> None:
    figure = answer_bars({"teacher": {"sport": 0.5, EVIL: 0.5}, "student": {"sport": 0.25, EVIL: 0.75}})
    assert [bars.name for bars in figure.data] == ["Teacher", "Distilled student"]
    bars = figure.data[1]
    assert (list(bars.x), list(bars.text)) == ([25, 75], ["25.0 %", "75.0 %"])
    assert bars.marker.color == style.COLOURS["student"][0]
    assert "<img" not in f"{bars.customdata} {figure.layout.yaxis.ticktext}"


def test_words_with_their_numbers() -> None:
    words = ["Shares", "fall", "now", "<b>", *["word"] * 12, "x" * 500]
    figure = word_shades(words, [0.5, -0.25, 0.004, *[0.0] * 14], "teacher", strongest=0.5)
    bars = figure.data[0]
    shown = ["Shares", "fall", "now", "&lt;b&gt;", *["word"] * 12, "x" * 19 + "…"]
    assert [re.sub(r"<.*", "", text) for text in bars.text] == shown
    assert [re.sub(r".*<span[^>]*>(.*)</span>", r"\1", text) for text in bars.text][:3] == [
        "+50.0",
        "−25.0",
        "&nbsp;",
    ]
    assert [row[1] for row in bars.customdata][:3] == ["+50.0 points", "−25.0 points", "+0.4 points"]
    assert max(start + width for start, width in zip(bars.base, bars.x, strict=True)) <= tokens.LINE
    assert len(word_shades([], [], "student", strongest=1).data[0].x or ()) == 0


def test_words_from_right_to_left_begin_at_the_right() -> None:
    for texts, reverse in ((["هذا", "كتاب", "ok"], True), (["this", "book", "كتاب"], False)):
        left, right = word_shades(texts, [0.5, -0.25, 0.0], "teacher", strongest=0.5).layout.xaxis.range
        assert (left > right) == reverse
