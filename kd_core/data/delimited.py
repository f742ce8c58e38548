"""Cells between separators, and the lines of fastText."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile

from kd_core.data.columns import LABEL_NAMES, TEXT_NAMES
from kd_core.data.decode import MAX_BYTES
from kd_core.data.table import Table, limit_columns, make_table, unique_names
from kd_core.errors import DataError
from kd_core.system.formatting import counted

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
# What is to be said of the quotes around texts that may hold separators.
QUOTES = {
    '"': "",
    "'": "texts are in single quotes.",
    None: "texts are not quoted, so that a quotation mark is part of its text.",
}

FASTTEXT = "__label__"  # before a label at the start of a line
LONGEST_QUESTION = 200  # as the name of a column, in characters
_COLUMN_NAMES = "|".join(TEXT_NAMES + LABEL_NAMES)


def read_delimited(
    text: str, name: str, usual: str, delimiter: str | None, columns: Collection[str]
) -> Table:
    """``usual`` is the separator of its kind of file, ``delimiter`` one that was given. Raises: DataError."""
    notes: tuple[str, ...] = ()
    if named := re.match(r'"?sep=(.)"?[ \t]*(\r\n|\r|\n)', text, re.IGNORECASE):  # for Excel, which hides it
        delimiter = delimiter or named[1]
        text = "\n" + text[named.end() :]  # the lines keep their numbers
    if delimiter is not None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in "\r\n\"'":
            raise DataError(f"--delimiter must be one character or 'tab', got {delimiter!r}.")
    given, (delimiter, quote) = delimiter, _sniff(text, usual, delimiter)
    if delimiter not in (given, usual):
        notes += (f"{name}: columns are separated by {SEPARATORS[delimiter]}, not {SEPARATORS[usual]}.",)
    if said := QUOTES[quote]:
        notes += (f"{name}: {said}",)
    records, lines = _split_records(text, name, delimiter, quote)
    header = _is_header(records, columns)
    if header:
        names, records, lines = unique_names(records[0], name), records[1:], lines[1:]
    else:
        names = [f"column {place}" for place in range(1, len(records[0]) + 1)]
        notes += (f"{name}: no header found, so the columns are called {', '.join(names)}.",)
    return make_table(name, names, records, lines, delimiter=delimiter, header=header, notes=notes)


def is_tabbed(text: str) -> bool:
    """Whether lines are a table: all have as many tabs, one at least."""
    tabs = [line.count("\t") for line in _lines(text) if line.strip()]
    return len(tabs) > 1 and min(tabs) == max(tabs) > 0 and not _has_labels_in_front(text)


def read_lines(text: str, name: str) -> Table:
    """A text in each line; or, as fastText has them, ``__label__`` with the label before each text.

    Raises: DataError where a text has several labels.
    """
    if not _has_labels_in_front(text):
        return make_table(name, ["text"], list(_lines(text)), header=False)
    rows, places = [], []
    for place, line in enumerate(_lines(text), start=1):
        words = line.split()
        labels = [word.removeprefix(FASTTEXT) for word in takewhile(_is_label, words)]
        if len(labels) > 1:
            listed = ", ".join(map(repr, labels))
            raise DataError(
                f"{name}: line {place:,} has the labels {listed}; a text has one here. Keep one of them."
            )
        if words:
            rows.append(("".join(labels), line.strip().removeprefix(words[0]).strip() if labels else line))
            places.append(place)
    return make_table(name, ["label", "text"], rows, places, header=False)


def _lines(text: str) -> Iterator[str]:
    """Not splitlines: a text may hold other line separators."""
    return (line.removesuffix("\n") for line in io.StringIO(text, newline=None))


def _has_labels_in_front(text: str) -> bool:
    return text.lstrip().startswith(FASTTEXT)


def _is_label(word: str) -> bool:
    return word.startswith(FASTTEXT)


def _sniff(text: str, usual: str, given: str | None) -> tuple[str, str | None]:
    """The separator, if none is ``given``, and the quote that give each record of a sample as many columns.

    In doubt the usual ones. No quote: a quotation mark is part of its text.
    """
    separators = (given,) if given else (usual, *(other for other in SEPARATORS if other != usual))
    sample = text[:65_536]
    for delimiter in separators:
        in_single = re.search(f"(?:^|{re.escape(delimiter)})'", sample, re.MULTILINE)
        quotes = ('"', "'") if in_single else ('"',)
        widths = {quote: _width(sample, delimiter, quote, cut=len(sample) < len(text)) for quote in quotes}
        even = {quote: width for quote, width in widths.items() if width > 1}
        if even:  # of two that fit, the one in which fewer texts are taken apart
            quote = min(even, key=even.__getitem__)
            break
    else:
        delimiter, quote = given or usual, '"'
    return delimiter, None if delimiter == "\t" and _is_plain(text) else quote


def _width(sample: str, delimiter: str, quote: str, cut: bool) -> int:
    """How many columns each record has; 0 where they differ."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, quotechar=quote)
    records = [record for record in reader if record]
    if cut and len(records) > 1:
        records.pop()  # its end is missing
    widths = {len(record) for record in records}
    return widths.pop() if len(widths) == 1 else 0


def _is_plain(text: str) -> bool:
    """Whether lines and tabs alone make the cells, and some text just begins with a quotation mark.

    So are the files of GLUE. Read as quoted, such a text ends at the next mark, many rows below.
    """
    text = re.sub("\r\n?", "\n", text)
    lines = [line for line in text.split("\n") if line.strip()]
    names = lines[0].split("\t") if lines else []
    if len(names) > 1 and all(map(_is_quoted, names)):
        return False  # then all cells are, and some have tabs and line feeds of their own
    begun = re.findall(r'(?:^|\t)("[^\t\n]*)', text, re.MULTILINE)
    return not all(map(_is_quoted, begun)) and len({line.count("\t") for line in lines}) == 1


def _is_quoted(cell: str) -> bool:
    return bool(re.fullmatch(r'"(?:[^"]|"")*"', cell.rstrip()))


def _split_records(
    text: str, name: str, delimiter: str, quote: str | None
) -> tuple[list[list[str]], list[int]]:
    """The records that are not blank, all of one width, and the lines that they start in."""
    csv.field_size_limit(MAX_BYTES)  # its own limit is 131,072; longer texts are cut later, with a note
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
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
                        f"Put texts that contain {delimiter!r} in double quotes, without a space before them."
                    )
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name}: a quoted text that begins in line {line:,} is not closed properly ({error}). "
            'Close it, and write a quote inside it twice ("").'
        ) from error
    if not records:
        raise DataError(f"{name} is empty: it has no rows.")
    return records, lines


def _is_header(records: Sequence[Sequence[str]], columns: Collection[str]) -> bool:
    """Whether the first record names the columns."""
    cells = [cell.strip() for cell in records[0]]
    known = [bool(re.fullmatch(_COLUMN_NAMES, cell.casefold())) for cell in cells]
    # Names are short, and no numbers; in a survey they are questions. A single column of unknown name is more
    # likely all texts.
    like_names = len(cells) > 1 and not any(
        len(cell) > (LONGEST_QUESTION if cell.endswith("?") else 40)
        or re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell)
        for cell in cells
    )

    def again(place: int) -> bool:
        return bool(cells[place]) and any(cells[place] == row[place].strip() for row in records[1:])

    # A label, say, comes again below; a name does not. Of "message,spam" one does, and is a name anyway.
    places = range(len(cells))
    sure = all(known) or bool({*cells} & {*columns}) or any(known[i] and not again(i) for i in places)
    return sure or (like_names and not any(map(again, places)))
