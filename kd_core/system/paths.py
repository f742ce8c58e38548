"""Where things lie: one folder, moved as a whole by ``KD_HOME``."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import platformdirs

ID = "folder-id.txt"


def home() -> Path:
    """``KD_HOME``, or the user's data folder."""
    chosen = os.environ.get("KD_HOME")
    return expanded(chosen) if chosen else Path(platformdirs.user_data_dir("kd-studio", appauthor=False))


def make_home() -> Path:
    """The folder, made if it is not there, for its owner alone: texts and models are in it."""
    folder = home()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError:
            why = "It is a file, or a link that leads nowhere"
            raise NotADirectoryError(errno.ENOTDIR, why, str(folder)) from None
    if not folder_id():
        with suppress(OSError):
            _give_id(folder / ID)
    return folder


def folder_id() -> str:
    """Which data folder this is, wherever it lies, whatever its machine is called, and however many share it.

    "" where it has no id and cannot be given one.
    """
    try:
        return (home() / ID).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _give_id(file: Path) -> None:
    half = file.with_name(f".{ID}-{token_hex(4)}")
    try:
        half.write_text(token_hex(8), encoding="utf-8")
        try:
            os.link(half, file)  # not a rename: of two at once the first one's stays
        except FileExistsError:
            pass
        except (OSError, AttributeError):  # a disk or a system without links
            half.rename(file)
    finally:
        half.unlink(missing_ok=True)


def runs() -> Path:
    return home() / "runs"


def jobs() -> Path:
    """What jobs that are no distillations have found out."""
    return home() / "jobs"


def caches() -> Path:
    return home() / "cache"


def exports() -> Path:
    """Bundles that were made in the dashboard, to be downloaded."""
    return home() / "exports"


def work() -> Path:
    """Checkpoints of runs that are under way."""
    return home() / "work"


def try_place(place: Path) -> None:
    """Make something beside ``place`` and remove it: what is computed for hours has to be written there then.

    Folders above that are missing stay so. Raises: OSError or ValueError, where nothing can be made there.
    """
    above = next((folder for folder in place.parents if folder.exists()), None)
    if above is None:
        raise FileNotFoundError(errno.ENOENT, "There is no such drive", place.anchor)
    if place.is_symlink() and not place.exists():
        raise FileNotFoundError(errno.ENOENT, "It is a link that leads nowhere", str(place))
    with TemporaryDirectory(prefix=f".{place.name}-", dir=above):
        pass


def expanded(name: str | Path) -> Path:
    """With the home folder for "~". That of nobody stays as it is, where pathlib raises an error."""
    return Path(os.path.expanduser(name))


def existing_folder(name: str) -> Path | None:
    """The folder that a person has named; None where there is none, or none can have that name."""
    try:
        return folder if name and (folder := moved(expanded(name))).is_dir() else None
    except (OSError, ValueError):  # longer than a path may be, or with a NUL
        return None


def moved(path: Path) -> Path:
    """Where a task or a run of this data folder lies now, where ``path`` is of the time before it was moved.

    Any other path stays as it is, and one that leads to something.
    """
    if not os.path.exists(path) and ".." not in path.parts:  # pathlib raises where a name is too long
        for place, part in enumerate(path.parts):
            here = home().joinpath(*path.parts[place:])
            if place and part in ("data", "runs") and os.path.exists(here):
                return here
    return path


def deleted() -> Path:
    """Of runs that were deleted, until disk space is freed."""
    return home() / "deleted"


def app_folder() -> Path:
    """Where ``app.py``, ``pages`` and ``assets`` lie: in the checkout, or in the installed package."""
    package = Path(__file__).parents[1]
    packed = package / "_app"
    return packed if packed.is_dir() else package.parent
