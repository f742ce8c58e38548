"""Numbers of tables that a browser shows: as all others are written and rounded."""

from __future__ import annotations

import pandas as pd
import pytest

from kd_core.system import formatting
from pages.shared.written import MOST, decimals, percent, written


@pytest.mark.parametrize(("share", "shown"), [(0.7125, 71.2), (0.7126, 71.3), (0.0125, 1.2), (None, None)])
def test_percent_is_rounded_as_everywhere(share: float | None, shown: float | None) -> None:
    """A browser made 71.3 of 71.25, beside a report that said 71.2."""
    assert percent(share) == shown
    if share is not None:
        assert formatting.percent(share) == f"{shown} %"


def test_a_minus_is_a_real_one_and_nothing_has_none() -> None:
    assert [decimals(3)(number) for number in (-3.4841, 0.5, -0.0001)] == ["−3.484", "0.500", "0.000"]


def test_sizes_are_written_in_the_words_of_all_pages_and_stay_numbers() -> None:
    table = pd.DataFrame({"size": [22.71, 0.058, None]})
    styler = written(table, {"size": formatting.megabytes})
    assert not isinstance(styler, pd.DataFrame)
    assert styler.data["size"].tolist()[:2] == [22.71, 0.058]
    assert [said in styler.to_html() for said in (">22.7 MB<", ">58 kB<", ">–<")] == [True, True, True]
    many = pd.DataFrame({"size": [1.0] * (MOST + 1)})
    assert written(many, {"size": formatting.megabytes}) is many
