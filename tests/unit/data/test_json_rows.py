"""Rows of JSON: one object in each line, an array, or one object that holds them all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.errors import DataError
from tests.unit.data.films import TEXTS, cells, table


def test_09_json_numbers_stay_as_written():
    lines = '{"text": "a", "label": 1}\n{"text": "b", "label": 1.0}\n{"text": "c", "label": 1e3}\n'
    assert table(lines, "a.jsonl").frame["label"].tolist() == ["1", "1.0", "1e3"]


def test_20_a_broken_json_line_has_its_number():
    with pytest.raises(DataError, match=r"a\.jsonl: line 3 is not valid JSON \(.*column 10\)"):
        table('{"text": "a"}\n\n{"text": "b\n', "a.jsonl")
    with pytest.raises(DataError, match=r"line 2 is no JSON object"):
        table('{"text": "a"}\n["b"]\n', "a.jsonl")
    with pytest.raises(DataError, match=r"line 2 is nested too deeply"):
        table('{"text": "a"}\n' + "[" * 200_000, "a.jsonl")


def test_21_a_json_array_is_accepted():
    read = table('[{"text": "a", "label": "x"},\n {"label": "y", "text": null}]', "a.jsonl")
    assert read.frame.to_numpy().tolist() == [["a", "x"], ["", "y"]]
    assert read.frame.index.tolist() == [1, 2]
    with pytest.raises(DataError, match="line 2 is not valid JSON"):
        table('[{"text": "a"},\n{"text": b}]', "a.jsonl")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"text": TEXTS, "label": TEXTS}), min_size=1, max_size=8), st.booleans()
)
def test_json_cells_come_back_as_they_were(rows, escaped):
    content = "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    assert table(content, "a.jsonl").frame.to_dict("records") == rows


def test_half_a_surrogate_pair_does_not_break_a_file():
    assert cells('{"text": "a\\ud800b", "label": "x"}', "a.jsonl") == [["a?b", "x"]]


def test_half_a_surrogate_pair_in_the_name_of_a_column():
    read = table('{"text": "a", "label": "b", "\\ud800": 1}\n', "films.jsonl")
    assert list(read.frame.columns) == ["text", "label", "?"]


def test_a_json_object_over_several_lines_is_called_so():
    with pytest.raises(DataError, match=r"films.json is one JSON object over several lines\. Give an array"):
        table('{\n "text": "a",\n "label": "b"\n}\n', "films.json")


@pytest.mark.parametrize(
    "content",
    [
        {"data": [{"text": "a", "label": "b"}, {"text": "c", "label": "1.0"}], "version": "1.0"},
        {"text": {"0": "a", "1": "c"}, "label": {"0": "b", "1": 1.0}},  # DataFrame.to_json()
        {"text": ["a", "c"], "label": ["b", 1.0]},  # DataFrame.to_dict("list")
        {"x": {"text": "a", "label": "b"}, "y": {"text": "c", "label": 1.0}, "z": {"text": "e"}},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_the_rows_of_a_json_object_that_holds_them_all(content, indent):
    found = cells(json.dumps(content, indent=indent), "films.json")
    assert found[:2] == [["a", "b"], ["c", "1.0"]]


@pytest.mark.parametrize(
    "content",
    [
        {"columns": ["text", "label"], "data": [["a", "b"]]},
        {"train": [{"text": "a", "label": "b"}], "test": [{"text": "c", "label": "d"}]},
    ],
)
def test_a_json_object_that_holds_all_rows_is_called_so(content):
    keys = ", ".join(map(repr, content))
    with pytest.raises(DataError) as error:
        table(json.dumps(content), "films.json")
    assert str(error.value) == (
        f"films.json is one JSON object that holds all rows ({keys}). Give an array of objects, "
        '[{"text": ..., "label": ...}, ...], or one object in each line; pandas writes them with '
        'to_json(orient="records").'
    )
    assert cells('{"text": "a", "tags": ["b"]}', "films.jsonl") == [["a", ""]]


@pytest.mark.parametrize("content", ["{}\n{}\n", "[{}, {}]", "{}"])
def test_json_objects_without_anything_in_them(content):
    with pytest.raises(
        DataError, match=r"films\.json has nothing but empty objects\. Give such as {\"text\""
    ):
        table(content, "films.json")
