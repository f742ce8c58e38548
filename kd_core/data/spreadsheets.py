"""Tables for a spreadsheet program, which would run a cell that looks like a formula."""

from __future__ import annotations

import pandas as pd

# What begins a formula, also in its full-width form, and the white space that some programs skip before it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def safe_cell(cell: object) -> object:
    """A text that would be run gets an apostrophe in front: "=1+1" -> "'=1+1". Numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def without_apostrophe(text: str) -> str:
    """The text that ``safe_cell`` was given: "'=1+1" -> "=1+1"."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def safe_csv(frame: pd.DataFrame) -> bytes:
    """The frame without its index as CSV that a spreadsheet shows as text, headings too.

    UTF-8 with a byte order mark, without which Excel reads another encoding.
    """
    safe = frame.map(safe_cell).rename(columns=safe_cell)
    return safe.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
