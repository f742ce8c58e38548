"""What takes space under ``KD_HOME``, and what of it nobody needs any more."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from kd_core.distillation.report import Report
from kd_core.distillation.roles import ROLES, STUDENTS
from kd_core.errors import DiskFullError, RunError
from kd_core.jobs.deletion import settle
from kd_core.jobs.states import ACTIVE
from kd_core.system import cache, paths
from kd_core.system.atomic import is_abandoned, remove
from kd_core.system.process import machine_lock

if TYPE_CHECKING:
    from kd_core.jobs.store import Store

DAY = 24 * 3600.0
JUST_MADE = 1.0  # seconds, in which whoever makes a folder comes to lock it

# In the order in which they are listed; what is in the cache has the name of its folder there.
KINDS: dict[str, str] = {
    "runs": "Runs",
    "jobs": "Results of other jobs",
    "data": "Uploaded files",
    "models": "Unpacked models",
    "teachers": "Teachers",
    "knowledge": "Recorded knowledge",
    **{who: ROLES[who].title.replace("Student", "Students") for who in STUDENTS if ROLES[who].shared},
    "scores": "Scores of teachers and students alone",
    "vectors": "Word vectors of teachers",
    "onnx": "ONNX files",
    "int8-answers": "Answers in int8",
    "exports": "Exported bundles",
    "work": "Checkpoints of runs",
    "half-written": "Half-written folders",
    "deleted": "Deleted runs",
}


@dataclass(frozen=True)
class Item:
    """A folder; ``removable`` where nothing is lost but time, and ``why`` says so in a few words."""

    kind: str  # one of KINDS
    path: Path
    bytes: int
    removable: bool
    why: str


def inventory(store: Store) -> list[Item]:
    """All that takes space, kind by kind.

    On a disk without a free byte the database cannot be asked; checkpoints stay then, but for done runs.
    """
    try:
        states = {row.id: row.status for row in store.runs()}
    except DiskFullError:
        states = None
    used = {
        line for folder in (paths.work(), paths.runs()) for run in _folders(folder) for line in _used(run)
    }
    items = [_item("runs", run, "") for run in _folders(paths.runs())]
    items += [_item("jobs", job, "") for job in _folders(paths.jobs())]
    items += [_item("data", data, "") for data in _folders(paths.home() / "data")]
    for kind in _folders(paths.caches()):
        for place in _folders(kind):
            needed = f"{kind.name}/{place.name}" in used
            items.append(
                _item(kind.name, place, "a run refers to it" if needed else "no run refers to it", not needed)
            )
    items += [
        _item("exports", export, "can be made again", removable=True) for export in _folders(paths.exports())
    ]
    items += [_item("work", work, *_work(work, states)) for work in _folders(paths.work())]
    places = (paths.runs(), paths.jobs(), paths.work(), paths.exports(), paths.home() / "data")
    for folder in (*places, *_folders(paths.caches()), *_folders(paths.deleted()), *_folders(paths.runs())):
        items += [_item("half-written", path, *_half(path)) for path in folder.glob(".*-*") if path.is_dir()]
    for folder in _folders(paths.deleted()):
        items += [_item("deleted", run, "can be brought back until then", True) for run in _folders(folder)]
    order = list(KINDS)
    return sorted(items, key=lambda item: order.index(item.kind) if item.kind in order else len(order))


def clean(items: Iterable[Item], store: Store) -> int:
    """Remove what is removable of ``items``, and deleted runs for good; the bytes that were freed.

    Raises: RunError, while a run is under way: it may be about to use what nobody used before. And where the
    disk fails.
    """
    spare = [item for item in items if item.removable]
    deleted = [item for item in spare if item.kind == "deleted"]
    try:
        with machine_lock().acquire(blocking=False):
            # First what needs no word to the database, which may need the room.
            freed = _remove(item for item in spare if item.kind != "deleted")
            try:
                _forget_deleted(store, deleted)  # first: of a run without folders nothing comes back
            except DiskFullError:  # there is no room for that order
                freed += _remove(deleted)
                _forget_deleted(store, deleted)
            return freed + _remove(deleted)
    except Timeout:
        raise RunError("A run is under way on this machine; clean when it has ended.") from None
    except OSError as error:
        raise RunError(f"{paths.home()} cannot be cleaned: {error.strerror or error}.") from error


def _remove(items: Iterable[Item]) -> int:
    """The bytes that were freed."""
    freed = 0
    for item in items:
        if item.path.exists() and remove(item.path):
            freed += item.bytes
    return freed


def _forget_deleted(store: Store, items: Iterable[Item]) -> None:
    """Not of runs that somebody has deleted since the ``items`` were listed: their folders stay."""
    settle(store)
    there = {run.name for folder in _folders(paths.deleted()) for run in _folders(folder)}
    store.forget_deleted(but=there - {item.path.name for item in items})


def folder_bytes(folder: Path) -> int:
    """Bytes of all its files. A run that is under way may remove some meanwhile."""
    return sum(file.st_size for file in _files(folder))


def _item(kind: str, path: Path, why: str, removable: bool = False) -> Item:
    return Item(kind, path, folder_bytes(path), removable, why)


def _work(work: Path, states: Mapping[str, str] | None) -> tuple[str, bool]:
    """Why the checkpoints are kept or not, and whether they may go. None: the states are not known."""
    status = (states or {}).get(work.name)
    if status == "done" or (paths.runs() / work.name).is_dir():
        return "the run is done", True
    if states is None:
        return "may be needed to resume", False
    if status is None:
        old = _age(work) > DAY
        return ("no such run" if old else "may be in use"), old
    return ("the run is under way" if status in ACTIVE else "the run can be resumed"), False


def _half(folder: Path) -> tuple[str, bool]:
    """Why a half-written folder is kept or not, and whether it may go."""
    age = _age(folder)
    if age > DAY:
        return "older than a day", True
    if age > JUST_MADE and is_abandoned(folder):
        return "its process is gone", True
    return "may still be written", False


def _used(run: Path) -> list[str]:
    """What a run refers to in the cache, as "kind/key"; a lab's students and teachers have folders in its."""
    try:
        files = (run / cache.USED, *run.glob(f"*/{cache.USED}"))
        return [line for file in files for line in file.read_text(encoding="utf-8").split()]
    except (OSError, ValueError):  # of a version that did not note it, or damaged
        try:
            key = Report.read(run).teacher_key
            return [f"teachers/{key}"] if key else []
        except RunError:
            return []


def _folders(place: Path) -> Iterator[Path]:
    """Whole ones: those that are being written start with a dot."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted(path for path in place.iterdir() if path.is_dir() and path.name[0] != ".")


def _age(folder: Path) -> float:
    """Seconds since something in it changed."""
    return time.time() - max((file.st_mtime for file in _files(folder, folders=True)), default=0.0)


def _files(folder: Path, *, folders: bool = False) -> Iterator[os.stat_result]:
    """Those that are still there when it is their turn; a link in a circle is none."""
    for place, _, names in os.walk(folder):
        for path in [os.path.join(place, name) for name in names] + [place] * folders:
            with suppress(OSError):
                yield os.stat(path)
