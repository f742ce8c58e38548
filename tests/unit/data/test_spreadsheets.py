"""Rule 8: a downloaded table never becomes a program."""

from __future__ import annotations

import ast
import csv
import io

import pandas as pd
import pytest

from kd_core.data.spreadsheets import safe_cell, safe_csv
from tests import ROOT

SOURCES = [ROOT / "app.py", *(ROOT / "kd_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]


def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_what_would_be_run_is_text(start: str) -> None:
    text = f"{start}HYPERLINK(1)"
    assert safe_cell(text) == f"'{text}"
    assert cells(safe_csv(pd.DataFrame({"text": [text]}))) == [["text"], [f"'{text}"]]


@pytest.mark.parametrize("text", ["", "a=b", "'=1", " =1", "1-2", "€", "好", "a\nb", 'say "hi", twice'])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text
    assert cells(safe_csv(pd.DataFrame({"text": ["x", text]})))[2] == [text]


def test_numbers_stay_numbers_and_headings_are_cells_too() -> None:
    frame = pd.DataFrame({"=A1": [-1.5, 2.0], "n": [-3, None], "right": [True, False]}, index=[7, 8])
    assert safe_csv(frame) == b"\xef\xbb\xbf'=A1,n,right\r\n-1.5,-3.0,True\r\n2.0,,False\r\n"


def test_every_csv_of_the_project_is_written_here() -> None:
    writers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in ("to_csv", "writerow", "writerows"))
    }
    assert writers == {"kd_core/data/spreadsheets.py"}
