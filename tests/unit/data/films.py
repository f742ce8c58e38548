"""A small file of films, and short ways to read tables and to make tasks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.read import read_table
from kd_core.data.table import Table
from kd_core.data.task import Task, labelled, unlabelled

HEADER = "text,label\n"
ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))


def table(content: str | bytes, name: str = "films.csv", **options: Any) -> Table:
    return read_table(content if isinstance(content, bytes) else content.encode(), name, **options)


def cells(content: str | bytes, name: str = "films.csv", **options: Any) -> list[list[str]]:
    return table(content, name, **options).frame.to_numpy().tolist()


def task_of(path: Path, content: str | bytes, **options: Any) -> Task:
    """Write ``content`` to the file ``path``, or to ``films.csv`` in the folder ``path``, and load it."""
    path = path / "films.csv" if path.is_dir() else path
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_task(TaskConfig(name=str(path), **options))


def parquet(columns: dict, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def texts_of(task: Task) -> list[str]:
    """Return the labelled texts of all three splits."""
    return [text for split in (task.train, task.validation, task.test) for text in split["text"]]


def made(
    train: Sequence[tuple[str, int]],
    validation: Sequence[tuple[str, int]] = (("x y", 0),),
    test: Sequence[tuple[str, int]] = (("x y", 0),),
    transfer: Sequence[str] = (),
    labels: tuple[str, ...] = ("neg", "pos"),
    **more: Any,
) -> Task:
    splits = (labelled(*zip(*part, strict=True)) for part in (train, validation, test))
    return Task("films", labels, *splits, unlabelled(transfer), **more)


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=20)


def case(expected: object, **given: object) -> object:
    """Return a row of a table of tests: what is given, by name, and what is expected."""
    return pytest.param(given, expected)
