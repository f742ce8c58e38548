"""Tests of the small SVG pictures: a gain, the split of a loss, and two towers of parameters."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from urllib.parse import unquote

import pytest

from kd_core import figures
from kd_core.figures import COLOURS
from kd_core.figures.gain import WIDTH
from kd_core.figures.split import loss_split, split_in_words, split_spoken
from kd_core.figures.towers import sizes_sentence, towers
from kd_core.models.size import ModelSize

SVG = "{http://www.w3.org/2000/svg}"
TEACHER = ModelSize("minilm-l6", 6, 384, 12, 22_700_000, 11_900_000, 21_400_000)
STUDENT = ModelSize("tiny", 2, 128, 2, 2_700_000, 2_260_000, 820_000)


def test_gains_share_a_scale_that_holds_zero() -> None:
    assert figures.span_of([(0.04, 0.01, 0.07), (0.05, 0.02, 0.09)]) == (0.0, 0.09)
    assert figures.span_of([(-0.04, -0.07, -0.01)]) == (-0.07, 0.0)
    assert figures.span_of([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("gain", "colour", "filled"),
    [
        ((0.0, -0.02, 0.04), figures.style.UNSURE[0], False),
        ((0.05, 0.01, 0.07), COLOURS["student"][0], True),
        ((-0.05, -0.07, -0.01), COLOURS["alone"][0], True),
    ],
)
def test_dot_of_a_gain_stands_where_it_is_in_the_colour_of_its_interval(gain, colour, filled) -> None:
    picture = figures.gain_picture(gain, (-0.1, 0.1)).removeprefix("data:image/svg+xml,")
    dot = ET.fromstring(unquote(picture)).find(f"{SVG}circle")
    assert (dot.attrib["stroke"], dot.attrib["fill"]) == (colour, colour if filled else "none")
    left, middle = float(dot.attrib["cx"]) - WIDTH / 2, gain[0]
    assert (left > 0, left < 0) == (middle > 0, middle < 0)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("alpha", "shares", "words"),
    [
        (0.25, [0.75, 0.25, 0.25], ("teacher 75 %", "labels 25 %")),
        (0.0, [1], ("teacher 100 %", "labels 0 %")),
        (1.0, [1, 1], ("teacher 0 %", "labels 100 %")),  # a part and its hatching
    ],
)
def test_bar_of_a_loss_is_split_by_alpha(alpha: float, shares: list[float], words, dark: bool) -> None:
    parts = list(ET.fromstring(loss_split(alpha, dark=dark)).iterfind(f"{SVG}g/{SVG}rect"))
    widths = [float(part.get("width", "")) for part in parts]
    whole = sum(widths[:2]) if alpha == 0.25 else widths[0]
    assert widths == [pytest.approx(share * whole, abs=0.2) for share in shares]
    assert (parts[-1].get("fill") == "url(#hatched)") == (alpha > 0), "told by more than its colour"
    assert split_in_words(alpha) == words
    assert split_spoken(alpha) == f"The loss: {', '.join(words)}"


def blocks(svg: str, colour: str) -> list[tuple[float, float, float]]:
    rows = [block for block in ET.fromstring(svg).iter(f"{SVG}rect") if block.get("fill") == colour]
    return [tuple(float(row.get(name)) for name in ("y", "height", "width")) for row in rows]


@pytest.mark.parametrize("dark", [False, True])
def test_areas_of_towers_are_to_scale(dark: bool) -> None:
    areas = []
    for who in ("teacher", "student"):
        rows = blocks(towers(TEACHER, STUDENT, dark=dark), COLOURS[who][dark])
        areas.append((max(y + height for y, height, _ in rows) - min(y for y, _, _ in rows)) * rows[0][2])
    assert areas[0] / areas[1] == pytest.approx(TEACHER.params / STUDENT.params, rel=0.05)


def test_towers_in_words_without_markup() -> None:
    svg = towers(replace(TEACHER, name="/models/<img src=x>&co", layers=48), replace(STUDENT, layers=48))
    assert any(text.text == "Teacher: <img src=x>&co" for text in ET.fromstring(svg).iter(f"{SVG}text"))
    assert sizes_sentence(TEACHER, STUDENT) == (
        "Two towers drawn to scale. Teacher: 6 layers of 384, 12 heads, 22.7 M parameters. "
        "Student: 2 layers of 128, 2 heads, 2.7 M parameters, 8.4x smaller."
    )
    assert "1 layer of 300, " in sizes_sentence(TEACHER, replace(STUDENT, layers=1, hidden=300, heads=None))
