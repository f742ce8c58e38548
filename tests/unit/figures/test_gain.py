from __future__ import annotations

import xml.etree.ElementTree as ET
from urllib.parse import unquote

import pytest

from kd_core import figures
from kd_core.figures.gain import EDGE, WIDTH

SVG = "{http://www.w3.org/2000/svg}"


def drawn(gain: tuple[float, float, float], span: tuple[float, float]) -> ET.Element:
    return ET.fromstring(unquote(figures.gain_picture(gain, span).removeprefix("data:image/svg+xml,")))


def test_rows_share_a_scale_that_holds_zero() -> None:
    assert figures.span_of([(0.04, 0.01, 0.07), (0.05, 0.02, 0.09)]) == (0.0, 0.09)
    assert figures.span_of([(-0.04, -0.07, -0.01)]) == (-0.07, 0.0)
    assert figures.span_of([]) == (0.0, 0.0)


def test_the_dot_stands_where_the_gain_is() -> None:
    dot = drawn((0.05, 0.02, 0.08), (0.0, 0.1)).find(f"{SVG}circle")
    assert dot is not None
    assert float(dot.attrib["cx"]) == pytest.approx(WIDTH / 2)
    zero, interval = drawn((0.05, 0.02, 0.1), (0.0, 0.1)).findall(f"{SVG}path")
    assert zero.attrib["d"].startswith(f"M{EDGE:.1f} ")
    assert interval.attrib["d"].endswith(f"H{WIDTH - EDGE:.1f}")


@pytest.mark.parametrize(
    ("gain", "colour", "filled"),
    [
        ((0.04, 0.01, 0.07), figures.COLOURS["student"][0], True),
        ((0.01, -0.02, 0.04), figures.style.UNSURE[0], False),
        ((-0.04, -0.07, -0.01), figures.COLOURS["alone"][0], True),
    ],
)
def test_its_colour_says_what_the_interval_says(gain, colour, filled) -> None:
    dot = drawn(gain, (-0.1, 0.1)).find(f"{SVG}circle")
    assert dot is not None
    assert dot.attrib["stroke"] == colour
    assert dot.attrib["fill"] == (colour if filled else "none")
