"""From a file to its bytes, and from these to text: how much, text at all, and in which encoding."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from pathlib import Path

from kd_core.data.foreign import TABLE, content
from kd_core.errors import DataError
from kd_core.system.formatting import counted
from kd_core.system.paths import expanded, moved

MAX_BYTES = 50 * 10**6

_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
# What "the text" would be in them is not what a file says: escapes, or names of hosts.
_NO_ENCODINGS = {"utf-7", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}
OFFERED = ("latin-1", "cp1252", "gbk", "big5", "shift-jis", "utf-16-le", "utf-16-be")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
# UTF-8 that somebody read as cp1252 and wrote as UTF-8 again: é, ° and ’ as they then look.
_TWICE = re.compile("\u00c3[\u0080-\u00bf\u2018-\u2122]|\u00c2[\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u2122]")
HEAD = 65_536  # bytes that are looked at to guess
_FEW = 3  # such places may be meant: in Portuguese, IRMÃ» ends a quotation


def read_bytes(source: Path | bytes, name: str) -> bytes:
    """The content of a file, or the one given. Raises: DataError if it is too large or cannot be read."""
    if isinstance(source, bytes):
        limit_bytes(len(source), name)
        return source
    file = existing_file(source)
    try:
        limit_bytes(file.stat().st_size, name)
        return file.read_bytes()
    except OSError as error:
        raise DataError(_unreadable(file, error)) from error


def existing_file(name: str | Path, flag: str = "") -> Path:
    """The file that a person has named, with ``flag``. Raises: DataError where there is none to be read."""
    file = moved(expanded(name))
    says = f"There is no file {str(file)!r}."
    try:
        if file.is_file():
            return file
        if file.is_dir():
            says = f"{str(file)!r} is a folder, not a file."
        elif file.exists():  # a pipe for which nobody may write, a device without an end
            says = f"{str(file)!r} is a pipe or a device. Write its content to a file."
    except (OSError, ValueError) as error:  # longer than a path may be, or in a folder that is closed to us
        says = _unreadable(file, error)
    raise DataError(f"{flag}: {says}" if flag else says)


def _unreadable(file: Path, error: OSError | ValueError) -> str:
    return f"{str(file)!r} cannot be read: {getattr(error, 'strerror', None) or error}."


def limit_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise DataError(
            f"{name} has {size / 1e6:,.1f} MB, more than {MAX_BYTES / 1e6:,.0f} MB. "
            "Give a smaller file, for example a sample of its rows."
        )


def decode(data: bytes, name: str, kind: str, encoding: str | None) -> tuple[str, tuple[str, ...]]:
    """The text of a file of that ``kind``, and sentences for a person.

    UTF-8 or what a byte order mark says, unless ``encoding`` is given. Raises: DataError.
    """
    marked = next((codec for mark, codec in _BOMS.items() if data.startswith(mark)), None)
    foreign = content(data)
    if not (foreign or encoding or marked) and len(_CONTROL.findall(data[:8192])) > len(data[:8192]) / 20:
        foreign = "not text", TABLE
    if foreign:
        raise DataError(f"{name} is not a {kind} file: its content is {foreign[0]}. {foreign[1]}".rstrip())
    codec = encoding or marked or "utf-8"
    _check_encoding(codec)
    if not (encoding or marked) and _looks_like_utf16(data):
        previews = _listed(encoding_previews(data))
        raise DataError(
            f"{name} is not utf-8 text: half of its bytes are NUL. Give its --encoding: {previews}.",
            settings=("encoding",),
        )
    try:
        text = data.decode(codec).removeprefix("\ufeff")
    except UnicodeError as error:
        where, advice = "", "another --encoding"
        if isinstance(error, UnicodeDecodeError):
            line = data.count(b"\n", 0, error.start) + 1
            where = f": byte 0x{data[error.start]:02x} in line {line:,}"
        if codec == "utf-8" and not encoding:
            advice = f"its --encoding: {_listed(encoding_previews(data))}"
        raise DataError(
            f"{name} is not {codec} text{where}. Give {advice}.", settings=("encoding",)
        ) from error
    notes = []
    if nuls := text.count("\0"):
        notes.append(f"{name}: {counted(nuls, 'NUL character')} removed.")
    if len(twice := _TWICE.findall(text)) > _FEW:
        notes.append(
            f"{name}: characters look as if they were encoded twice, in {len(twice):,} places "
            f"({_word(text)!r}). Save it as UTF-8 anew, from where it comes."
        )
    return text.replace("\0", ""), tuple(notes)


def _word(text: str) -> str:
    """The first word in which a character is encoded twice."""
    found = re.search(rf"\S{{0,20}}(?:{_TWICE.pattern})\S{{0,20}}", text)
    return found[0] if found else ""


def encoding_previews(data: bytes) -> dict[str, str]:
    """How the first place that is not UTF-8 would read in other encodings: {"latin-1": "caf\u00e9"}.

    {} where the file is UTF-8 text.
    """
    start = 0
    try:
        data.decode("utf-8")
        if not _looks_like_utf16(data):
            return {}
    except UnicodeDecodeError as error:
        start = error.start
    readings: dict[str, str] = {}
    for encoding in (*_cyrillic(data), *(OFFERED if b"\0" in data else OFFERED[:-2])):
        with suppress(UnicodeDecodeError):
            text = data.decode(encoding)
            if ("\n" in text or b"\n" not in data) and text not in readings.values():
                readings[encoding] = text
    readings = {encoding: text for encoding, text in readings.items() if "\0" not in text} or readings
    return {encoding: _around(text, data[:start], encoding) for encoding, text in readings.items()}


def _cyrillic(data: bytes) -> list[str]:
    """Encodings in which most letters are Cyrillic; first the one with more small letters, as texts have."""
    small: dict[str, int] = {}
    head = data[:HEAD]
    latin = len(re.findall(rb"[A-Za-z]", head))
    for encoding in ("cp1251", "koi8-r"):
        with suppress(UnicodeDecodeError):
            foreign = [character for character in head.decode(encoding) if not character.isascii()]
            letters = [character for character in foreign if "\u0400" <= character <= "\u04ff"]
            if len(letters) > max(latin, 0.9 * len(foreign)):
                small[encoding] = sum(map(str.islower, letters))
    return sorted(small, key=small.__getitem__, reverse=True)


def _around(text: str, before: bytes, encoding: str) -> str:
    """The line of ``text`` that follows after ``before``, 30 characters to each side."""
    place = len(before.decode(encoding, "ignore"))
    first = text.rfind("\n", 0, place) + 1
    line = text[first:].partition("\n")[0]
    return line[max(0, place - first - 30) : place - first + 30].strip()


def _listed(previews: dict[str, str]) -> str:
    return ", ".join(f"as {encoding} it would read {line!r}" for encoding, line in previews.items())


def _looks_like_utf16(data: bytes) -> bool:
    """Without a mark: of Latin letters every other byte is NUL."""
    head = data[:8192]
    return head.count(0) > 0.4 * len(head)


def _check_encoding(name: str) -> None:
    """Raises: DataError for what is no encoding of texts."""
    with suppress(LookupError, ValueError):
        if codecs.lookup(name).name not in _NO_ENCODINGS:
            "".encode(name)
            return
    raise DataError(f"--encoding must be an encoding such as utf-8, latin-1 or gbk, got {name[:40]!r}.")
