"""Fault injection: a piece of work again and again, each time with another of its writes failing.

``faults.c`` lies before libc in this process, so that the n-th call that changes something in ``KD_HOME``
fails, whoever makes it. Each attempt is a process of its own, on a copy of the same folder; then another one
says what is not as it should be. ``python -m tests.unit.jobs.faults FAULT FOLDER [MOST]`` prints what was
found, as JSON; at most MOST calls of each piece of work fail then, evenly.
Source of the idea: https://www.sqlite.org/testing.html, "anomaly testing".
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import alembic.command  # before the first fork, once for all
import alembic.config  # noqa: F401

from kd_core.config import DistillConfig
from kd_core.distillation.events import StageStarted, Step
from kd_core.distillation.report import Report
from kd_core.errors import KDError
from kd_core.jobs import recorder, runner
from kd_core.jobs.cleaning import clean, inventory
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.index import rebuild
from kd_core.jobs.runner import Job, Runner
from kd_core.jobs.states import RESUMABLE
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.atomic import fetch, is_whole, new_folder
from kd_core.system.process import fate
from tests import SAMPLES

FAULTS = ("a full disk", "an error of the disk", "the end of the process")  # as in faults.c, from 1
DONE, QUEUED = "20260131-143000-a1b2", "20260131-150000-c3d4"
SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
SAID, RAISED, DIED = 2, 3, 137  # how an attempt ends: by a KDError, an OSError, or at the fault
QUICK = 0.005  # seconds, where the real ones wait longer


def handler(row, on_event, control) -> Report:
    """Write what a run writes, without its training: a checkpoint, points, a cached model, and its folder."""
    place, work = paths.runs() / row.id, paths.work() / row.id
    report = Report.from_dict(SAMPLE | {"run_id": row.id, "folder": str(place)})
    if not is_whole(place):
        on_event(StageStarted("teach"))
        on_event(Step("teacher", 0, 1, 2, 1.0, 0.0, 0.0, 0.0, 1e-3, 100.0))
        work.mkdir(parents=True, exist_ok=True)
        (work / "checkpoint").write_text("weights", encoding="utf-8")
        fetch(paths.caches() / "teachers" / "one", lambda folder: shutil.copy(work / "checkpoint", folder))
        with new_folder(place) as folder:
            report.write(folder)
    shutil.rmtree(work, ignore_errors=True)
    return report


# The pieces of work. Each begins with a done run and one that is queued.


def a_run(store: Store) -> None:
    Job(store, QUEUED, handler).run()


def the_runner(store: Store) -> None:
    one = Runner(store, {"distil": handler})
    one.start()
    wait(lambda: one.state.trouble or store.run(QUEUED).status == "done")
    one.close()


def deleting(store: Store) -> None:
    delete_run(store, DONE)


def bringing_back(store: Store) -> None:
    restore_run(store, DONE)


def cleaning(store: Store) -> None:
    clean(inventory(store), store)


def the_index_anew(store: Store) -> None:
    rebuild(Store())


WORKS = (a_run, the_runner, deleting, bringing_back, cleaning, the_index_anew)


def prepare(work: Callable[[Store], None]) -> None:
    """Make the folder in which ``work`` begins."""
    store = Store()
    for run in (DONE, QUEUED):
        store.create_run(run, DistillConfig().model_dump(mode="json"), name="Mine")
    Job(store, DONE, handler).run()
    store.change_tags(DONE, add=["tag"])
    if work in (bringing_back, cleaning):
        delete_run(store, DONE)
    (paths.caches() / "knowledge" / "unused").mkdir(parents=True)
    store.close()
    if work is the_index_anew:
        (paths.home() / "kd.sqlite").write_bytes(b"no database at all, but long enough to be looked at")


def what_is_wrong(work: Callable[[Store], None]) -> list[str]:
    """Return sentences about what must not be, as another process finds it."""
    store, wrong = Store(), []
    if work is the_index_anew:
        rebuild(store)
    store.interrupt_orphans(fate)
    rows = {row.id: row for row in store.runs()}
    for row in rows.values():
        if row.status not in ("queued", "done", *RESUMABLE):
            wrong.append(f"{row.id} is {row.status}: {row.error}")
        if row.status == "done":
            with suppress(KDError):
                store.report(row.id)
                continue
            wrong.append(f"{row.id} is listed as done, and has no report")
    for place in paths.runs().glob("[!.]*"):
        wrong += [f"{place.name} is not whole"] * (not is_whole(place))
    deleted = {row.id for row in store.runs(status=("deleted",))}
    wrong += [f"{run} is listed, and deleted" for run in deleted & rows.keys()]
    if work not in (deleting, bringing_back, cleaning):
        row = rows.get(DONE)
        wrong += ["the run that was done is gone"] * (row is None)
        wrong += [f"of it is left {row}"] * (row is not None and (row.name, row.tags) != ("Mine", ("tag",)))
        wrong += ["its curve is lost"] * store.curve(DONE).empty
    # The next start carries out what waits, and all folders are listed again; then all can be removed.
    one = Runner(store, {"distil": handler})
    one.start()
    for row in rows.values():
        if row.status in RESUMABLE:
            one.resume(row.id)
    wait(lambda: all(row.status == "done" for row in store.runs()))
    one.close()
    wrong += [f"{row.id} ends {row.status}: {row.error}" for row in store.runs() if row.status != "done"]
    rebuild(store)
    listed = {row.id for row in store.runs()}
    there = {place.name for place in paths.runs().glob("[!.]*") if is_whole(place)}
    wrong += [f"{run} is either whole or listed" for run in sorted(there ^ listed)]
    for run in listed:
        delete_run(store, run)
    clean(inventory(store), store)
    rebuild(store)
    left = [str(path.relative_to(paths.home())) for path in paths.home().rglob("*") if DONE in path.name]
    wrong += [f"{path} is left after all was deleted" for path in left if "/." not in path]
    return wrong + [f"{row.id} came back after it was deleted" for row in store.runs()]


def wait(true: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(KDError):
            if true():
                return
        time.sleep(QUICK)


def in_a_process(do: Callable[[], object]) -> tuple[int, Any]:
    """Return the status that a fork ends with, and what ``do`` returns or raises there, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            said, status = do(), 0
        except KDError as error:
            said, status = str(error), SAID
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            said, status = traceback.format_exc(), RAISED if isinstance(error, OSError) else 1
        os.write(writing, json.dumps(said).encode())
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(said or b"null")


