"""The bar below alpha: how a loss is split between teacher and labels."""

from __future__ import annotations

import re

import pytest

from kd_core.figures.split import loss_split, split_in_words


@pytest.mark.parametrize("dark", [False, True])
def test_the_bar_is_split_like_the_loss(dark: bool) -> None:
    drawn = loss_split(0.25, dark=dark)
    assert [float(share) for share in re.findall(r"flex:([\d.]+)", drawn)] == [0.75, 0.25]
    assert 'aria-label="The loss: teacher 75 %, labels 25 %"' in drawn
    assert drawn.count("repeating-linear-gradient") == 1, "the labels' part is told by more than its colour"


@pytest.mark.parametrize(
    ("alpha", "ends"), [(0.0, ("teacher 100 %", "labels 0 %")), (1.0, ("teacher 0 %", "labels 100 %"))]
)
def test_who_is_not_listened_to_has_no_part(alpha: float, ends: tuple[str, str]) -> None:
    assert split_in_words(alpha) == ends
    assert len(re.findall("flex:[01]", loss_split(alpha))) == 1
