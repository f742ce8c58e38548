"""The runner: one job at a time, pause, resume, stop, and what becomes of a run whose process goes away."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from kd_core.config import DistillConfig, of_today
from kd_core.distillation.events import Failed, OnEvent, StageStarted, Step
from kd_core.errors import DataError, DiskFullError, RunError, Stopped, StoreError
from kd_core.jobs import runner as module
from kd_core.jobs.deletion import delete_run
from kd_core.jobs.runner import Job, Runner
from kd_core.jobs.runner_state import RunnerState, why_runs_wait
from kd_core.jobs.store import RunRow, Store
from kd_core.system import paths, process
from kd_core.system.atomic import new_folder
from kd_core.system.control import Control
from kd_core.system.process import _started as started
from kd_core.system.process import alive, fate, machine_lock, owner
from tests import SAMPLES

CONFIG = DistillConfig()
RUN = "20260131-143000-a1b2"


@pytest.fixture(autouse=True)
def quick(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(module, "yield_to_pages", lambda: None)  # tests are to stay as quick as they are


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


class Steps:
    """A handler that goes one step at a time, when the test says so; ``finish`` lets it run to its end."""

    def __init__(self, steps: int = 3) -> None:
        self.steps = steps
        self.go = threading.Semaphore(0)
        self.seen: list[str] = []

    def __call__(self, row: RunRow, on_event: OnEvent, control: Control) -> None:
        self.seen.append(row.id)
        on_event(StageStarted("teach"))
        for step in range(1, self.steps + 1):
            while not self.go.acquire(timeout=0.02):
                control.check()
            control.check()
            on_event(Step("teacher", 0, step, self.steps, 1 / step, 0.0, 0.0, 0.0, 1e-3, 100.0))

    def finish(self) -> None:
        self.go.release(1000)


@pytest.fixture
def runner(store: Store) -> Iterator[Callable[[Any], Runner]]:
    """``runner(handler)``: one that works already; closed at the end."""
    runners = []

    def start(handler: Any, **options: Any) -> Runner:
        runners.append(Runner(store, {"distil": handler}, **options))
        runners[-1].start()
        return runners[-1]

    yield start
    for one in runners:
        one.close()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180  # a worker takes idle time only
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_(store: Store, run_id: str, status: str) -> Callable[[], bool]:
    return lambda: store.run(run_id).status == status


# The queue


def test_jobs_run_one_after_the_other_in_order(store, runner):
    handler = Steps()
    subject = runner(handler)
    runs = [subject.submit(CONFIG, name) for name in ("one", "two", "three")]
    until(is_(store, runs[0], "running"))
    assert [store.run(run).status for run in runs] == ["running", "queued", "queued"]
    assert [store.run(run).name for run in runs] == ["one", "two", "three"]
    assert store.run(runs[0]).owner == owner()
    handler.finish()
    for run in runs:
        until(is_(store, run, "done"))
    assert handler.seen == runs
    assert list(store.curve(runs[0])["loss"]) == [1, 1 / 2, 1 / 3]
    assert [row.event for row in store.events(runs[0])] == [StageStarted("teach")]


def test_a_double_click_is_one_run(store, runner):
    subject = runner(Steps())
    first = subject.submit(CONFIG, token="click 1")
    assert subject.submit(CONFIG, token="click 1") == first
    assert subject.submit(CONFIG, token="click 2") != first
    assert subject.submit(CONFIG) != subject.submit(CONFIG)
    assert len(store.runs()) == 4


def test_a_click_starts_anew_what_was_cancelled_or_deleted(store, runner):
    subject = runner(Steps())
    subject.submit(CONFIG)
    cancelled = subject.submit(CONFIG, token="click")
    subject.cancel(cancelled)
    deleted = subject.submit(CONFIG, token="click")
    subject.cancel(deleted)
    delete_run(store, deleted)
    assert len({cancelled, deleted, subject.submit(CONFIG, token="click")}) == 3


def test_clicks_at_the_same_moment_are_one_run(store, runner):
    subject = runner(Steps())
    ready, ids = threading.Barrier(4), []

    def click() -> None:
        ready.wait()
        ids.append(subject.submit(CONFIG, token="click"))

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == len(store.runs()) == 1


def test_the_queue_has_an_end(store, monkeypatch):
    monkeypatch.setattr(module, "MOST_QUEUED", 2)
    one = Runner(store, {})  # which takes none
    first, _ = one.submit(CONFIG), one.submit(CONFIG)
    with pytest.raises(
        RunError, match=r"^2 runs wait in the queue, and at most 2 may\. Wait, or delete some"
    ):
        one.submit(CONFIG)
    assert len(store.runs()) == 2
    one.cancel(first)
    one.submit(CONFIG)


def test_the_queue_of_another_machine_is_not_this_ones(store, monkeypatch):
    monkeypatch.setattr(module, "MOST_QUEUED", 1)
    with monkeypatch.context() as there:
        there.setattr(paths, "folder_id", lambda: "")
        there.setattr(socket, "gethostname", lambda: "elsewhere")
        store.create_run("there", CONFIG.model_dump(mode="json"))
    Runner(store, {}).submit(CONFIG)
    assert len(store.runs(status=("queued",))) == 2


def test_cancel_in_the_queue(store, runner):
    handler = Steps()
    subject = runner(handler)
    first, second, third = (subject.submit(CONFIG) for _ in range(3))
    until(is_(store, first, "running"))
    subject.cancel(second)
    subject.stop(third)
    assert [store.run(run).status for run in (first, second, third)] == ["running", "stopped", "stopped"]
    with pytest.raises(RunError, match=rf"^Cannot cancel run {first}: it is running\.$"):
        subject.cancel(first)
    handler.finish()
    until(is_(store, first, "done"))
    assert handler.seen == [first]


def test_what_a_handler_returns_is_the_report(store, runner):
    report = of_today(json.loads((SAMPLES / "report.json").read_text("utf-8")))
    run = runner(lambda *_: report).submit(CONFIG)
    until(is_(store, run, "done"))
    assert store.report_json(run) == report
    assert store.run(run).verdict == "helped"


def test_a_run_of_another_machine_or_kind_is_left_alone(store, runner, monkeypatch):
    store.create_run("other kind", CONFIG.model_dump(mode="json"), kind="search")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(paths, "folder_id", lambda: "another")
        store.create_run("other machine", CONFIG.model_dump(mode="json"))
    subject = runner(lambda *_: None)
    mine = subject.submit(CONFIG)
    until(is_(store, mine, "done"))
    assert [store.run(run).status for run in ("other kind", "other machine")] == ["queued", "queued"]


def test_a_machine_that_has_another_name_now_takes_its_runs(store, runner, monkeypatch):
    """A new container, or another network, on the same data folder."""
    paths.make_home()
    run = "20260131-143000-ffff"
    store.create_run(run, CONFIG.model_dump(mode="json"))
    monkeypatch.setattr(socket, "gethostname", lambda: "a-new-name")
    runner(lambda *_: None)
    until(is_(store, run, "done"))
    assert store.run(run).machine == "a-new-name"


def test_a_run_of_an_older_version_is_its_hosts(store, runner, monkeypatch):
    """Which knew no id of its data folder."""
    with monkeypatch.context() as older:
        older.setattr(paths, "folder_id", lambda: "")
        store.create_run("here", CONFIG.model_dump(mode="json"))
        older.setattr(socket, "gethostname", lambda: "elsewhere")
        store.create_run("there", CONFIG.model_dump(mode="json"))
    runner(lambda *_: None)
    until(is_(store, "here", "done"))
    assert (store.run("there").status, store.run("there").is_here) == ("queued", False)


def test_the_machine_lock_is_waited_for(store, runner):
    handler = Steps()
    with machine_lock():
        subject = runner(handler)
        first = subject.submit(CONFIG)
        time.sleep(0.1)  # several looks at the queue; a slower machine only tests less
        assert store.run(first).status == "queued"
    until(is_(store, first, "running"))
    with pytest.raises(module.Timeout):
        machine_lock().acquire(blocking=False)
    handler.finish()
    until(is_(store, first, "done"))
    until(lambda: not held(machine_lock()))


def held(lock: Any) -> bool:
    try:
        with lock.acquire(blocking=False):
            return False
    except module.Timeout:
        return True


def test_a_run_that_a_living_process_waits_with_is_left_to_it(store, runner):
    subject = runner(lambda *_: None)
    store.create_run("of kd distill", CONFIG.model_dump(mode="json"), owner=owner())
    store.create_run("its process is gone", CONFIG.model_dump(mode="json"), owner=ended())
    mine = subject.submit(CONFIG)
    until(is_(store, mine, "done"))
    assert store.run("its process is gone").status == "done"
    assert store.run("of kd distill").status == "queued"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a boot has no name")
def test_a_run_that_waited_when_the_machine_was_started_anew_is_taken(store, runner):
    store.create_run("of kd distill", CONFIG.model_dump(mode="json"), owner=owner().replace("@", "@0"))
    runner(lambda *_: None)
    until(is_(store, "of kd distill", "done"))


# Pause, resume, stop


def test_pause_and_resume(store, runner):
    handler = Steps()
    subject = runner(handler)
    run = subject.submit(CONFIG)
    until(is_(store, run, "running"))
    subject.pause(run)
    until(is_(store, run, "paused"))
    handler.finish()
    subject.resume(run)
    until(is_(store, run, "done"))


def test_stop_and_resume(store, runner):
    handler = Steps()
    subject = runner(handler)
    run = subject.submit(CONFIG)
    until(is_(store, run, "running"))
    subject.stop(run)
    until(is_(store, run, "stopped"))
    with pytest.raises(RunError, match=rf"^Cannot pause run {run}: it is stopped\.$"):
        subject.pause(run)
    handler.finish()
    subject.resume(run)
    until(is_(store, run, "done"))
    assert handler.seen == [run, run]
    with pytest.raises(RunError, match=rf"^Cannot resume run {run}: it is done\.$"):
        subject.resume(run)


def test_stop_ends_a_pause(store, runner):
    subject = runner(Steps())
    run = subject.submit(CONFIG)
    until(is_(store, run, "running"))
    subject.pause(run)
    until(is_(store, run, "paused"))
    subject.stop(run)
    until(is_(store, run, "stopped"))


def test_another_process_can_pause_and_stop_a_run(store, runner):
    subject = runner(Steps())
    run = subject.submit(CONFIG)
    until(is_(store, run, "running"))
    other = Runner(Store(), {})  # never started: only its commands are used
    other.pause(run)
    until(is_(store, run, "paused"))
    other.resume(run)
    until(is_(store, run, "running"))
    other.stop(run)
    until(is_(store, run, "stopped"))


@pytest.mark.parametrize("later", ["pause", "resume"])
def test_whoever_stops_a_run_is_not_overruled_by_another_tab(store, runner, monkeypatch, later):
    """Also where the run has not heard of it yet."""
    subject = runner(Steps())
    run = subject.submit(CONFIG)
    until(is_(store, run, "running"))
    first, second = Runner(Store(), {}), Runner(Store(), {})
    monkeypatch.setattr(Job, "_obey", lambda *_: None)
    first.stop(run)
    with pytest.raises(RunError, match=rf"^Run {run} is about to stop, as somebody asked\. Resume it when"):
        getattr(second, later)(run)
    first.stop(run)
    monkeypatch.undo()
    until(is_(store, run, "stopped"))
    second.resume(run)
    assert store.command(run) == "run"


# How it ends


def test_an_error_for_the_person_is_the_reason(store, runner):
    def handler(*_: Any) -> None:
        raise DataError("The file 'x.csv' has no rows.")

    run = runner(handler).submit(CONFIG)
    until(is_(store, run, "failed"))
    assert store.run(run).error == "The file 'x.csv' has no rows."
    assert [row.event for row in store.events(run)] == [Failed("The file 'x.csv' has no rows.")]
    assert not (paths.work() / run).exists()


def test_an_unexpected_error_is_in_the_log_and_does_not_end_the_runner(store, runner):
    def handler(row: RunRow, *_: Any) -> None:
        if row.name == "broken":
            raise ZeroDivisionError("ours")

    subject = runner(handler)
    run, after = subject.submit(CONFIG, "broken"), subject.submit(CONFIG)
    until(is_(store, after, "done"))
    log = paths.work() / run / "log.txt"
    assert store.run(run).error == f"ZeroDivisionError: ours (details in {log})"
    assert 'raise ZeroDivisionError("ours")' in log.read_text()


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (OSError(28, "No space left on device"), "The disk with "),
        (RuntimeError("PytorchStreamWriter failed writing file: No space left on device"), "The disk with "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "Out of memory (DefaultCPUAllocator"),
        (MemoryError(), "Out of memory"),
    ],
)
def test_what_libraries_say_of_a_full_disk_or_memory(store, runner, error, start):
    def handler(*_: Any) -> None:
        raise error

    run = runner(handler).submit(CONFIG)
    until(is_(store, run, "failed"))
    assert (store.run(run).error or "").startswith(start)


def test_close_leaves_a_run_that_can_be_resumed(store, runner):
    handler = Steps()
    subject = runner(handler)
    run, waiting = subject.submit(CONFIG), subject.submit(CONFIG)
    until(is_(store, run, "running"))
    subject.close()
    assert [store.run(one).status for one in (run, waiting)] == ["interrupted", "queued"]
    handler.finish()
    runner(handler).resume(run)
    until(is_(store, run, "done"))
    until(is_(store, waiting, "done"))


def test_an_interrupt_from_the_keyboard_leaves_a_run_that_can_be_resumed(store):
    store.create_run(RUN, CONFIG.model_dump(mode="json"))

    def handler(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Job(store, RUN, handler).run()
    assert store.run(RUN).status == "interrupted"


def test_a_job_that_somebody_else_took(store):
    store.create_run(RUN, CONFIG.model_dump(mode="json"))
    assert store.claim("somebody:1:2.0", RUN)
    with pytest.raises(RunError, match="is no longer queued; somebody else started or cancelled it"):
        Job(store, RUN, lambda *_: pytest.fail("it was run")).run()
    assert store.run(RUN).owner == "somebody:1:2.0"


def test_the_end_is_recorded_though_the_database_was_away(store, runner, monkeypatch):
    away = [3]
    original = Store.set_status

    def set_status(self: Store, run_id: str, status: Any, *args: Any, **kwargs: Any) -> bool:
        if status == "done" and away[0]:
            away[0] -= 1
            raise StoreError("The database is locked.")
        return original(self, run_id, status, *args, **kwargs)

    monkeypatch.setattr(Store, "set_status", set_status)
    run = runner(lambda *_: None).submit(CONFIG)
    until(is_(store, run, "done"))
    assert away == [0]


def test_a_broken_preparation_does_not_end_the_runner(store, runner):
    def prepare() -> None:
        raise ImportError("no torch here")

    run = runner(lambda *_: None, prepare=prepare).submit(CONFIG)
    until(is_(store, run, "done"))


# Processes


def ended() -> str:
    """The owner's name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(process.pid).create_time()
    process.wait()
    return f"{socket.gethostname()}:{process.pid}:{started:.1f}"


