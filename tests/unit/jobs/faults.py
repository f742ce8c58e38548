"""Fault injection: a piece of work again and again, each time with another of its writes failing.

``faults.c`` lies before libc in this process, so that the n-th call that changes something in ``KD_HOME``
fails, whoever makes it: SQLite, Python or a library. Each attempt is a process of its own, on a copy of the
same folder; after it another one starts on what is left, and says what is not as it should be.
``python -m tests.unit.jobs.faults FAULT FOLDER [MOST]`` prints what was found, as JSON; at most MOST calls of
each piece of work fail then, evenly.
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
from kd_core.distillation.events import OnEvent, StageStarted, Step
from kd_core.distillation.report import Report
from kd_core.errors import KDError
from kd_core.jobs import recorder, runner
from kd_core.jobs.cleaning import clean, inventory
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.index import rebuild
from kd_core.jobs.runner import Job, Runner
from kd_core.jobs.states import RESUMABLE
from kd_core.jobs.store import RunRow, Store
from kd_core.system import paths
from kd_core.system.atomic import fetch, is_whole, new_folder
from kd_core.system.control import Control
from kd_core.system.process import fate
from tests import SAMPLES

FAULTS = ("a full disk", "an error of the disk", "the end of the process")  # as in faults.c, from 1
DONE, QUEUED = "20260131-143000-a1b2", "20260131-150000-c3d4"
SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
NAMES, TAGS = ("Before", "After"), ["mine"]
SAID, RAISED, DIED = 2, 3, 137  # how an attempt ends: by a KDError, an OSError, or at the fault
QUICK = 0.005  # seconds, where the real ones wait longer


def handler(row: RunRow, on_event: OnEvent, control: Control) -> Report:
    """What a run writes, without its training: a checkpoint, points, a model in the cache, and its folder."""
    place, work = paths.runs() / row.id, paths.work() / row.id
    report = Report.from_dict(SAMPLE | {"run_id": row.id, "folder": str(place)})
    if not is_whole(place):
        on_event(StageStarted("teach"))
        on_event(Step("teacher", 0, 1, 2, 1.0, 0.0, 0.0, 0.0, 1e-3, 100.0))
        work.mkdir(parents=True, exist_ok=True)
        (work / "checkpoint").write_text("weights", encoding="utf-8")
        fetch(teacher(), write_teacher)
        with new_folder(place) as folder:
            report.write(folder)
    shutil.rmtree(work, ignore_errors=True)
    return report


def teacher() -> Path:
    return paths.caches() / "teachers" / "one"


def write_teacher(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "weights").write_text("weights", encoding="utf-8")


# The pieces of work. Each begins with a done run, whose name is NAMES[0], and one that is queued.


def the_first_start(store: Store) -> None:
    """In a folder that is not there."""
    Runner(store, {}).submit(DistillConfig(), NAMES[0])


def a_run(store: Store) -> None:
    Job(store, QUEUED, handler).run()


def the_runner(store: Store) -> None:
    one = Runner(store, {"distil": handler})
    one.start()
    wait(lambda: one.state.trouble or store.run(QUEUED).status == "done")
    one.close()


def a_name(store: Store) -> None:
    store.rename(DONE, NAMES[1])
    store.change_tags(DONE, add=["paper"])


def deleting(store: Store) -> None:
    delete_run(store, DONE)


def bringing_back(store: Store) -> None:
    restore_run(store, DONE)


def cleaning(store: Store) -> None:
    clean(inventory(store), store)


def the_index_anew(store: Store) -> None:
    rebuild(Store())


def a_damaged_model(store: Store) -> None:
    fetch(teacher(), write_teacher)


WORKS: tuple[Callable[[Store], None], ...] = (
    the_first_start,
    a_run,
    the_runner,
    a_name,
    deleting,
    bringing_back,
    cleaning,
    the_index_anew,
    a_damaged_model,
)


INNER = (a_run, a_damaged_model)  # whoever calls these says what an OSError means


def prepare(work: Callable[[Store], None]) -> None:
    """The folder in which ``work`` begins."""
    if work is the_first_start:
        paths.home().mkdir()
        return
    store = Store()
    for run, name in ((DONE, NAMES[0]), (QUEUED, "")):
        store.create_run(run, DistillConfig().model_dump(mode="json"), name=name)
    Job(store, DONE, handler).run()
    store.change_tags(DONE, add=TAGS)
    if work in (bringing_back, cleaning):
        delete_run(store, DONE)
    if work is cleaning:
        (paths.caches() / "knowledge" / "unused").mkdir(parents=True)
        (paths.caches() / "knowledge" / "unused" / "logits").write_text("1", encoding="utf-8")
    if work is a_damaged_model:
        (teacher() / "sub" / "weights").write_text("weight", encoding="utf-8")
    store.close()
    if work is the_index_anew:
        (paths.home() / "kd.sqlite").write_bytes(b"no database at all, but long enough to be looked at")


def what_is_wrong(work: Callable[[Store], None]) -> list[str]:
    """As another process finds it: sentences about what must not be."""
    store, wrong = Store(), []
    if work is the_index_anew:
        rebuild(store)
    store.interrupt_orphans(fate)
    rows = {row.id: row for row in store.runs()}
    legal = {"queued", "done", *RESUMABLE}
    wrong += [f"{row.id} is {row.status}: {row.error}" for row in rows.values() if row.status not in legal]
    deleted = {row.id for row in store.runs(status=("deleted",))}
    folders = {place.name for place in paths.runs().glob("[!.]*")}
    wrong += [f"{run} is not whole" for run in folders if not is_whole(paths.runs() / run)]
    wrong += [f"{run} is listed, and deleted" for run in deleted & rows.keys()]
    for row in rows.values():
        if row.status == "done":
            with suppress(KDError):
                store.report(row.id)
                continue
            wrong.append(f"{row.id} is listed as done, and has no report")
    if work not in (the_first_start, deleting, bringing_back, cleaning) and DONE not in rows:
        wrong.append("the run that was done is gone")
    if DONE in rows and rows[DONE].name not in NAMES:
        wrong.append(f"its name is {rows[DONE].name!r}")
    if work is the_index_anew and DONE in rows:
        wrong += [f"its tags are {rows[DONE].tags}"] * (list(rows[DONE].tags) != TAGS)
        wrong += ["its curve is lost"] * store.curve(DONE).empty
    # The next start carries out what waits, and all folders are listed again; then all can be removed.
    one = Runner(store, {"distil": handler})
    one.start()
    for row in rows.values():
        if row.status in RESUMABLE:
            one.resume(row.id)
    wait(lambda: all(row.status == "done" for row in store.runs()))
    one.close()
    wrong += [
        f"{row.id} is {row.status} in the end: {row.error}" for row in store.runs() if row.status != "done"
    ]
    rebuild(store)
    listed = {row.id for row in store.runs()}
    there = {place.name for place in paths.runs().glob("[!.]*") if is_whole(place)}
    wrong += [f"{run} is whole, and not listed" for run in sorted(there - listed)]
    wrong += [f"{run} is listed, and not there" for run in sorted(listed - there)]
    for run in listed:
        delete_run(store, run)
    clean(inventory(store), store)
    rebuild(store)
    left = [str(path.relative_to(paths.home())) for path in paths.home().rglob("*") if DONE in path.name]
    wrong += [f"{path} is left after all was deleted" for path in left if "/." not in path]
    if back := store.runs():
        wrong.append(f"{[row.id for row in back]} came back after they were deleted")
    return wrong


def wait(true: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(KDError):
            if true():
                return
        time.sleep(QUICK)


def hurry() -> None:
    """Nobody waits long for a disk that is full in a test, nor leaves the processor to others."""
    runner.LOOK_EVERY = runner.LONGEST_OUTAGE = recorder.EVERY = QUICK
    logging.disable()
    runner.yield_to_pages = runner.give_memory_back = lambda: None


def in_a_process(do: Callable[[], object]) -> tuple[int, Any]:
    """The status that a fork ends with, and what ``do`` returns or raises there, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            said, status = do(), 0
        except KDError as error:
            said, status = str(error), SAID
        except OSError:
            said, status = traceback.format_exc(), RAISED
        except BaseException:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            said, status = traceback.format_exc(), 1
        os.write(writing, json.dumps(said).encode())
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(said or b"null")


