"""Files of other programs, which are no tables of texts yet: what they are, and what makes one of them."""

from __future__ import annotations

from pathlib import Path

EXPORT = "Save the sheet as CSV (UTF-8) in Excel or LibreOffice, and give that."
UNPACK = "Unpack it first, and give the file that was in it."
TABLE = "Give a table of texts: a CSV, TSV, JSONL or Parquet file."
COPY = "Put its texts into a table, one text in each row, and save that as CSV."

_BY_SUFFIX = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), EXPORT),
    **dict.fromkeys((".gz", ".tgz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar"), UNPACK),
    **dict.fromkeys((".pdf", ".docx", ".doc", ".odt", ".rtf", ".html", ".htm"), COPY),
}
_BY_CONTENT = {
    b"\x89PNG": ("a PNG image", TABLE),
    b"\xff\xd8\xff": ("a JPEG image", TABLE),
    b"GIF8": ("a GIF image", TABLE),
    b"%PDF": ("a PDF document", COPY),
    b"PK\x03\x04": ("a ZIP archive or an Excel workbook", f"{EXPORT} An archive has to be unpacked first."),
    b"\xd0\xcf\x11\xe0": ("an old Excel or Word document", EXPORT),
    b"\x1f\x8b": ("a gzip archive", UNPACK),
    b"BZh": ("a bzip2 archive", UNPACK),
    b"\xfd7zXZ\x00": ("an xz archive", UNPACK),
    b"SQLite format 3": ("an SQLite database", "Export its table of texts as CSV, and give that."),
    b"PAR1": ("a Parquet file (name it .parquet)", ""),
}


def advice(name: str) -> str:
    """What to do with a file of that name; "" where nothing is known about its kind."""
    return _BY_SUFFIX.get(Path(name).suffix.lower(), "")


def content(data: bytes) -> tuple[str, str] | None:
    """What a file really is by its first bytes, and what to do with it; None where it may be text."""
    return next((found for magic, found in _BY_CONTENT.items() if data.startswith(magic)), None)
