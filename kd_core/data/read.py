"""From a file to a table: CSV, TSV, JSONL, Parquet or lines. Cells are text, exactly as in the file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kd_core.data.decode import MAX_BYTES, decode, read_bytes
from kd_core.data.foreign import advice
from kd_core.data.parquet_pages import pages
from kd_core.errors import DataError
from kd_core.system.formatting import counted

MAX_UNPACKED_BYTES = 500 * 10**6  # of a Parquet file
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_CELLS = 20 * 10**6
LONGEST_QUESTION = 200  # as the name of a column, in characters
PIECE_BYTES = 64 * 10**6  # of a Parquet file, read at once

KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".json": "JSONL",
    ".parquet": "Parquet",
}

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}

# Column names that say what is in them, the surest first.
TEXT_NAMES = (
    "texts?|texte|文本",
    "sentence|content|review|body|comment|message|document|article|tweet|question|description|"
    "satz|inhalt|kommentar|phrase|contenu|avis|内容|句子|评论",
    "headline|title|subject|titel|titre|标题",
)

LABEL_NAMES = (
    "labels?|标签",
    "class|category|target|sentiment|topic|intent|emotion|"
    "klasse|kategorie|classe|catégorie|étiquette|类别|分类",
)

_COLUMN_NAMES = "|".join(TEXT_NAMES + LABEL_NAMES)


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
            table = _read_json(text, name)
        case "text":
            table = _table(name, ["text"], text.splitlines(), header=False)
        case _:
            table = _read_delimited(text, name, "\t" if kind == "TSV" else ",", delimiter, columns)
    return replace(table, notes=notes + table.notes)


def from_arrow(arrow: pa.Table) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All columns as str, missing values as "", and the names of those for ``Table.nested``."""
    columns, nested = {}, []
    for name, column in zip(_unique(arrow.column_names), arrow.columns, strict=True):
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


def _table(
    name: str,
    columns: Sequence[str],
    rows: Sequence[Any],
    places: Sequence[int] | None = None,
    unit: str = "line",
    **more: Any,
) -> Table:
    if not rows:
        raise DataError(f"{name} has no rows, only a header.")
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


def _unique(names: Sequence[str], source: str = "The data set") -> list[str]:
    """Stripped names; a nameless column gets its number."""
    stripped = [name.strip() or f"column {place}" for place, name in enumerate(names, start=1)]
    if twice := sorted({name for name in stripped if stripped.count(name) > 1}):
        raise DataError(
            f"{source} has more than one column named {', '.join(map(repr, twice))}. Rename them."
        )
    return stripped


def _read_delimited(
    text: str, name: str, usual: str, delimiter: str | None, columns: Collection[str]
) -> Table:
    notes: tuple[str, ...] = ()
    if named := re.match(r'"?sep=(.)"?[ \t]*(\r\n|\r|\n)', text, re.IGNORECASE):  # for Excel, which hides it
        delimiter = delimiter or named[1]
        text = "\n" + text[named.end() :]  # the lines keep their numbers
    if delimiter is None:
        delimiter = _sniff(text, usual)
        if delimiter != usual:
            notes += (f"{name}: columns are separated by {SEPARATORS[delimiter]}, not {SEPARATORS[usual]}.",)
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise DataError(f"--delimiter must be one character or 'tab', got {delimiter!r}.")
    records, lines = _split_records(text, name, delimiter)
    header = _is_header(records, columns)
    if header:
        names, records, lines = _unique(records[0], name), records[1:], lines[1:]
    else:
        names = [f"column {place}" for place in range(1, len(records[0]) + 1)]
        notes += (f"{name}: no header found, so the columns are called {', '.join(names)}.",)
    return _table(name, names, records, lines, delimiter=delimiter, header=header, notes=notes)


def _sniff(text: str, usual: str) -> str:
    """The separator that gives each record of a sample as many columns; in doubt the usual one."""
    sample = text[:65_536]
    for delimiter in (usual, *(other for other in SEPARATORS if other != usual)):
        records = [
            record for record in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if record
        ]
        if len(sample) < len(text) and len(records) > 1:
            records.pop()  # cut in the middle
        widths = {len(record) for record in records}
        if len(widths) == 1 and widths.pop() > 1:
            return delimiter
    return usual


def _split_records(text: str, name: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """The records that are not blank, all of one width, and the lines that they start in."""
    csv.field_size_limit(MAX_BYTES)  # its own limit is 131,072; longer texts are cut later, with a note
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for record in reader:
            if len(record) > 1 or "".join(record).strip():
                records.append(record)
                limit_columns(len(record), len(records), name)
                lines.append(line)
                if len(record) != len(records[0]):
                    raise DataError(
                        f"{name}: line {line:,} has {counted(len(record), 'column')}, but "
                        f"line {lines[0]:,} has {len(records[0])}. "
                        f"Put texts that contain {delimiter!r} in double quotes."
                    )
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name}: a quoted text that begins in line {line:,} is not closed properly ({error}). "
            'Close it, and write a quote inside it twice ("").'
        ) from error
    return records, lines


