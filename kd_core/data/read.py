"""From a file to a table: CSV, TSV, JSONL, Parquet or lines. Cells are text, exactly as in the file."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kd_core.data.decode import decode, read_bytes
from kd_core.data.delimited import is_tabbed, read_delimited, read_lines
from kd_core.data.foreign import advice
from kd_core.data.json_rows import read_json
from kd_core.data.parquet_pages import pages
from kd_core.data.table import Table, limit_columns, limit_rows, unique_names
from kd_core.errors import DataError

MAX_UNPACKED_BYTES = 500 * 10**6  # of a Parquet file
PIECE_BYTES = 64 * 10**6  # of a Parquet file, read at once

KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".json": "JSONL",
    ".parquet": "Parquet",
}


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
    kind = (KINDS | {".txt": "text"}).get(Path(name).suffix.lower())
    if kind is None:
        listed = ", ".join(KINDS)
        raise DataError(f"{name} is none of the kinds that can be read: {listed}. {advice(name)}".rstrip())
    data = read_bytes(source, name)
    if kind == "Parquet":
        return _read_parquet(data, name)
    text, notes = decode(data, name, kind, encoding)
    if not text.strip():
        raise DataError(f"{name} is empty: it has no rows.")
    match kind:
        case "JSONL":
            table = read_json(text, name)
        case "text" if not is_tabbed(text):
            table = read_lines(text, name)
        case _:
            table = read_delimited(text, name, "," if kind == "CSV" else "\t", delimiter, columns)
    return replace(table, notes=notes + table.notes)


def from_arrow(arrow: pa.Table) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All columns as str, missing values as "", and the names of those for ``Table.nested``."""
    columns, nested = {}, []
    for name, column in zip(unique_names(arrow.column_names), arrow.columns, strict=True):
        text = _as_text(column)
        if text is None:
            nested.append(name)
            text = pa.nulls(len(column), pa.large_string())
        columns[name] = text.fill_null("")
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame, tuple(nested)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """None where its values are no texts, numbers, dates or the like."""
    kind = column.type
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType) or _is_binary(kind):
        return None
    if pa.types.is_floating(kind):  # NaN is how pandas writes that there is no value
        column = pc.if_else(pc.is_nan(column), None, column)
    try:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            column = column.cast(pa.large_binary())  # from there on it is looked at: is it UTF-8?
        return column.cast(pa.large_string())
    except pa.ArrowException:
        return None


def _is_binary(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _read_parquet(data: bytes, name: str) -> Table:
    if not data:
        raise DataError(f"{name} is empty: it has no rows.")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        largest = check_parquet(data, file.metadata, name)
        batches, size = [], 0
        # In small pieces: a value repeated by reference takes no room in the file, but does once it is read.
        for batch in file.iter_batches(batch_size=max(1, min(256, PIECE_BYTES // max(1, largest)))):
            batches.append(batch)
            size += batch.nbytes
            limit_unpacked(size, name)
        arrow = pa.Table.from_batches(batches, schema=file.schema_arrow)
        unique_names(arrow.column_names, name)
        frame, nested = from_arrow(arrow)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} is damaged or no Parquet file ({str(error).splitlines()[0].rstrip('.')}). "
            "Export or download it again."
        ) from error
    if frame.empty:
        raise DataError(f"{name} has no rows: give one for each text.")
    return Table(name, frame, nested=nested)


def check_parquet(data: bytes, meta: pq.FileMetaData, name: str) -> int:
    """Bytes of the largest row that its dictionaries can give. Raises: DataError, ValueError."""
    limit_rows(meta.num_rows, name)
    limit_columns(meta.num_columns, meta.num_rows, name)
    size, largest = 0, 0
    for page in pages(data, meta):
        size += page.bytes
        largest += page.bytes if page.is_dictionary else 0
        limit_unpacked(size, name)
    return largest


def limit_unpacked(size: int, name: str) -> None:
    if size > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{name} has {size / 1e6:,.0f} MB when unpacked, more than {MAX_UNPACKED_BYTES / 1e6:,.0f} MB. "
            "Give a sample of its rows."
        )
