"""What takes space under ``KD_HOME``, and what of it nobody needs any more."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import RUN_ID
from kd_core.errors import DataError, RunError
from kd_core.jobs.states import ACTIVE, PENDING
from kd_core.system import cache, paths
from kd_core.system.process import machine_lock

if TYPE_CHECKING:
    from kd_core.data.uploads import SavedTask
    from kd_core.jobs.store import Store

DAY = 24 * 3600.0

# In the order in which they are listed; what is in the cache has the name of its folder there.
KINDS = {
    "runs": "Runs",
    "data": "Uploaded files",
    "models": "Unpacked models",
    "teachers": "Teachers",
    "knowledge": "Recorded knowledge",
    "alone": "Students alone",
    "scores": "Scores of teachers and students alone",
    "onnx": "ONNX files",
    "exports": "Exported bundles",
    "work": "Checkpoints of runs",
    "half-written": "Half-written folders",
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
    """All that takes space, kind by kind."""
    states = {row.id: row.status for row in store.runs()}
    used = {
        line for folder in (paths.runs(), paths.work()) for run in _folders(folder) for line in _used(run)
    }
    items = [_item("runs", run, "") for run in _folders(paths.runs())]
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
    items += [_item("work", work, *_work(work, states.get(work.name))) for work in _folders(paths.work())]
    for folder in (paths.runs(), paths.work(), *_folders(paths.caches())):
        for path in folder.glob(".*-*"):
            old = _age(path) > DAY
            why = "older than a day" if old else "may still be written"
            items.append(_item("half-written", path, why, old))
    order = list(KINDS)
    return sorted(items, key=lambda item: order.index(item.kind) if item.kind in order else len(order))


def clean(items: Iterable[Item]) -> int:
    """Remove what is removable of ``items``; the bytes that were freed.

    Raises: RunError, while a run is under way: it may be about to use what nobody used before.
    """
    try:
        with machine_lock().acquire(blocking=False):
            freed = 0
            for item in items:
                if item.removable:
                    shutil.rmtree(item.path, ignore_errors=True)
                    freed += 0 if item.path.exists() else item.bytes
            return freed
    except Timeout:
        raise RunError("A run is under way on this machine; clean when it has ended.") from None


def delete_run(store: Store, run_id: str) -> None:
    """The run's rows, its folder and its checkpoints; what it took from the cache is ``clean``'s.

    Raises: RunError, where it is under way, or there is no such run.
    """
    if not RUN_ID.fullmatch(run_id):  # it becomes a path
        raise RunError(f"{run_id!r} is not a run; a run is named like 20260131-143000-a1b2.")
    places = [folder / run_id for folder in (paths.runs(), paths.work())]
    try:
        store.delete_run(run_id)  # first: it refuses a run that is under way
    except RunError:
        # A run of Python code has no row, nor has one whose deletion was cut short.
        if not any(place.is_dir() for place in places) or _has_row(store, run_id):
            raise
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


def delete_task(store: Store, task: SavedTask) -> None:
    """An uploaded task. Raises: DataError, where a job that is not done needs it."""
    from kd_core.data import uploads  # pandas comes with it

    for row in store.runs(status=(*PENDING, "interrupted")):
        if task.config.name in _task_names(row.config):
            kind = row.kind if row.kind in ("search", "lab") else "run"
            raise DataError(
                f"The {kind} {row.title} is {row.status} and needs this task. Wait until it is done, or "
                f"delete the {kind} first."
            )
    uploads.delete(task.id)


def _task_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Of a run, and of what a search or a lab has inside."""
    for name, part in config.items():
        if name == "task":
            yield part.get("name", "")
        elif isinstance(part, dict):
            yield from _task_names(part)


def folder_bytes(folder: Path) -> int:
    """Bytes of all its files. A run that is under way may remove some meanwhile."""
    return sum(file.st_size for file in _files(folder))


def _has_row(store: Store, run_id: str) -> bool:
    return any(row.id == run_id for row in store.runs(text=run_id))


def _item(kind: str, path: Path, why: str, removable: bool = False) -> Item:
    return Item(kind, path, folder_bytes(path), removable, why)


def _work(work: Path, status: str | None) -> tuple[str, bool]:
    """Why the checkpoints are kept or not, and whether they may go."""
    if status == "done" or (paths.runs() / work.name).is_dir():
        return "the run is done", True
    if status is None:
        old = _age(work) > DAY
        return ("no such run" if old else "may be in use"), old
    return ("the run is under way" if status in ACTIVE else "the run can be resumed"), False


def _used(run: Path) -> list[str]:
    """What a run refers to in the cache, as "kind/key"."""
    try:
        return (run / cache.USED).read_text(encoding="utf-8").split()
    except OSError:  # of a version that did not note it
        try:
            return [f"teachers/{Report.read(run).teacher_key}"]
        except RunError:
            return []


def _folders(place: Path) -> Iterator[Path]:
    """Whole ones: those that are being written start with a dot."""
    with suppress(FileNotFoundError):
        yield from sorted(path for path in place.iterdir() if path.is_dir() and path.name[0] != ".")


def _age(folder: Path) -> float:
    """Seconds since something in it changed."""
    return time.time() - max((file.st_mtime for file in _files(folder, folders=True)), default=0.0)


def _files(folder: Path, *, folders: bool = False) -> Iterator[os.stat_result]:
    """Those that are still there when it is their turn."""
    for place, _, names in os.walk(folder):
        for path in [os.path.join(place, name) for name in names] + [place] * folders:
            with suppress(FileNotFoundError):
                yield os.stat(path)