def test_alive():
    host, pid, _ = owner().rsplit(":", 2)
    assert (host, int(pid)) == (socket.gethostname(), os.getpid())
    assert fate(owner()) is True
    assert fate(ended()) is False
    assert fate("another machine:1:2.0") is None, "its heartbeat decides"
    assert alive("another machine:1:2.0")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_has_ended_is_gone_though_nobody_asked_how():
    """In a container whose first process is no init, such a one stays in the list for good."""
    code = "from kd_core.system.process import owner; print(owner(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        name = process.stdout.readline().strip()
        assert fate(name) is True
        process.kill()
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert fate(name) is False


def test_a_process_of_an_older_version_is_known_by_its_time():
    host, pid, time = socket.gethostname(), os.getpid(), psutil.Process().create_time()
    assert fate(f"{host}:{pid}:{time:.1f}") is True
    assert fate(f"{host}:{pid}:{time - 100:.1f}") is False, "another process had that number before"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_is_known_whatever_the_clock_and_the_host_say(monkeypatch):
    mine = owner()
    _, pid, started = mine.rsplit(":", 2)
    ticks, _, realm = started.partition("@")
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 0.0)  # the clock was set
    assert fate(mine) is True
    assert fate(f"new name of the host:{pid}:{started}") is True
    assert fate(f"host:{pid}:{int(ticks) - 1}@{realm}") is False, "another process had that number before"
    assert fate(f"host:{2**22 + 1}:{started}") is False
    boot, _, namespace = realm.partition("/")
    for other in (f"{boot}/{namespace}0", f"0{boot}/{namespace}"):  # another container, another boot
        assert fate(f"{socket.gethostname()}:{pid}:{ticks}@{other}") is None


