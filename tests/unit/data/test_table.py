"""What every table keeps to, whatever its file: names that differ, and how large it may be."""

from __future__ import annotations

import json

import pytest

from kd_core.data import read
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, parquet, table


def test_15_duplicate_headers_are_an_error():
    with pytest.raises(DataError, match=r"films\.csv has more than one column named 'text'\. Rename them"):
        table("text,text ,label\na,b,pos\n")
    with pytest.raises(DataError, match="more than one column named 'text'"):
        table('{"text": "a", " text": "b"}', "a.jsonl")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_16_padded_column_names_are_stripped(name):
    content = {
        "a.csv": " text , label\nx,pos\n",
        "a.jsonl": '{" text ": "x", " label": "pos"}',
        "a.parquet": parquet({" text ": ["x"], " label": ["pos"]}),
    }[name]
    assert list(table(content, name).frame.columns) == ["text", "label"]


def test_25_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr("kd_core.data.table.MAX_ROWS", 3)
    with pytest.raises(DataError, match=r"films\.csv has 20 rows, more than 3"):
        table(HEADER + ROWS)
    with pytest.raises(DataError, match=r"a\.parquet has 4 rows, more than 3"):
        table(parquet({"text": ["a"] * 4}), "a.parquet")
    with pytest.raises(DataError, match=r"a\.txt has 4 rows, more than 3"):
        table("a\nb\nc\nd", "a.txt")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_too_many_columns_are_refused_before_a_table_is_made(kind, monkeypatch):
    monkeypatch.setattr(read.pd, "DataFrame", None)
    names = [f"c{i}" for i in range(1_001)]
    content: str | bytes = ",".join(names) + "\n" + ",".join("1" * 1_001) + "\n"
    if kind == "jsonl":
        content = "\n".join(json.dumps({name: 1}) for name in names)
    if kind == "parquet":
        content = parquet({name: [1] for name in names})
    with pytest.raises(DataError, match=r"films.* has 1,001 columns, more than 1,000\. Keep those of"):
        table(content, f"films.{kind}")


def test_too_many_cells_are_refused_before_a_table_is_made(monkeypatch):
    monkeypatch.setattr("kd_core.data.table.MAX_CELLS", 50)
    monkeypatch.setattr(read.pd, "DataFrame", None)
    for content, name in ((HEADER + ROWS * 2, "films.csv"), (parquet({"a": [1] * 51}), "films.parquet")):
        with pytest.raises(DataError, match=r"more than 50 cells"):
            table(content, name)
