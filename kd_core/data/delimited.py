"""From the text of a CSV or TSV file to its records: which separator, and with a header or without."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection

from kd_core.data.checks import counted
from kd_core.data.content import MAX_BYTES
from kd_core.errors import DataError

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
