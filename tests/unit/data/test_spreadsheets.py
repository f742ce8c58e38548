"""A downloaded table never becomes a program."""

from __future__ import annotations

import ast

import pandas as pd
import pytest

from kd_core.data.spreadsheets import safe_cell, safe_csv, without_apostrophe
from tests import ROOT


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_formulas_become_text(start):
    text = f"{start}HYPERLINK(1)"
    assert safe_cell(text) == f"'{text}"
    assert without_apostrophe(f"'{text}") == text


@pytest.mark.parametrize(
    "text", ["", "a=b", "'=1", " =1", "1-2", "€", "好", "a\nb", "'tis", 'say "hi", twice']
)
def test_other_texts_stay_as_they_are(text):
    assert safe_cell(text) == text


def test_numbers_stay_numbers_and_headings_are_cells_too():
    frame = pd.DataFrame({"=A1": [-1.5, 2.0], "n": [-3, None], "right": ["-1", 'a "b", c']}, index=[7, 8])
    csv = '\ufeff\'=A1,n,right\r\n-1.5,-3.0,\'-1\r\n2.0,,"a ""b"", c"\r\n'
    assert safe_csv(frame) == csv.encode()


def test_every_csv_of_the_product_is_written_here():
    writers = {
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "app.py", *(ROOT / "kd_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
        if any(name in (source := path.read_text("utf-8")) for name in ("to_csv", "writerow"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in ("to_csv", "writerow", "writerows")
    }
    assert writers == {"kd_core/data/spreadsheets.py"}
