"""Own files as tasks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from kd_core.config import TaskConfig
from kd_core.data.assemble import build_task, clean_rows, clean_texts
from kd_core.data.columns import choose_columns, choose_text, refuse_nested
from kd_core.data.read import KINDS, Table, read_table
from kd_core.data.task import Task
from kd_core.errors import DataError

__all__ = [
    "KINDS",
    "Table",
    "choose_columns",
    "load_files",
    "read_table",
    "read_transfer",
    "refuse_remote",
    "rows_of",
]


def load_files(config: TaskConfig) -> Task:
    """The file ``config.name`` as a task, with ``config.test_file`` and ``config.transfer_file`` if given.

    Without a test file the rows are split 60 / 15 / 25 %, otherwise 80 / 20 % into train and validation.
    Raises: DataError, naming the setting that helps where there is one.
    """
    for place, field in ((config.test_file, "test-file"), (config.transfer_file, "transfer-file")):
        refuse_remote(place or "", field)
    notes: list[str] = []
    given = tuple(name for name in (config.text_column, config.label_column) if name)
    table = _read(config.name, config, given, notes)
    text, label = choose_columns(table, config.text_column, config.label_column)
    parts = {"train": clean_rows(rows_of(table, text, label), table.name, config, notes)}
    if config.test_file:
        # Without a header, columns are told apart by their place.
        test = _read(config.test_file, config, (text, label) if table.header else (), notes)
        choose_columns(test, text, label)
        parts["test"] = clean_rows(rows_of(test, text, label), test.name, config, notes)
    transfer = read_transfer(config, notes, text)
    return build_task(Path(config.name).stem, parts, transfer, config, notes)


def read_transfer(config: TaskConfig, notes: list[str], text_column: str | None) -> pd.Series[str] | None:
    """The texts of ``config.transfer_file``: its column of that name, its only one, or the one guessed.

    In a ``.txt`` file every line is a text. Raises: DataError.
    """
    if not config.transfer_file or not config.transfer_texts:
        return None
    refuse_remote(config.transfer_file, "transfer-file")
    table = _read(config.transfer_file, config, (text_column,) if text_column else (), notes)
    columns = list(table.frame.columns)
    column = columns[0] if len(columns) == 1 else choose_text(table, text_column)
    refuse_nested(table, column, "text")
    return clean_texts(table.frame[column], table.name, notes)


def rows_of(table: Table, text: str, label: str) -> pd.DataFrame:
    return pd.DataFrame({"text": table.frame[text], "label": table.frame[label]})


def refuse_remote(place: str, field: str) -> None:
    """Raises: DataError for an address or a network share, which would be fetched from another machine."""
    if "://" in place or place.startswith(("\\\\", "//")):
        raise DataError(
            f"--{field} must be a file on this machine, got {place!r}. Download it first and give its path."
        )


def _read(place: str, config: TaskConfig, columns: Collection[str], notes: list[str]) -> Table:
    table = read_table(
        Path(place),
        Path(place).name,
        encoding=config.encoding,
        delimiter=config.delimiter,
        columns=columns,
    )
    notes += table.notes
    return table