class Attempts:
    """The attempts at one fault, with the shim that makes it."""

    def __init__(self, fault: str, folder: Path) -> None:
        self._shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._shim.fault_seen.restype = ctypes.c_long
        self._fault, self._home, self._template = FAULTS.index(fault), folder / "home", folder / "template"

    def of(self, work: Callable[[Store], None], most: int | None) -> dict[str, Any]:
        """Count the calls, and say what is wrong by the call that failed, and how the attempts ended."""
        prepare(work)  # in this process, so that a fork has compiled already what SQLAlchemy compiles
        gc.collect()
        gc.freeze()
        shutil.copytree(self._home, self._template)
        _, calls = self._fail_at(work, sys.maxsize)
        wrong: dict[int, object] = {}
        ends: dict[int, int] = {}
        step = 1 if most is None else max(1, -(-calls // most))
        for number in range(1 + self._fault * (step // 3), calls + 1, step):
            shutil.rmtree(self._home)
            shutil.copytree(self._template, self._home)
            status, said = self._fail_at(work, number)
            ends[status] = ends.get(status, 0) + 1
            try:
                found = what_is_wrong(work)
            except Exception:  # noqa: BLE001 - what nobody has foreseen is wrong, too
                found = [traceback.format_exc()]
            # Whoever carries out a run says what an OSError means.
            if found or status not in (0, SAID, DIED, *[RAISED] * (work is a_run)):
                wrong[number] = [*found, said]
        shutil.rmtree(self._home)
        shutil.rmtree(self._template)
        return {"calls": calls, "ends": ends, "wrong": wrong}

    def _fail_at(self, work: Callable[[Store], None], number: int) -> tuple[int, Any]:
        def attempt() -> int:
            store = Store()
            self._shim.fault_set(str(self._home).encode(), self._fault + 1, ctypes.c_long(number))
            try:
                work(store)
            finally:
                seen = self._shim.fault_seen()
                self._shim.fault_set(b"/", 0, ctypes.c_long(0))
            return int(seen)

        return in_a_process(attempt)


def main(fault: str, folder: str, most: str = "") -> None:
    os.environ["KD_HOME"] = str(Path(folder) / "home")
    runner.LOOK_EVERY = runner.LONGEST_OUTAGE = recorder.EVERY = QUICK
    logging.disable()
    runner.yield_to_pages = runner.give_memory_back = lambda: None
    attempts = Attempts(fault, Path(folder))
    found = {work.__name__: attempts.of(work, int(most) if most else None) for work in WORKS}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
