"""Reading CSV, TSV, JSONL and Parquet. Cells are read as text, exactly as they stand in the file."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kd_core.data.checks import counted
from kd_core.errors import DataError

MAX_BYTES = 50 * 10**6
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
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}

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
_NAMES = "|".join(TEXT_NAMES + LABEL_NAMES)

_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
_FOREIGN = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet file (name it .parquet)",
}
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")


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
    data = _content(source, name)
    if suffix == ".parquet":
        return _read_parquet(data, name)
    kind = KINDS.get(suffix, "text")
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise DataError(f"{name} is not a {kind} file: its content is {what}.")
    text, encoding, notes = _decode(data, name, kind, encoding)
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


def encoding_previews(data: bytes) -> dict[str, str]:
    """What the first line that is not UTF-8 would read like in other encodings: {"latin-1": "caf\u00e9"}."""
    try:
        data.decode("utf-8")
        return {}
    except UnicodeDecodeError as error:
        bad = error.start
    start = data.rfind(b"\n", 0, bad) + 1
    line = data[start:].partition(b"\n")[0]
    previews = {}
    for encoding in ("latin-1", "gbk"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        before = len(line[: bad - start].decode(encoding, "replace"))
        previews[encoding] = line.decode(encoding)[max(0, before - 30) : before + 30].strip()
    return previews


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


def _content(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        _limit_bytes(len(source), name)
        return source
    try:
        if not source.is_file():
            raise DataError(
                f"{str(source)!r} is a folder, not a file."
                if source.is_dir()
                else f"There is no file {str(source)!r}."
            )
        _limit_bytes(source.stat().st_size, name)
        return source.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{str(source)!r} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from error


def _limit_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise DataError(
            f"{name} has {size / 1e6:,.1f} MB, more than {MAX_BYTES / 1e6:,.0f} MB. "
            "Give a smaller file, for example a sample of its rows."
        )


def _limit_rows(count: int, name: str) -> None:
    if count > MAX_ROWS:
        raise DataError(f"{name} has {count:,} rows, more than {MAX_ROWS:,}. Give a sample of them.")


def _decode(data: bytes, name: str, kind: str, encoding: str | None) -> tuple[str, str, tuple[str, ...]]:
    marked = next((codec for mark, codec in _BOMS.items() if data.startswith(mark)), None)
    codec = encoding or marked or "utf-8"
    if not encoding and not marked and len(_CONTROL.findall(data[:8192])) > len(data[:8192]) / 20:
        raise DataError(f"{name} is not a {kind} file: its content is not text.")
    try:
        text = data.decode(codec).removeprefix("\ufeff")
    except LookupError as error:
        raise DataError(
            f"--encoding must be an encoding such as utf-8, latin-1 or gbk, got {codec!r}."
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"{name} is not {codec} text: byte 0x{data[error.start]:02x} in line {line:,}."
        if codec != "utf-8" or encoding:
            raise DataError(f"{where} Give another --encoding.") from error
        readings = [f"as {codec} it would read {text!r}" for codec, text in encoding_previews(data).items()]
        raise DataError(f"{where} Give its --encoding: {', '.join(readings)}.") from error
    except UnicodeError as error:
        raise DataError(f"{name} is not {codec} text. Give another --encoding.") from error
    if nuls := text.count("\0"):
        return text.replace("\0", ""), codec, (f"{name}: {counted(nuls, 'NUL character')} removed.",)
    return text, codec, ()


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
        delimiter = _sniff(text, usual)
        if delimiter != usual:
            notes += (
                f"{name}: columns are separated by {_SEPARATORS[delimiter]}, not {_SEPARATORS[usual]}.",
            )
    else:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '\r\n"':
            raise DataError(f"--delimiter must be one character or 'tab', got {delimiter!r}.")
    records, lines = _records(text, name, delimiter)
    header = _has_header(records, columns)
    if header:
        names, records, lines = _unique(records[0], name), records[1:], lines[1:]
    else:
        names = [f"column {place}" for place in range(1, len(records[0]) + 1)]
        notes += (f"{name}: no header found, so the columns are called {', '.join(names)}.",)
    frame = _frame(names, records, name, lines)
    return Table(name, frame, delimiter, encoding, header, (), notes)


def _sniff(text: str, usual: str) -> str:
    """The separator that gives each record of a sample as many columns; in doubt the usual one."""
    sample = text[:65_536]
    for delimiter in (usual, *(other for other in _SEPARATORS if other != usual)):
        records = [
            record for record in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if record
        ]
        if len(sample) < len(text) and len(records) > 1:
            records.pop()  # cut in the middle
        widths = {len(record) for record in records}
        if len(widths) == 1 and widths.pop() > 1:
            return delimiter
    return usual


def _records(text: str, name: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
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


def _has_header(records: list[list[str]], columns: Collection[str]) -> bool:
    first = [cell.strip() for cell in records[0]]
    known = [cell in columns or re.fullmatch(_NAMES, cell.casefold()) for cell in first]
    if all(known):
        return True
    if any(cell and any(row[i].strip() == cell for row in records[1:]) for i, cell in enumerate(first)):
        return False  # a label, say: names do not come again below
    if any(known):
        return True
    # Names are short, and no numbers. A single column of unknown name is more likely all texts.
    return len(first) > 1 and not any(len(cell) > 40 or _is_number(cell) for cell in first)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell) is not None


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