def test_a_worker_that_lost_its_run_stops_and_leaves_it_alone(store, monkeypatch):
    monkeypatch.setattr(module, "BEAT_EVERY", 0.0)
    handler = Steps(1000)
    run = "20260131-143000-ffff"
    store.create_run(run, CONFIG.model_dump(mode="json"))
    job = Job(store, run, handler)

    def work() -> None:
        with suppress(Stopped):
            job.run()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    until(lambda: handler.seen)
    store.interrupt_orphans(lambda owner: False)
    store.set_status(run, "queued")
    store.claim("another process", run)
    thread.join(30)
    assert not thread.is_alive()
    row = store.run(run)
    assert (row.status, row.owner) == ("running", "another process")


def test_a_process_that_lost_its_run_leaves_nothing_more(store, monkeypatch):
    """No checkpoint, no folder, no report, no log: it was asleep, and does not know yet."""
    monkeypatch.setattr(module, "BEAT_EVERY", 1e9)
    store.create_run(RUN, CONFIG.model_dump(mode="json"))
    place, refused = paths.runs() / RUN, []

    def handler(row: RunRow, on_event: OnEvent, control: Control) -> Any:
        with control.fence():
            pass
        store.interrupt_orphans(lambda owner: False)
        store.set_status(RUN, "queued")
        store.claim("another process", RUN)
        try:
            with new_folder(place, control.fence) as folder:
                (folder / "report.json").write_text("{}")
        except RunError as error:
            refused.append(str(error))
        with pytest.raises(RunError, match="was taken from this process"), control.fence():
            pytest.fail("it was let in")
        if mode == "an error of its own":
            raise ZeroDivisionError
        return {"a": "report"}

    for mode in ("a report", "an error of its own"):
        with pytest.raises(RunError if mode == "a report" else ZeroDivisionError):
            Job(store, RUN, handler).run()
        assert os.listdir(paths.runs()) == []
        assert not (paths.work() / RUN).exists()
        with pytest.raises(RunError, match="has no report: it is running"):
            store.report_json(RUN)
        row = store.run(RUN)
        assert (row.status, row.owner, row.error) == ("running", "another process", None)
        store.set_status(RUN, "queued")
    assert refused == [f"Run {RUN} was taken from this process, which writes nothing more of it."] * 2