def _is_header(records: Sequence[Sequence[str]], columns: Collection[str]) -> bool:
    """Whether the first record names the columns."""
    cells = [cell.strip() for cell in records[0]]
    known = [cell in columns or bool(re.fullmatch(_COLUMN_NAMES, cell.casefold())) for cell in cells]
    # Names are short, and no numbers; in a survey they are questions. A single column of unknown name is more
    # likely all texts.
    like_names = len(cells) > 1 and not any(
        len(cell) > (LONGEST_QUESTION if cell.endswith("?") else 40)
        or re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell)
        for cell in cells
    )
    # A label, say, comes again below; a name does not.
    again = (cell == row[i].strip() for i, cell in enumerate(cells) if cell for row in records[1:])
    return all(known) or ((any(known) or like_names) and not any(again))


def _read_json(text: str, name: str) -> Table:
    unit = "row" if text.lstrip().startswith("[") else "line"
    objects: dict[int, dict[str, Any]] = {}
    keys: dict[str, None] = {}
    for place, value in _json_values(text, name, unit):
        if not isinstance(value, dict):
            raise DataError(
                f'{name}: {unit} {place:,} is no JSON object such as {{"text": ..., "label": ...}}.'
            )
        objects[place] = value
        keys |= dict.fromkeys(value)
        limit_columns(len(keys), 1, name)
    if unit == "line" and len(objects) == 1 and keys and _holds_rows(value):
        listed = ", ".join(map(repr, [*map(_cell, keys)][:5]))
        raise DataError(
            f"{name} is one JSON object that holds all rows ({listed}). "
            'Give an array of objects, [{"text": ..., "label": ...}, ...], or one object in each line; '
            'pandas writes them with to_json(orient="records").'
        )
    limit_columns(len(keys), len(objects), name)
    names = _unique(list(map(_cell, keys)), name)
    nested = {
        key for value in objects.values() for key, cell in value.items() if isinstance(cell, dict | list)
    }
    hidden = tuple(column for column, key in zip(names, keys, strict=True) if key in nested)
    rows = [[_cell(value.get(key)) for key in keys] for value in objects.values()]
    return _table(name, names, rows, list(objects), unit, nested=hidden)


def _json_values(text: str, name: str, unit: str) -> Iterator[tuple[int, Any]]:
    """The values with their line, or their place in the array that they are in."""
    # Numbers stay as they are written: 1.0 is not 1.
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_constant)
    line = 1
    try:
        if unit == "row":
            yield from enumerate(decoder.decode(text), start=1)
        else:
            # Not splitlines: a text may hold other line separators.
            for line, content in enumerate(text.split("\n"), start=1):
                if content.strip():
                    yield line, decoder.decode(content)
    except json.JSONDecodeError as error:
        if _is_one_object(text):
            raise DataError(
                f"{name} is one JSON object over several lines. Give an array of objects, "
                '[{"text": ..., "label": ...}, ...], or one object in each line.'
            ) from error
        raise DataError(
            f"{name}: line {line + error.lineno - 1:,} is not valid JSON "
            f"({error.msg}, column {error.colno:,})."
        ) from error
    except RecursionError as error:
        raise DataError(f"{name}: {unit} {line:,} is nested too deeply.") from error


def _holds_rows(value: dict[str, Any]) -> bool:
    """A list of objects, or all columns, as pandas writes them unless it is told otherwise."""
    lists = [cell for cell in value.values() if isinstance(cell, list) and cell]
    return any(all(isinstance(row, dict) for row in rows) for rows in lists) or all(
        isinstance(cell, dict | list) for cell in value.values()
    )


def _is_one_object(text: str) -> bool:
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(text), dict)
    return False


def _constant(name: str) -> str | None:
    """``NaN`` without quotes is how pandas writes that there is no value."""
    return None if name == "NaN" else name


def _cell(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        value = ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # Half of a surrogate pair, which JSON can hold and Arrow cannot.
    return text.encode("utf-8", "replace").decode("utf-8")


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
        _unique(arrow.column_names, name)
        frame, nested = from_arrow(arrow)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} is damaged or no Parquet file ({str(error).splitlines()[0]}). "
            "Export or download it again."
        ) from error
    if frame.empty:
        raise DataError(f"{name} has no rows, only a header.")
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
