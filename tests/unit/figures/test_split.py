"""The bar below alpha: how a loss is split between teacher and labels."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from kd_core.figures.split import GAP, WIDTH, loss_split, split_in_words, split_spoken

SVG = "{http://www.w3.org/2000/svg}"


def parts(alpha: float, dark: bool = False) -> list[tuple[float, str]]:
    """Width and fill of what the bar is made of, in order."""
    drawn = ET.fromstring(loss_split(alpha, dark=dark)).iterfind(f"{SVG}g/{SVG}rect")
    return [(float(part.get("width", "")), part.get("fill", "")) for part in drawn]


@pytest.mark.parametrize("dark", [False, True])
def test_the_bar_is_split_like_the_loss(dark: bool) -> None:
    (teacher, colour), (labels, other), (hatched, hatch) = parts(0.25, dark)
    assert [teacher, labels, hatched] == pytest.approx(
        [0.75 * (WIDTH - GAP), *[0.25 * (WIDTH - GAP)] * 2], abs=0.1
    )
    assert hatch == "url(#hatched)", "the labels' part is told by more than its colour"
    assert colour != other
    assert split_spoken(0.25) == "The loss: teacher 75 %, labels 25 %"


@pytest.mark.parametrize(
    ("alpha", "ends", "fills"),
    [(0.0, ("teacher 100 %", "labels 0 %"), 1), (1.0, ("teacher 0 %", "labels 100 %"), 2)],
)
def test_who_is_not_listened_to_has_no_part(alpha: float, ends: tuple[str, str], fills: int) -> None:
    assert split_in_words(alpha) == ends
    assert [width for width, _ in parts(alpha)] == [WIDTH] * fills
