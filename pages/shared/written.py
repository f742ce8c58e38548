"""Numbers of a table in the words of ``formatting``; a column's own format in the browser has others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

MOST = 300  # rows; a Styler goes over every cell, and for thousands that takes seconds


def written(table: pd.DataFrame, words: Mapping[str, Callable[[Any], str]]) -> pd.DataFrame | Styler:
    """With the columns of ``words`` written so. They are numbers still, and are sorted as such.

    A table of more than ``MOST`` rows stays as it is.
    """
    if len(table) > MOST:
        return table
    formats: dict[Any, Any] = dict(words)
    return table.style.format(formats, na_rep="–")


def decimals(places: int) -> Callable[[float], str]:
    """With a real minus sign, where a column's format has a hyphen: -3.4841 -> "−3.484" with three places."""
    return lambda number: f"{number:z.{places}f}".replace("-", "−")


def percent(share: float | None) -> float | None:
    """As ``formatting.percent`` rounds it: of 71.25 a browser makes 71.3, Python 71.2."""
    return None if share is None else round(100 * float(share), 1)
