"""Parquet pages: what each has when unpacked is known before room is made for it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.data import read
from kd_core.data.parquet_pages import pages
from kd_core.errors import DataError
from tests.unit.data.films import parquet, table


def room_made(read: Callable[[], object]) -> int:
    """The most bytes that Arrow had at once meanwhile."""
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    seen, over = [before], threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(pool.bytes_allocated())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        read()
    finally:
        over.set()
        thread.join()
    return max(seen) - before


def test_a_parquet_page_that_says_it_is_huge_gets_no_room(monkeypatch):
    """As small as it is, and whatever the footer says."""
    sink = io.BytesIO()
    rows = pa.table({"text": ["x" * 100_000] * 100})
    pq.write_table(rows, sink, compression="gzip", use_dictionary=False)
    data = bytearray(sink.getvalue())
    assert len(data) < 60_000
    place = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0).data_page_offset
    assert data[place : place + 3] == b"\x15\x00\x15"  # the type, then what it has when unpacked
    honest = list(pages(bytes(data), pq.ParquetFile(io.BytesIO(data)).metadata))
    assert [page.is_dictionary for page in honest] == [False] * len(honest)
    assert 10_000_000 < sum(page.bytes for page in honest) < 10_002_000
    length = next(i for i in range(1, 6) if data[place + 2 + i] < 0x80)
    data[place + 3 : place + 3 + length] = b"\xfe" + b"\xff" * (length - 2) + b"\x7f"
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 20_000_000)

    def refused() -> None:
        with pytest.raises(DataError, match=r"a\.parquet has 1\d\d MB when unpacked, more than 20 MB"):
            table(bytes(data), "a.parquet")

    assert room_made(refused) < 5_000_000


def test_a_long_text_that_many_rows_share_is_read_in_small_pieces(monkeypatch):
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1_000_000] * 2_000}), sink, compression="zstd")
    assert len(sink.getvalue()) < 50_000
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 60_000_000)
    monkeypatch.setattr(read, "PIECE_BYTES", 10_000_000)

    def refused() -> None:
        with pytest.raises(DataError, match=r"a\.parquet has [67]\d MB when unpacked, more than 60 MB"):
            table(sink.getvalue(), "a.parquet")

    assert room_made(refused) < 120_000_000  # 256 rows at once had 256 MB


@given(st.binary(min_size=1, max_size=40), st.integers(0, 60))
def test_whatever_a_page_header_says_is_read_or_refused(garbage, place):
    data = bytearray(parquet({"text": ["a", "b"], "label": ["c", "d"]}))
    meta = pq.ParquetFile(io.BytesIO(data)).metadata
    data[4 + place : 4 + place + len(garbage)] = garbage
    with suppress(ValueError):
        list(pages(bytes(data), meta))