class Attempts:
    """At one fault, with the shim that makes it."""

    def __init__(self, fault: str, folder: Path) -> None:
        self._shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._shim.fault_seen.restype = ctypes.c_long
        self._fault, self._home, self._template = fault, folder / "home", folder / "template"

    def of(self, work: Callable[[Store], None], most: int | None) -> dict[str, Any]:
        """``calls`` that the work makes, ``wrong`` by the number of the one that failed, and how it ``ends``.

        ``most``: of so many of them, evenly; None: of each.
        """
        self._prepare(work)
        _, calls = self._fail_at(work, sys.maxsize)
        self._prepare(work)
        self._home.rename(self._template)
        wrong: dict[int, object] = {}
        ends: dict[int, int] = {}
        step = 1 if most is None else max(1, -(-calls // most))
        for number in range(1 + FAULTS.index(self._fault) * (step // 3), calls + 1, step):
            shutil.copytree(self._template, self._home)
            status, said = self._fail_at(work, number)
            ends[status] = ends.get(status, 0) + 1
            try:
                found = what_is_wrong(work)
            except Exception:  # noqa: BLE001 - what nobody has foreseen is wrong, too
                found = [traceback.format_exc()]
            if found or status not in (0, SAID, DIED, *[RAISED] * (work in INNER)):
                wrong[number] = [*found, said]
            shutil.rmtree(self._home)
        shutil.rmtree(self._template)
        return {"calls": calls, "ends": ends, "wrong": wrong}

    def _prepare(self, work: Callable[[Store], None]) -> None:
        """In this process, so that a fork has compiled already what SQLAlchemy compiles."""
        shutil.rmtree(self._home, ignore_errors=True)
        prepare(work)
        gc.collect()
        gc.freeze()

    def _fail_at(self, work: Callable[[Store], None], number: int) -> tuple[int, Any]:
        def attempt() -> int:
            store = Store()
            self._shim.fault_set(
                str(self._home).encode(), FAULTS.index(self._fault) + 1, ctypes.c_long(number)
            )
            try:
                work(store)
            finally:
                seen = self._shim.fault_seen()
                self._shim.fault_set(b"/", 0, ctypes.c_long(0))
            return int(seen)

        return in_a_process(attempt)


def main(fault: str, folder: str, most: str = "") -> None:
    os.environ["KD_HOME"] = str(Path(folder) / "home")
    hurry()
    attempts = Attempts(fault, Path(folder))
    sys.stdout.write(
        json.dumps({work.__name__: attempts.of(work, int(most) if most else None) for work in WORKS})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
