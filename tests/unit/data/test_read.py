"""Any file as a table: what is empty, what is damaged, and Parquet."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.data import read
from kd_core.data.read import read_table
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, parquet, table, task_of


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_13_an_empty_file_has_no_rows(name):
    with pytest.raises(DataError, match=rf"{name} is empty: it has no rows"):
        table("", name)


@pytest.mark.parametrize("content", ["sep=;\n", '"sep=\t"\n \n', '""\n', '" "\n\n'])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_13_a_file_with_nothing_between_its_marks_has_no_rows(content, name):
    with pytest.raises(DataError, match=rf"^{name} is empty: it has no rows\.$"):
        table(content, name)


def test_13_a_header_alone_has_no_rows():
    for content, name in ((HEADER, "a.csv"), ("[]", "a.jsonl"), (parquet({"text": []}), "a.parquet")):
        with pytest.raises(DataError, match=rf"{name} has no rows"):
            table(content, name)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: b"PAR1" + b"x" * 50, lambda data: b"junk"]
)
def test_23_a_corrupt_parquet_file_is_clear(damage):
    # What the library says comes in brackets, without a full stop of its own.
    with pytest.raises(DataError, match=r"a\.parquet is damaged or no Parquet file \(.*[^.]\)\. Export or"):
        table(damage(parquet({"text": ["a"] * 50})), "a.parquet")


def test_23_damage_inside_the_data_is_clear():
    data = bytearray(parquet({"text": [f"text {i}" for i in range(500)]}))
    data[10:200] = b"\xff" * 190
    with pytest.raises(DataError, match=r"a\.parquet is damaged or no Parquet file"):
        table(bytes(data), "a.parquet")


def test_25_a_parquet_file_is_refused_by_its_unpacked_size(monkeypatch):
    data = parquet({"text": ["x" * 100_000] * 100})
    assert len(data) < 50_000
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 5_000_000)
    with pytest.raises(DataError, match=r"a\.parquet has 10 MB when unpacked, more than 5 MB"):
        table(data, "a.parquet")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.txt"]))
def test_any_bytes_give_a_table_or_a_clear_error(data, name):
    try:
        read = read_table(data, name)
    except DataError:
        return
    assert len(read.frame) > 0
    assert all(isinstance(cell, str) for row in read.frame.to_numpy() for cell in row)


def test_parquet_columns_that_are_no_text_matter_only_where_they_are_chosen(tmp_path):
    film = tmp_path / "films.parquet"
    names = pa.array([b"film \xff" + bytes([65 + i]) for i in range(20)], pa.binary()).view(pa.string())
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 20, pa.binary(16)))
    good = {"text": [f"Film number {i}" for i in range(20)], "label": ["pos", "neg"] * 10}
    assert task_of(film, parquet(good | {"name": names, "id": ids})).labels == ("neg", "pos")
    for broken in (names, ids):
        with pytest.raises(DataError, match=r"'text' of films.parquet holds .* bytes\), not text"):
            task_of(film, parquet(good | {"text": broken}))