def test_while_the_database_is_away_a_run_goes_on_writing(store, monkeypatch):
    store.create_run(RUN, CONFIG.model_dump(mode="json"))

    def handler(row: RunRow, on_event: OnEvent, control: Control) -> None:
        with monkeypatch.context() as away:
            away.setattr(Store, "held", lambda *_: (_ for _ in ()).throw(StoreError("away")))
            with new_folder(paths.runs() / RUN, control.fence) as folder:
                (folder / "report.json").write_text("{}")

    Job(store, RUN, handler).run()
    assert (paths.runs() / RUN / "report.json").is_file()


def test_orphans_are_found_at_the_start(store, runner):
    for run, claimed_by in (("gone", ended()), ("lives", f"{socket.gethostname()}:{parent()}")):
        store.create_run(run, CONFIG.model_dump(mode="json"))
        assert store.claim(claimed_by, run)
    runner(Steps())
    until(is_(store, "gone", "interrupted"))
    assert store.run("lives").status == "running"


def parent() -> str:
    return f"{os.getppid()}:{psutil.Process(os.getppid()).create_time():.1f}"


SERVER = """
import signal, threading, time
from kd_core.config import DistillConfig, of_today
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store

def handler(row, on_event, control):
    print("started", flush=True)
    while True:
        control.check()
        time.sleep(0.01)

signal_like_streamlit = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: signal_like_streamlit.set())
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in a shell's background
runner = Runner(Store(), {"distil": handler})
runner.start()
print(runner.submit(DistillConfig()), flush=True)
try:
    while not signal_like_streamlit.wait(0.05):
        pass
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGTERM, 0, "interrupted"),
        (signal.SIGINT, 0, "interrupted"),
        (signal.SIGKILL, -signal.SIGKILL, "running"),
    ],
)
def test_a_server_that_ends(store, runner, number, code, status):
    """It leaves its run in time; one that is killed is found by the next."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    run, started = sorted(server.stdout.readline().strip() for _ in range(2))
    assert started == "started"
    server.send_signal(number)
    server.stdout.close()
    assert server.wait(180) == code
    assert store.run(run).status == status
    runner(lambda *_: None)
    until(is_(store, run, "interrupted"))


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has its own priority on Linux only")
def test_the_worker_is_nice_and_what_it_starts_too(store, runner, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    found: dict[str, tuple[int, int]] = {}

    def nice(name: str) -> None:
        thread = threading.get_native_id()
        found[name] = os.getpriority(os.PRIO_PROCESS, thread), os.sched_getscheduler(thread)

    def handler(*_: Any) -> None:
        nice("worker")
        child = threading.Thread(target=nice, args=("child",))
        child.start()
        child.join()

    nice("pages")
    run = runner(handler).submit(CONFIG)
    until(is_(store, run, "done"))
    assert found["worker"] == found["child"] == (process.NICENESS, os.SCHED_IDLE)
    assert found["pages"] == (os.getpriority(os.PRIO_PROCESS, 0), os.SCHED_OTHER)
    assert found["pages"][0] < process.NICENESS


def test_jobs_load_no_torch():
    code = "import sys, kd_core.jobs.runner, kd_core.job_kinds; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# What may go wrong around a run


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOLCK, "No locks available"), OSError(errno.EIO, "Input/output error"), ValueError("x")],
)
def test_the_runner_survives_whatever_fails_around_it_and_says_what(store, runner, monkeypatch, error):
    broken = threading.Event()
    broken.set()
    real = module.machine_lock

    def lock() -> Any:
        if broken.is_set():
            raise error
        return real()

    monkeypatch.setattr(module, "machine_lock", lock)
    one = runner(lambda *_: None)
    run = one.submit(CONFIG)
    until(lambda: one.state.trouble)
    assert store.run(run).status == "queued"
    assert str(error) in one.state.trouble
    assert why_runs_wait() == f"Queued runs do not start: {one.state.trouble} The dashboard tries again."
    broken.clear()
    one._wake.set()
    until(is_(store, run, "done"))
    until(lambda: not one.state.trouble)
    assert why_runs_wait() is None
    one.close()
    assert why_runs_wait() == "Queued runs wait for a dashboard, and none is open. Start one: kd app"


