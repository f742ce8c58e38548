"""The two towers: areas that are parameters, names that are text, words for those who cannot see it."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from kd_core.figures import COLOURS
from kd_core.figures.towers import sizes_sentence, towers
from tests.unit.jobs.planned import STUDENT, TEACHER

SVG = "{http://www.w3.org/2000/svg}"


def area(svg: str, colour: str) -> float:
    """Of all blocks of a colour, with the gaps between layers left out of the drawing added again."""
    blocks = [b for b in ElementTree.fromstring(svg).iter(f"{SVG}rect") if b.get("fill") == colour]
    top = min(float(block.get("y")) for block in blocks)
    base = max(float(block.get("y")) + float(block.get("height")) for block in blocks)
    return (base - top) * float(blocks[0].get("width"))


@pytest.mark.parametrize("dark", [False, True])
def test_areas_are_to_scale(dark):
    svg = towers(TEACHER, STUDENT, dark=dark)
    ratio = area(svg, COLOURS["teacher"][dark]) / area(svg, COLOURS["student"][dark])
    assert ratio == pytest.approx(TEACHER.params / STUDENT.params, rel=0.05)


def test_each_layer_is_a_block_until_there_are_too_many():
    def blocks(layers: int) -> int:
        svg = towers(replace(TEACHER, layers=layers), STUDENT)
        return svg.count(f'fill="{COLOURS["teacher"][0]}"')

    assert blocks(6) == 7, "six layers and the embeddings"
    assert blocks(48) == 2


def test_a_student_larger_than_its_teacher_fits_too():
    svg = towers(STUDENT, replace(TEACHER, layers=12, params=110_000_000))
    heights = [float(y) for y in re.findall(r' y="([-\d.]+)"', svg)]
    assert min(heights) >= 0


def test_a_name_is_text_and_not_markup():
    svg = towers(replace(TEACHER, name="/models/<img src=x>&co"), STUDENT)
    assert "Teacher: &lt;img src=x&gt;&amp;co" in svg
    assert any(t.text == "Teacher: <img src=x>&co" for t in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_the_words_say_what_the_picture_shows():
    assert sizes_sentence(TEACHER, STUDENT) == (
        "Two towers drawn to scale. Teacher: 6 layers of 384, 12 heads, 22.7 M parameters. "
        "Student: 2 layers of 128, 2 heads, 2.7 M parameters, 8.4x smaller."
    )
    assert "1 layer of 300, " in sizes_sentence(TEACHER, replace(STUDENT, layers=1, hidden=300, heads=None))
