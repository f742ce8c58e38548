"""A small file of films, and how the tests of files read one.

Tests with a number in their names, 01 to 25, are items of the list of bad inputs.
"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.read import read_table

HEADER = "text,label\n"
ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))


def table(content: str | bytes, name: str = "films.csv", **options):
    return read_table(content if isinstance(content, bytes) else content.encode(), name, **options)


def cells(content: str | bytes, name: str = "films.csv", **options) -> list[list[str]]:
    return table(content, name, **options).frame.to_numpy().tolist()


def task_of(path: Path, content: str | bytes, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_task(TaskConfig(name=str(path), **options))


def parquet(columns: dict) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=20)
