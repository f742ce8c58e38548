"""Fault injection: a piece of work again and again, each time with another of its writes failing.

``faults.c`` lies before libc in this process, so that the n-th call that changes something in ``KD_HOME``
fails, whoever makes it. Each attempt is a process of its own, on a copy of the same folder; then another one
says what is not as it should be. ``python -m tests.unit.jobs.faults FAULT FOLDER [MOST]`` prints what was
found, as JSON; at most MOST calls of each piece of work fail then, evenly.
Source of the idea: https://www.sqlite.org/testing.html, "anomaly testing".
"""

import ctypes
import gc
import json
import logging
import os
import shutil
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import alembic.command  # before the first fork, once for all
import alembic.config  # noqa: F401

from kd_core.distillation.events import StageStarted
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
from tests.unit.jobs.told import CONFIG, OTHER, RUN, SAMPLE, step

FAULTS = ("a full disk", "an error of the disk", "the end of the process")  # as in faults.c, from 1
SAID, RAISED, DIED = 2, 3, 137  # how an attempt ends: by a KDError, an OSError, or at the fault


def handler(row, on_event, control) -> Report:
    """Write what a run writes, without its training: a checkpoint, points, a cached model, and its folder."""
    place, work = paths.runs() / row.id, paths.work() / row.id
    report = Report.from_dict(SAMPLE | {"run_id": row.id, "folder": str(place)})
    if not is_whole(place):
        on_event(StageStarted("teach"))
        on_event(step(1, who="teacher"))
        work.mkdir(parents=True, exist_ok=True)
        (work / "checkpoint").write_text("weights", encoding="utf-8")
        fetch(paths.caches() / "teachers" / "one", lambda folder: shutil.copy(work / "checkpoint", folder))
        with new_folder(place) as folder:
            report.write(folder)
    shutil.rmtree(work, ignore_errors=True)
    return report


def run_queue(store) -> None:
    one = Runner(store, {"distil": handler})
    one.start()
    wait(lambda: one.state.trouble or store.run(OTHER).status == "done")
    one.close()


# Each begins with a done run and one that is queued.
WORKS = {
    "run": lambda store: Job(store, OTHER, handler).run(),
    "queue": run_queue,
    "delete": lambda store: delete_run(store, RUN),
    "restore": lambda store: restore_run(store, RUN),
    "clean": lambda store: clean(inventory(store), store),
    "rebuild": lambda store: rebuild(Store()),
}


def prepare(work: str) -> None:
    """Make the folder in which the work begins."""
    store = Store()
    for run_id in (RUN, OTHER):
        store.create_run(run_id, CONFIG, name="Mine")
    Job(store, RUN, handler).run()
    if work in ("restore", "clean"):
        delete_run(store, RUN)
    (paths.caches() / "knowledge" / "unused").mkdir(parents=True)
    store.close()
    if work == "rebuild":
        (paths.home() / "kd.sqlite").write_bytes(b"no database at all, but long enough to be looked at")


def what_is_wrong(work: str) -> list[str]:
    """Return sentences about what must not be, as another process finds it."""
    store, wrong = Store(), []
    if work == "rebuild":
        rebuild(store)
    store.interrupt_orphans(fate)
    rows = {row.id: row for row in store.runs()}
    for row in rows.values():
        if row.status not in ("queued", "done", *RESUMABLE):
            wrong.append(f"{row.id} is {row.status}: {row.error}")
        if row.status == "done" and store.report(row.id).run_id != row.id:
            wrong.append(f"{row.id} has another report")
    wrong += [f"{place} is not whole" for place in paths.runs().glob("[!.]*") if not is_whole(place)]
    deleted = {row.id for row in store.runs(status=("deleted",))}
    wrong += [f"{run_id} is listed, and deleted" for run_id in deleted & rows.keys()]
    if work in ("run", "queue", "rebuild") and (store.run(RUN).name != "Mine" or store.curve(RUN).empty):
        wrong.append("of the run that was done, name or curve is lost")
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
    wrong += [f"{run_id} is either whole or listed" for run_id in there ^ listed]
    for run_id in listed:
        delete_run(store, run_id)
    clean(inventory(store), store)
    rebuild(store)
    left = [str(path.relative_to(paths.home())) for path in paths.home().rglob(f"*{RUN}*")]
    wrong += [f"{path} is left after all was deleted" for path in left if "/." not in path]
    return wrong + [f"{row.id} came back after it was deleted" for row in store.runs()]


def wait(true, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(KDError):
            if true():
                return
        time.sleep(0.005)


def attempt(shim, work: str, fault: int, number: int) -> tuple[int, object]:
    """Return the status that a fork ends with, and the calls that it made, or the error that it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            store = Store()
            shim.fault_set(str(paths.home()).encode(), fault + 1, ctypes.c_long(number))
            WORKS[work](store)
            said, status = shim.fault_seen(), 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            said = traceback.format_exc()
            status = SAID if isinstance(error, KDError) else RAISED if isinstance(error, OSError) else 1
        shim.fault_set(b"/", 0, ctypes.c_long(0))
        os.write(writing, json.dumps(said).encode())
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(said or b"null")


def attempts(shim, work: str, fault: int, most: int | None, template: Path) -> dict[str, object]:
    """Count the calls, and say what is wrong by the call that failed, and how the attempts ended."""
    prepare(work)  # in this process, so that a fork has compiled already what SQLAlchemy compiles
    gc.collect()
    gc.freeze()
    shutil.copytree(paths.home(), template)
    _, calls = attempt(shim, work, fault, sys.maxsize)
    wrong, ends = {}, {}
    every = 1 if most is None else max(1, -(-calls // most))
    for number in range(1 + fault * (every // 3), calls + 1, every):
        shutil.rmtree(paths.home())
        shutil.copytree(template, paths.home())
        status, said = attempt(shim, work, fault, number)
        ends[status] = ends.get(status, 0) + 1
        try:
            found = what_is_wrong(work)
        except Exception:  # noqa: BLE001 - what nobody has foreseen is wrong, too
            found = [traceback.format_exc()]
        # Whoever carries out a run says what an OSError means.
        if found or status not in (0, SAID, DIED, *[RAISED] * (work == "run")):
            wrong[number] = [*found, said]
    shutil.rmtree(paths.home())
    shutil.rmtree(template)
    return {"calls": calls, "ends": ends, "wrong": wrong}


def main(fault: str, folder: str, most: str = "") -> None:
    os.environ["KD_HOME"] = str(Path(folder) / "home")
    runner.LOOK_EVERY = runner.LONGEST_OUTAGE = recorder.EVERY = 0.005
    runner.yield_to_pages = runner.give_memory_back = lambda: None
    logging.disable()
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    shim.fault_seen.restype = ctypes.c_long
    given = FAULTS.index(fault), int(most) if most else None, Path(folder) / "template"
    print(json.dumps({work: attempts(shim, work, *given) for work in WORKS}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
