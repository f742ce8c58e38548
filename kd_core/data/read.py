"""Reading CSV, TSV, JSONL and Parquet. Cells are read as text, exactly as they stand in the file."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kd_core.data.decode import SEPARATORS, content, decode, has_header, sniff, split_records
from kd_core.errors import DataError

MAX_UNPACKED_BYTES = 500 * 10**6  # of a Parquet file
MAX_ROWS = 1_000_000

KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".json": "JSONL",
    ".parquet": "Parquet",
}


@dataclass(frozen=True)
class Table:
    """A file's cells, all str; the index holds 1-based line numbers (rows for Parquet and JSON arrays).

    ``header`` says whether the columns have names in the file; ``nested`` lists the columns whose cells are
    lists, objects or bytes, which are left empty here; ``notes`` are sentences for a person.
    """

    name: str
    frame: pd.DataFrame
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_table(
    source: Path | bytes,
    name: str,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Collection[str] = (),
) -> Table:
    """The cells of a file, or of its content; the suffix of ``name`` tells its kind.

    Text is UTF-8 or what a byte order mark says, unless ``encoding`` is given; ``delimiter`` (None: detected)
    may be written as ``tab`` or ``\\t``. A first line with one of ``columns`` is a header.
    Raises: DataError.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in KINDS and suffix != ".txt":
        raise DataError(f"{name} is none of the kinds that can be read: {', '.join(KINDS)}.")
    data = content(source, name)
    if suffix == ".parquet":
        return _read_parquet(data, name)
    kind = KINDS.get(suffix, "text")
    text, encoding, notes = decode(data, name, kind, encoding)
    if not text.strip():
        raise DataError(f"{name} is empty: it has no rows.")
    if kind == "JSONL":
        return _read_json(text, name, encoding, notes)
    if kind == "text":
        lines = text.splitlines()
        _limit_rows(len(lines), name)
        return Table(
            name, _frame(["text"], [[line] for line in lines], name), None, encoding, False, (), notes
        )
    return _read_delimited(text, name, kind, encoding, delimiter, columns, notes)


def from_arrow(arrow: pa.Table) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All columns as str, missing values as "", and the names of those for ``Table.nested``."""
    columns, nested = {}, []
    for name, column in zip(_unique(arrow.column_names), arrow.columns, strict=True):
        binary = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
        if binary or pa.types.is_nested(column.type):
            nested.append(name)
            column = pa.nulls(len(column))
        columns[name] = column.cast(pa.large_string()).fill_null("")
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame, tuple(nested)


def _limit_rows(count: int, name: str) -> None:
    if count > MAX_ROWS:
        raise DataError(f"{name} has {count:,} rows, more than {MAX_ROWS:,}. Give a sample of them.")


def _read_delimited(
    text: str,
    name: str,
    kind: str,
    encoding: str,
    delimiter: str | None,
    columns: Collection[str],
    notes: tuple[str, ...],
) -> Table:
    usual = "\t" if kind == "TSV" else ","
    if delimiter is None:
        delimiter = sniff(text, usual)
        if delimiter != usual:
            notes += (f"{name}: columns are separated by {SEPARATORS[delimiter]}, not {SEPARATORS[usual]}.",)
    else:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '\r\n"':
            raise DataError(f"--delimiter must be one character or 'tab', got {delimiter!r}.")
    records, lines = split_records(text, name, delimiter)
    header = has_header(records, columns)
    if header:
        names, records, lines = _unique(records[0], name), records[1:], lines[1:]
    else:
        names = [f"column {place}" for place in range(1, len(records[0]) + 1)]
        notes += (f"{name}: no header found, so the columns are called {', '.join(names)}.",)
    frame = _frame(names, records, name, lines)
    return Table(name, frame, delimiter, encoding, header, (), notes)


def _unique(names: Sequence[str], source: str = "The data set") -> list[str]:
    """Stripped names; a nameless column gets its number."""
    stripped = [name.strip() or f"column {place}" for place, name in enumerate(names, start=1)]
    if twice := sorted({name for name in stripped if stripped.count(name) > 1}):
        raise DataError(
            f"{source} has more than one column named {', '.join(map(repr, twice))}. Rename them."
        )
    return stripped


def _frame(
    names: Sequence[str],
    records: Sequence[Sequence[str]],
    source: str,
    places: Sequence[int] | None = None,
    unit: str = "line",
) -> pd.DataFrame:
    if not records:
        raise DataError(f"{source} has no rows, only a header.")
    _limit_rows(len(records), source)
    index = pd.Index(places or range(1, len(records) + 1), name=unit)
    return pd.DataFrame(records, columns=list(names), index=index, dtype="str")


def _read_json(text: str, name: str, encoding: str, notes: tuple[str, ...]) -> Table:
    unit = "row" if text.lstrip().startswith("[") else "line"
    places: list[int] = []
    objects: list[dict[str, Any]] = []
    for place, value in _json_values(text, name, unit):
        if not isinstance(value, dict):
            raise DataError(
                f'{name}: {unit} {place:,} is no JSON object such as {{"text": ..., "label": ...}}.'
            )
        places.append(place)
        objects.append(value)
    keys = list(dict.fromkeys(key for value in objects for key in value))
    nested = {key for value in objects for key, cell in value.items() if isinstance(cell, dict | list)}
    records = [[_cell(value.get(key)) for key in keys] for value in objects]
    names = _unique(keys, name)
    frame = _frame(names, records, name, places, unit)
    hidden = tuple(column for column, key in zip(names, keys, strict=True) if key in nested)
    return Table(name, frame, None, encoding, True, hidden, notes)


def _json_values(text: str, name: str, unit: str) -> Iterator[tuple[int, Any]]:
    """The values with their line, or their place in the array that they are in."""
    # Numbers stay as they are written: 1.0 is not 1.
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
    line = 1
    try:
        if unit == "row":
            yield from enumerate(decoder.decode(text), start=1)
            return
        # Not splitlines: a text may hold other line separators.
        for line, content in enumerate(text.split("\n"), start=1):
            if content.strip():
                yield line, decoder.decode(content)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}: line {line + error.lineno - 1:,} is not valid JSON "
            f"({error.msg}, column {error.colno:,})."
        ) from error
    except RecursionError as error:
        raise DataError(f"{name}: {unit} {line:,} is nested too deeply.") from error


def _cell(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # Half of a surrogate pair, which JSON can hold and Arrow cannot.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _read_parquet(data: bytes, name: str) -> Table:
    if not data:
        raise DataError(f"{name} is empty: it has no rows.")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        meta = file.metadata
        _limit_rows(meta.num_rows, name)
        _limit_unpacked(sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)), name)
        batches, size = [], 0
        # In small pieces: a value repeated by reference takes no room in the file, but does once it is read.
        for batch in file.iter_batches(batch_size=256):
            batches.append(batch)
            size += batch.nbytes
            _limit_unpacked(size, name)
        arrow = pa.Table.from_batches(batches, schema=file.schema_arrow)
        _unique(arrow.column_names, name)
        frame, nested = from_arrow(arrow)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{name} is damaged or no Parquet file ({str(error).splitlines()[0]}). "
            "Export or download it again."
        ) from error
    if frame.empty:
        raise DataError(f"{name} has no rows, only a header.")
    return Table(name, frame, nested=nested)


def _limit_unpacked(size: int, name: str) -> None:
    if size > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{name} has {size / 1e6:,.0f} MB when unpacked, more than {MAX_UNPACKED_BYTES / 1e6:,.0f} MB. "
            "Give a sample of its rows."
        )