def test_a_database_that_takes_no_claim_is_said_and_not_asked_all_the_time(store, runner, monkeypatch):
    """A full disk: the queue can be read, and no row can say why its run does not start."""
    real, calls = store.claim, []

    def claim(*given: Any) -> Any:
        calls.append(given)
        if len(calls) <= 3:
            raise DiskFullError("The database is full.")
        return real(*given)

    waits: list[float] = []
    monkeypatch.setattr(store, "claim", claim)
    one = runner(lambda *_: None)
    monkeypatch.setattr(one._wake, "wait", lambda timeout: waits.append(timeout) or one._closing.wait(0.001))
    said = []
    monkeypatch.setattr(one.state, "set", said.append)
    run = one.submit(CONFIG)
    until(is_(store, run, "done"))
    assert said.count("The database is full.") == 3
    assert {0.04, 0.08, 0.16} <= set(waits)


def test_of_two_dashboards_the_one_that_stays_says_how_it_is(kd_home, monkeypatch):
    """Each in a process of its own, one the parent of the other: both live."""
    here, other = RunnerState(), RunnerState()

    def by(one: RunnerState, process: str, does: Callable[[RunnerState], None]) -> None:
        monkeypatch.setattr("kd_core.jobs.runner_state.owner", lambda: process)
        does(one)

    mine, parents = owner(), owner_of(os.getppid())
    by(here, mine, lambda state: state.set("The disk is full."))
    by(other, parents, lambda state: state.set("No database."))
    assert why_runs_wait() == "Queued runs do not start: The disk is full. The dashboard tries again."
    by(other, parents, lambda state: state.set(""))
    assert why_runs_wait() is None, "that one takes queued runs"
    by(here, mine, lambda state: state.set("The disk is full."))
    assert why_runs_wait() is None
    by(here, mine, RunnerState.clear)
    assert why_runs_wait() is None, "the other is still open"
    by(other, parents, RunnerState.clear)
    assert why_runs_wait() == "Queued runs wait for a dashboard, and none is open. Start one: kd app"
    by(here, mine, lambda state: state.set(""))
    assert why_runs_wait() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a boot has no name")
