"""From a file to its text: how large it may be, whether it is text at all, and in which encoding."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection
from pathlib import Path

from kd_core.errors import DataError
from kd_core.system.formatting import counted

MAX_BYTES = 50 * 10**6

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


def content(source: Path | bytes, name: str) -> bytes:
    """The bytes of a file, or those given. Raises: DataError if there are too many or none can be read."""
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


def decode(data: bytes, name: str, kind: str, encoding: str | None) -> tuple[str, str, tuple[str, ...]]:
    """The text of a file of that ``kind``, its encoding, and sentences for a person.

    UTF-8 or what a byte order mark says, unless ``encoding`` is given. Raises: DataError.
    """
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise DataError(f"{name} is not a {kind} file: its content is {what}.")
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
            raise DataError(f"{where} Give another --encoding.", setting="encoding") from error
        readings = [f"as {codec} it would read {text!r}" for codec, text in encoding_previews(data).items()]
        raise DataError(f"{where} Give its --encoding: {', '.join(readings)}.", setting="encoding") from error
    except UnicodeError as error:
        raise DataError(
            f"{name} is not {codec} text. Give another --encoding.", setting="encoding"
        ) from error
    if nuls := text.count("\0"):
        return text.replace("\0", ""), codec, (f"{name}: {counted(nuls, 'NUL character')} removed.",)
    return text, codec, ()


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

_NAMES = "|".join(TEXT_NAMES + LABEL_NAMES)


def sniff(text: str, usual: str) -> str:
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


def split_records(text: str, name: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
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


def has_header(records: list[list[str]], columns: Collection[str]) -> bool:
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
