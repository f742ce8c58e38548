"""A file's cells as a table, and how large one may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kd_core.errors import DataError

MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_CELLS = 20 * 10**6


@dataclass(frozen=True)
class Table:
    """A file's cells, all str; the index holds 1-based line numbers (rows for Parquet and JSON arrays).

    ``header`` says whether the columns have names in the file; ``nested`` lists the columns whose cells are
    lists, objects or bytes, which are left empty here; ``notes`` are sentences for a person.
    """

    name: str
    frame: pd.DataFrame
    delimiter: str | None = None
    header: bool = True
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def make_table(
    name: str,
    columns: Sequence[str],
    rows: Sequence[Any],
    places: Sequence[int] | None = None,
    unit: str = "line",
    **more: Any,
) -> Table:
    if not rows:
        raise DataError(f"{name} has no rows: give one for each text.")
    limit_rows(len(rows), name)
    limit_columns(len(columns), len(rows), name)
    index = pd.Index(places or range(1, len(rows) + 1), name=unit)
    return Table(name, pd.DataFrame(rows, columns=list(columns), index=index, dtype="str"), **more)


def limit_rows(count: int, name: str) -> None:
    if count > MAX_ROWS:
        raise DataError(f"{name} has {count:,} rows, more than {MAX_ROWS:,}. Give a sample of them.")


def limit_columns(columns: int, rows: int, name: str) -> None:
    if columns > MAX_COLUMNS:
        raise DataError(
            f"{name} has {columns:,} columns, more than {MAX_COLUMNS:,}. Keep those of the texts and labels."
        )
    if columns * rows > MAX_CELLS:
        raise DataError(
            f"{name} has {columns:,} columns of {rows:,} rows, more than {MAX_CELLS:,} cells. Keep the "
            "columns of the texts and labels, or give a sample of the rows."
        )


def unique_names(names: Sequence[str], source: str = "The data set") -> list[str]:
    """Stripped names; a nameless column gets its number."""
    stripped = [name.strip() or f"column {place}" for place, name in enumerate(names, start=1)]
    if twice := sorted({name for name in stripped if stripped.count(name) > 1}):
        raise DataError(
            f"{source} has more than one column named {', '.join(map(repr, twice))}. Rename them."
        )
    return stripped