def test_a_dashboard_of_before_the_machine_was_started_anew_is_not_open(kd_home, monkeypatch):
    """It had no time to say that it ends, and there may be a process of its number now."""
    mine = owner()
    with monkeypatch.context() as patch:
        patch.setattr("kd_core.jobs.runner_state.owner", lambda: mine.replace("@", "@0"))
        RunnerState().set("")
    assert why_runs_wait() == "Queued runs wait for a dashboard, and none is open. Start one: kd app"
    now = RunnerState()
    now.set("The disk is full.")
    assert why_runs_wait() == "Queued runs do not start: The disk is full. The dashboard tries again."
    now.clear()


def owner_of(process: int) -> str:
    return f"{socket.gethostname()}:{process}:{started(process)}"


def test_after_errors_the_queue_is_looked_at_less_and_less_often(store, runner, monkeypatch):
    waits: list[float] = []

    class Wake(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return super().wait(0.001)

    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(Runner, "_take", lambda self: 1 / 0)
    one = Runner(store, {})
    one._wake = Wake()
    one.start()
    until(lambda: len(waits) > 4)
    one.close()
    assert waits[:5] == [0.04, 0.08, 0.1, 0.1, 0.1]


@pytest.mark.parametrize("name", ["", "nobody", "a:b:c", "host:1:2:x", ":::", "a:-1:0", "a:1:nan"])
def test_what_is_no_owner_is_alive_nowhere(name, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: name.rsplit(":", 2)[0])
    assert not alive(name)


def test_a_run_with_a_malformed_owner_is_taken(store, runner):
    store.create_run(RUN, CONFIG.model_dump(mode="json"), owner="nobody")
    runner(lambda *_: None)
    until(is_(store, RUN, "done"))
