"""Where things lie: one folder, moved as a whole by ``KD_HOME``."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import platformdirs

HOSTS = "hosts.txt"


def home() -> Path:
    """``KD_HOME``, or the user's data folder."""
    chosen = os.environ.get("KD_HOME")
    return expanded(chosen) if chosen else Path(platformdirs.user_data_dir("kd-studio", appauthor=False))


def make_home() -> Path:
    """The folder, made if it is not there, for its owner alone: texts and models are in it."""
    folder = home()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    with suppress(OSError):
        if socket.gethostname() not in _noted_hosts():
            with (folder / HOSTS).open("a", encoding="utf-8") as file:
                file.write(f"{socket.gethostname()}\n")
    return folder


def hosts() -> set[str]:
    """The names of the machines that have worked in this folder: what they left is here, whatever they are
    called now.
    """
    return {socket.gethostname(), *_noted_hosts()}


def _noted_hosts() -> list[str]:
    try:
        return (home() / HOSTS).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return []


def runs() -> Path:
    return home() / "runs"


def caches() -> Path:
    return home() / "cache"


def exports() -> Path:
    """Bundles that were made in the dashboard, to be downloaded."""
    return home() / "exports"


def work() -> Path:
    """Checkpoints of runs that are under way."""
    return home() / "work"


def expanded(name: str | Path) -> Path:
    """With the home folder for "~". That of nobody stays as it is, where pathlib raises an error."""
    return Path(os.path.expanduser(name))


def existing_folder(name: str) -> Path | None:
    """The folder that a person has named; None where there is none, or none can have that name."""
    try:
        return folder if name and (folder := expanded(name)).is_dir() else None
    except (OSError, ValueError):  # longer than a path may be, or with a NUL
        return None


def deleted() -> Path:
    """Of runs that were deleted, until disk space is freed."""
    return home() / "deleted"


def app_folder() -> Path:
    """Where ``app.py``, ``pages`` and ``assets`` lie: in the checkout, or in the installed package."""
    package = Path(__file__).parents[1]
    packed = package / "_app"
    return packed if packed.is_dir() else package.parent
