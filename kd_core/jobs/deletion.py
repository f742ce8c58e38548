"""Deleting runs, which can be undone until disk space is freed, and uploaded tasks."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_core.distillation.run_folder import check_id
from kd_core.errors import DataError, RunError
from kd_core.jobs.states import PENDING
from kd_core.system import paths

if TYPE_CHECKING:
    from kd_core.data.uploads import SavedTask
    from kd_core.jobs.store import Store


def delete_run(store: Store, run_id: str) -> None:
    """Hide the run's rows, and move its folders to ``deleted``.

    Raises: RunError, where it is under way, or a job that reads it, there is no such run, or the disk fails.
    """
    check_id(run_id)
    for row in store.runs(status=PENDING):
        if row.config.get("run") == run_id:
            raise RunError(
                f"{row.title} is {row.status} and needs run {run_id}. Wait until it is done, or stop it "
                "first."
            )
    try:
        store.delete_run(run_id)  # first: it refuses a run that is under way
    except RunError:
        # A run of Python code has no row.
        if not any((place / run_id).is_dir() for place in _places()) or store.has(run_id):
            raise
    _put_away(run_id)


def settle(store: Store) -> None:
    """Folders of deleted runs that lie in their place are put away, and those of others brought back.

    A process that went away meanwhile has left them there, or somebody in another data folder, whose runs are
    in the same database.
    """
    # The folders first: whoever restores a run moves them before its row is shown again.
    away = _names(paths.deleted() / place.name for place in _places())
    for run_id in away & store.ids(shown=True) if away else ():
        with suppress(RunError):
            _bring_back(run_id)
    known = _names(_places())

    def put_away(run_id: str) -> None:
        if run_id in known:
            with suppress(RunError):  # one that cannot be moved is no reason to leave the others
                _put_away(run_id)

    if known:
        store.for_each_deleted(put_away)


def restore_run(store: Store, run_id: str) -> None:
    """Bring a deleted run back. Raises: RunError, where it was not deleted, or is gone for good."""
    check_id(run_id)
    deleted = any((paths.deleted() / place.name / run_id).is_dir() for place in _places())
    if not store.restore_run(run_id, lambda: _bring_back(run_id)) and not deleted:
        raise RunError(f"There is no deleted run {run_id}; kd runs --status deleted lists them.")


def _put_away(run_id: str) -> None:
    with _disk_errors(run_id):
        for place in _places():
            target = paths.deleted() / place.name / run_id
            if (place / run_id).is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(target, ignore_errors=True)  # of one that was brought back by hand
                _move(place / run_id, target)


def _bring_back(run_id: str) -> None:
    with _disk_errors(run_id):
        for place in _places():
            if (source := paths.deleted() / place.name / run_id).is_dir():
                place.mkdir(parents=True, exist_ok=True)
                _move(source, place / run_id)


def _move(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.move(folder, target)  # one of them is a link to another disk


@contextmanager
def _disk_errors(run_id: str) -> Iterator[None]:
    """Raises: RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"The folders of run {run_id} cannot be moved: {error.strerror or error}.") from error


def _places() -> tuple[Path, ...]:
    return paths.runs(), paths.jobs(), paths.work()


def _names(folders: Iterable[Path]) -> set[str]:
    """Of all that lies in them."""
    return {place.name for folder in folders if folder.is_dir() for place in folder.iterdir()}


def delete_task(store: Store, task: SavedTask) -> None:
    """An uploaded task. Raises: DataError, where a job that is not done needs it."""
    from kd_core.data import uploads  # pandas comes with it

    for row in store.runs(status=(*PENDING, "interrupted")):
        names = set(_task_names(row.config))
        if row.kind == "curve":  # it trains students of that run's task
            with suppress(RunError):  # deleted: it cannot go on
                names |= set(_task_names(store.run(row.config["run"]).config))
        if task.config.name in names:
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
