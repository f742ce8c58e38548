"""Own files as tasks: each is read, its columns are chosen, and its rows are checked."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from kd_core.config import TaskConfig
from kd_core.data.apart import read_file
from kd_core.data.assemble import build_task, clean_rows, clean_texts
from kd_core.data.columns import choose_columns, choose_text, refuse_nested
from kd_core.data.table import Table
from kd_core.data.task import Task
from kd_core.errors import DataError


def load_files(config: TaskConfig) -> Task:
    """The file ``config.name`` as a task, with ``config.test_file`` and ``config.transfer_file`` if given.

    Without a test file the rows are split 60 / 15 / 25 %, otherwise 80 / 20 % into train and validation.
    Raises: DataError, naming the setting that helps where there is one.
    """
    notes: list[str] = []
    parts: dict[str, pd.DataFrame] = {}
    unlabelled: list[pd.Series[str]] = []
    text, label, header = config.text_column, config.label_column, True
    for part, file in (("train", config.name), ("test", config.test_file)):
        if file:
            # Without a header, columns are told apart by their place.
            table = read_own(file, config, [name for name in (text, label) if name and header], notes)
            if part == "test":
                _check_same_columns(table, Path(config.name).name, text, label)
            text, label = choose_columns(table, text, label)
            header = table.header
            if part == "train":
                notes += _unused(table, config, text, label)
            rows = table.frame[[text, label]].set_axis(["text", "label"], axis="columns")
            parts[part], texts = clean_rows(rows, table.name, config, notes, held_out=part == "test")
            unlabelled.append(texts)
    transfer = unlabelled + read_transfer(config, text, notes)
    return build_task(Path(config.name).stem, parts, transfer, config, notes)


def _unused(table: Table, config: TaskConfig, text: str, label: str) -> list[str]:
    """What is left of the columns, where they were guessed: half of a text may stand in another."""
    others = [repr(column) for column in table.frame if column not in (text, label)]
    if not others or (config.text_column and config.label_column):
        return []
    unused = f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} not used"
    return [f"{table.name}: texts are read from {text!r}, labels from {label!r}; {unused}."]


def _check_same_columns(table: Table, train: str, *columns: str | None) -> None:
    if missing := [column for column in columns if column not in table.frame]:
        raise DataError(
            f"{table.name} has no column {' and no column '.join(map(repr, missing))}, which {train} has: "
            f"its columns are {', '.join(map(repr, table.frame.columns))}. Rename them as they are there."
        )


def read_transfer(config: TaskConfig, text_column: str | None, notes: list[str]) -> list[pd.Series[str]]:
    """The texts of ``config.transfer_file``: its column of that name, its only one, or the one guessed.

    In a ``.txt`` file every line is a text. Raises: DataError.
    """
    if not config.transfer_file or not config.transfer_texts:
        return []
    table = read_own(config.transfer_file, config, [text_column] if text_column else [], notes)
    column = choose_text(table, text_column)
    refuse_nested(table, column, "text")
    return [clean_texts(table.frame[column], table.name, notes)]


def read_own(file: str, config: TaskConfig, columns: Collection[str], notes: list[str]) -> Table:
    """A file of the task, a header of which has one of ``columns``; adds to ``notes``. Raises: DataError."""
    path = Path(file)
    table = read_file(path, path.name, encoding=config.encoding, delimiter=config.delimiter, columns=columns)
    notes += table.notes
    return table
