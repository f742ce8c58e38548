"""Folders that are whole or not there: written beside their place, flushed, listed in a manifest, renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from secrets import token_hex

from kd_core.system.control import Fence

MANIFEST = "manifest.json"


@contextmanager
def new_folder(place: Path, fence: Fence = nullcontext) -> Iterator[Path]:
    """A folder that appears at ``place`` when the block ends well, and not at all when it does not.

    Its manifest holds the size and SHA-256 of every file. It appears within ``fence()``, which may forbid it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = place.parent / f".{place.name}-{token_hex(4)}"
    folder.mkdir()
    lock = _lock(folder)
    try:
        yield folder
        seal(folder)
        with fence():
            try:
                folder.rename(place)
                _flush(place.parent)
            except OSError:
                if not place.is_dir():  # otherwise another process was quicker, with the same content
                    raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def is_abandoned(folder: Path) -> bool:
    """Whether the process that made this half-written folder is gone; False where that cannot be seen."""
    if (lock := _lock(folder)) is None:
        return False
    os.close(lock)
    return True


def _lock(folder: Path) -> int | None:
    """A handle that holds the folder until it is closed, or this process ends, however it ends.

    None where somebody has it, or nobody can, as on Windows.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError:
            os.close(handle)
    return None


def remove(folder: Path) -> bool:
    """Whether it is gone: first from its place, as a whole, so that nobody finds half of it there."""
    half = folder.with_name(f".{folder.name}-{token_hex(4)}")
    with suppress(OSError):  # then it is removed where it is
        folder = folder.rename(half)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def discard(folder: Path) -> None:
    """Remove what another process may be removing too. Raises: OSError, which says why it stays."""
    if not remove(folder) and folder.exists():
        shutil.rmtree(folder)


def write_text(file: Path, text: str) -> None:
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    """The file has all of ``content``, or what it had before, whenever the process is killed."""
    half = file.with_name(f".{file.name}-{token_hex(4)}")
    try:
        half.write_bytes(content)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)


def full_disk(error: Exception, place: Path) -> str | None:
    """What is to be said where a full disk, of which each library tells in its own way, is the cause."""
    if getattr(error, "errno", None) != errno.ENOSPC and "no space left" not in str(error).lower():
        return None
    above = next(folder for folder in (place, *place.parents) if folder.exists())
    return f"The disk with {place} is full ({shutil.disk_usage(above).free / 1e6:,.0f} MB free)"


def seal(folder: Path) -> None:
    """List the folder's files in its manifest, written last, and flush all of it to disk."""
    (folder / MANIFEST).write_text(json.dumps(_contents(folder), indent=1))
    for path in (*folder.rglob("*"), folder):
        _flush(path)


def fetch(place: Path, make: Callable[[Path], None]) -> bool:
    """Fill ``place`` by ``make(folder)``, unless it is whole already (True). A damaged one is made again."""
    if place.is_dir():
        if is_whole(place):
            return True
        discard(place)
    with new_folder(place) as folder:
        make(folder)
    return False


def is_whole(folder: Path) -> bool:
    """Whether each file of the manifest is as it was then. Others (a note, ``.DS_Store``) do not matter."""
    try:
        listed = json.loads((folder / MANIFEST).read_text())
        if not listed and _contents(folder):
            return False
        return all(_content(folder / name) == content for name, content in listed.items())
    except (OSError, ValueError, AttributeError):
        return False


def _contents(folder: Path) -> dict[str, dict[str, int | str]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): _content(path) for path in files}


def _content(file: Path) -> dict[str, int | str]:
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    on_windows = sys.platform == "win32"
    if on_windows and path.is_dir():  # opens no folder, and flushes what may be written alone
        return
    handle = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
