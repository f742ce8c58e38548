"""From any file to a table, and the bad files that end in one clear sentence.

Numbers in comments are items of the list of bad inputs.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.data import read
from kd_core.data.parquet_pages import pages
from kd_core.data.read import read_table
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, TEXTS, cells, parquet, table

SPLITS = json.dumps({"train": [{"text": "a", "label": "b"}], "test": [{"text": "c", "label": "d"}]})
PARTS = json.dumps({"columns": ["text", "label"], "data": [["a", "b"]]})
OPEN = f'{HEADER}"Two\nlines",pos\n\n"'
DAMAGED = bytearray(parquet({"text": [f"text {i}" for i in range(500)]}))
DAMAGED[10:200] = b"\xff" * 190
NO_PARQUET = (b"junk", b"PAR1" + b"x" * 50, parquet({"text": ["a"] * 50})[:-20], bytes(DAMAGED))
MANY = [f"c{i}" for i in range(1_001)]
EXPORT, UNPACK = r"\. Save the sheet as CSV", r"\. Unpack it first, and give the file that was in it"


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        # 13: no rows
        *(("", f"a.{kind}", "is empty: it has no rows") for kind in ("csv", "txt", "jsonl", "parquet")),
        *(("sep=;\n", f"a.{kind}", "is empty: it has no rows") for kind in ("csv", "tsv")),
        ('"sep=\t"\n \n', "a.tsv", "is empty: it has no rows"),
        (HEADER, "a.csv", "has no rows: give one for each text"),
        ("[]", "a.jsonl", "has no rows: give one for each text"),
        (parquet({"text": []}), "a.parquet", "has no rows: give one for each text"),
        # 18: other programs, by content and by name
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.csv", r"is not a CSV file: .* a PNG image\. Give a table"),
        (b"BZh9", "a.csv", f"its content is a bzip2 archive{UNPACK}"),
        (b"%PDF-1.7", "a.jsonl", r"is not a JSONL file: its content is a PDF document\. Put its texts into"),
        (b"PAR1", "a.csv", r"its content is a Parquet file \(name it \.parquet\)\.$"),
        (bytes(range(1, 32)) * 9, "a.csv", "its content is not text"),
        *(("x", f"a.{kind}", f"is none of the kinds .*{EXPORT}") for kind in ("xlsx", "XLS", "ods")),
        *(("x", f"a.{kind}", f"is none of the kinds .*{UNPACK}") for kind in ("csv.gz", "zip", "xz")),
        *(("x", f"a.{kind}", "is none of the kinds .* Put its texts into") for kind in ("pdf", "docx")),
        # 6 and 17: commas and quotes
        (f"{HEADER}A, b,pos\n", "a.csv", r"line 2 has 3 columns, but line 1 has 2\. Put texts that contain"),
        (f'{HEADER}"Two\nlines",pos\nGood\n', "a.csv", "line 4 has 1 column, but line 1 has 2"),
        ('label, text\npos, "A, b"\n', "a.csv", r"in double quotes, without a space before them\.$"),
        (f"{OPEN}Never closed,pos\n", "a.csv", "a quoted text that begins in line 5 is not closed"),
        ("__label__a x\n__label__a __label__b y\n", "a.txt", "line 2 has the labels 'a', 'b'; a text has"),
        # 15: names of columns
        ("text,text ,label\na,b,pos\n", "a.csv", r"has more than one column named 'text'\. Rename them"),
        ('{"text": "a", " text": "b"}', "a.jsonl", "has more than one column named 'text'"),
        # 20: JSON
        ('{"text": "a"}\n\n{"text": "b\n', "a.jsonl", r"line 3 is not valid JSON \(.*column 10\)"),
        ('[{"text": "a"},\n{"text": b}]', "a.jsonl", "line 2 is not valid JSON"),
        ('{"text": "a"}\n["b"]\n', "a.jsonl", r"line 2 is no JSON object such as {\"text\""),
        ('{"text": "a"}\n' + "[" * 200_000, "a.jsonl", "line 2 is nested too deeply"),
        ('{\n "text": "a",\n "label": "b"\n}\n', "a.json", r"is one JSON object over several lines\. Give"),
        (SPLITS, "a.json", r"is one JSON object that holds all rows \('train', 'test'\)\. Give an array"),
        (PARTS, "a.json", r"holds all rows \('columns', 'data'\)\. .* to_json\(orient=\"records\""),
        *((text, "a.json", "has nothing but empty objects") for text in ("{}\n{}\n", "[{}, {}]", "{}")),
        # 23: Parquet
        *((data, "a.parquet", r"is damaged or no Parquet file \(.*[^.]\)\. Export") for data in NO_PARQUET),
        # 25: too many columns
        (",".join(MANY) + "\n" + ",".join("1" * 1_001), "a.csv", "has 1,001 columns, more than 1,000. Keep"),
        ("\n".join(json.dumps({name: 1}) for name in MANY), "a.jsonl", "has 1,001 columns, more than 1,000"),
        (parquet({name: [1] for name in MANY}), "a.parquet", "has 1,001 columns, more than 1,000"),
    ],
)
def test_bad_files_end_in_one_sentence(content, name, says):
    with pytest.raises(DataError, match=says) as refused:
        table(content, name)
    assert str(refused.value).startswith(name)


@pytest.mark.parametrize(
    ("limit", "content", "name", "says"),
    [
        ("table.MAX_ROWS", HEADER + ROWS, "a.csv", r"^a\.csv has 20 rows, more than 19\. Give a sample"),
        ("table.MAX_ROWS", parquet({"text": ["a"] * 20}), "a.parquet", "has 20 rows, more than 19"),
        ("table.MAX_CELLS", HEADER + "a,b\n" * 9, "a.csv", "has 2 columns of 10 rows, more than 19 cells"),
        ("table.MAX_CELLS", parquet({"a": [1] * 20}), "a.parquet", "has 1 columns of 20 rows, more than 19"),
        ("decode.MAX_BYTES", "a,b\n" * 5, "a.csv", r"^a\.csv has 0\.0 MB, more than 0 MB\. Give a smaller"),
    ],
)
def test_limits(limit, content, name, says, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(f"kd_core.data.{limit}", 20)
        table(content, name)
        patch.setattr(f"kd_core.data.{limit}", 19)
        patch.setattr(read.pd, "DataFrame", None)  # a refusal comes before a table is made
        with pytest.raises(DataError, match=says):
            table(content, name)


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        # 7 to 10: values stay as they are written
        ("text,label\nNA,None\nnull,nan\nN/A,01", "a.csv", [["NA", "None"], ["null", "nan"], ["N/A", "01"]]),
        ('{"a": "NA", "b": "01"}\n{"a": 1, "b": 1.0}\n', "a.jsonl", [["NA", "01"], ["1", "1.0"]]),
        ('{"a": 1e3, "b": null}\n{"a": NaN, "b": true}\n', "a.jsonl", [["1e3", ""], ["", "true"]]),
        (parquet({"a": ["NA", "01"], "b": [True, None]}), "a.parquet", [["NA", "true"], ["01", ""]]),
        (parquet({"a": [1.0, float("nan")], "b": [2, 3]}), "a.parquet", [["1", "2"], ["", "3"]]),
        # 21: an array, and an object that holds the rows
        ('[{"text": "a", "label": "x"},\n {"label": "y", "text": null}]', "a.jsonl", [["a", "x"], ["", "y"]]),
        ('{"text": "a", "tags": ["b"]}', "a.jsonl", [["a", ""]]),
        ('{"text": "a\\ud800b", "label": "x"}', "a.jsonl", [["a?b", "x"]]),  # half a surrogate pair
        # lines of text
        ("A\u2028b\rC\x85d\r\nE\x0cf\n\n", "a.txt", [["A\u2028b"], ["C\x85d"], ["E\x0cf"], [""]]),
        ("Good\t1\nBad\n", "a.txt", [["Good\t1"], ["Bad"]]),
        ('Good,  "so\t1\n\nBad\t0\nBad\t1', "a.txt", [['Good,  "so', "1"], ["Bad", "0"], ["Bad", "1"]]),
        ("__label__a G,  b \n\n __label__b\tB\nnone\n", "a.txt", [["a", "G,  b"], ["b", "B"], ["", "none"]]),
    ],
)
def test_cells(content, name, expected):
    assert cells(content, name) == expected


@pytest.mark.parametrize(
    ("content", "name", "unit", "places"),
    [
        ("__label__a x\n\n__label__b y\n", "a.txt", "line", [1, 3]),
        ('{"text": "a"}\n\n{"text": "b"}', "a.jsonl", "line", [1, 3]),
        ('[{"text": "a"},\n\n{"text": "b"}]', "a.json", "row", [1, 2]),
        (parquet({"text": ["a", "b"]}), "a.parquet", "row", [1, 2]),
    ],
)
def test_places_of_rows(content, name, unit, places):
    index = table(content, name).frame.index
    assert (index.name, index.tolist()) == (unit, places)


@pytest.mark.parametrize(
    ("content", "name", "columns"),
    [
        (" text , label\nx,pos\n", "a.csv", ["text", "label"]),
        ('{" text ": "x", " label": "pos"}', "a.jsonl", ["text", "label"]),
        (parquet({" text ": ["x"], " label": ["pos"]}), "a.parquet", ["text", "label"]),
        ("text,\nx,pos\n", "a.csv", ["text", "column 2"]),
        ('{"text": "a", "label": "b", "\\ud800": 1}\n', "a.jsonl", ["text", "label", "?"]),
    ],
)
def test_16_names_of_columns_are_stripped(content, name, columns):
    assert list(table(content, name).frame.columns) == columns


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
def test_rows_of_a_json_object_that_holds_them_all(content, indent):
    assert cells(json.dumps(content, indent=indent), "films.json")[:2] == [["a", "b"], ["c", "1.0"]]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"text": TEXTS, "label": TEXTS}), min_size=1, max_size=8), st.booleans()
)
def test_json_cells_come_back_as_they_were(rows, escaped):
    content = "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    assert table(content, "a.jsonl").frame.to_dict("records") == rows


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.txt"]))
def test_any_bytes_give_a_table_or_an_error_for_users(data, name):
    try:
        read = read_table(data, name)
    except DataError:
        return
    assert len(read.frame) > 0
    assert all(isinstance(cell, str) for row in read.frame.to_numpy() for cell in row)


NAMES = pa.array([b"film \xff" + bytes([65 + i]) for i in range(20)], pa.binary()).view(pa.string())
IDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 20, pa.binary(16)))


@pytest.mark.parametrize(
    ("values", "nested"),
    [
        ([["a"]] * 20, True),
        ([{"en": "a"}] * 20, True),
        ([b"a"] * 20, True),
        (NAMES, True),  # no UTF-8
        (IDS, True),
        (pd.date_range("2024-01-01", periods=20), False),
    ],
)
def test_22_values_that_are_no_text_are_listed(values, nested):
    read = table(parquet({"text": [f"a {i}" for i in range(20)], "more": values}), "a.parquet")
    assert read.nested == ("more",) * nested
    assert (read.frame["more"] == "").all() == nested
    assert table('{"text": "a", "more": {"id": 1}}\n{"text": "b"}', "a.jsonl").nested == ("more",)


def room_to_refuse(data: bytes, says: str) -> int:
    """Return the most bytes that Arrow had at once while it read."""
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    with ThreadPoolExecutor(1) as executor:
        reading = executor.submit(table, data, "a.parquet")
        most = max((pool.bytes_allocated() for _ in iter(reading.done, True)), default=0)
    with pytest.raises(DataError, match=says):
        reading.result()
    return most - before


def test_25_a_parquet_page_that_says_it_is_huge_gets_no_room(monkeypatch):
    data = bytearray(parquet({"text": ["x" * 100_000] * 100}, compression="gzip", use_dictionary=False))
    assert len(data) < 60_000
    meta = pq.ParquetFile(io.BytesIO(data)).metadata
    place = meta.row_group(0).column(0).data_page_offset
    assert data[place : place + 3] == b"\x15\x00\x15"  # the type, then what it has when unpacked
    assert 10_000_000 < sum(page.bytes for page in pages(bytes(data), meta)) < 10_002_000
    length = next(i for i in range(1, 6) if data[place + 2 + i] < 0x80)
    data[place + 3 : place + 3 + length] = b"\xfe" + b"\xff" * (length - 2) + b"\x7f"
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 20_000_000)
    says = r"^a\.parquet has 1\d\d MB when unpacked, more than 20 MB\. Give a sample"
    assert room_to_refuse(bytes(data), says) < 5_000_000


def test_25_a_long_text_that_many_rows_share_is_read_in_small_pieces(monkeypatch):
    data = parquet({"text": ["x" * 1_000_000] * 100}, compression="zstd")
    assert len(data) < 50_000
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 20_000_000)
    monkeypatch.setattr(read, "PIECE_BYTES", 5_000_000)
    says = r"a\.parquet has 2\d MB when unpacked, more than 20 MB"
    assert room_to_refuse(data, says) < 60_000_000  # all rows at once had 100 MB


@given(st.binary(min_size=1, max_size=40), st.integers(0, 60))
def test_any_page_header_is_read_or_refused(garbage, place):
    data = bytearray(parquet({"text": ["a", "b"], "label": ["c", "d"]}))
    meta = pq.ParquetFile(io.BytesIO(data)).metadata
    data[4 + place : 4 + place + len(garbage)] = garbage
    with suppress(ValueError):
        list(pages(bytes(data), meta))
