"""The runner: its queue, commands, how jobs end, and what may fail around them."""

import errno
import os
import signal
import socket
import threading
from typing import get_args

import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.events import Failed, StageStarted
from kd_core.errors import DataError, DiskFullError, RunError, Stopped, StoreError
from kd_core.job_kinds import HANDLERS
from kd_core.jobs import runner as module
from kd_core.jobs.deletion import delete_run
from kd_core.jobs.runner import Job, Runner
from kd_core.jobs.runner_state import RunnerState, why_runs_wait
from kd_core.jobs.states import ACTIVE, PENDING, RESUMABLE, JobKind, Status
from kd_core.jobs.store import Store
from kd_core.system import paths, process
from kd_core.system.atomic import new_folder
from kd_core.system.process import machine_lock, owner
from tests.unit.jobs.told import CONFIG, RUN, Steps, ended, report, until

DEMO = DistillConfig()
NONE_OPEN = "Queued runs wait for a dashboard, and none is open. Start one: kd app"
FULL = "Queued runs do not start: The disk is full. The dashboard tries again."
PARENT = f"{socket.gethostname()}:{os.getppid()}:{process._started(os.getppid())}"


def nothing(*_) -> None:
    """Do what a handler does that has nothing to do."""


def fails(error):
    def handler(*_):
        raise error

    return handler


@pytest.fixture
def becomes(store):
    """``becomes(run_id, status)`` waits until the run has that status."""
    return lambda run_id, status: until(lambda: store.run(run_id).status == status)


def statuses(store, *runs: str) -> list[str]:
    return [store.run(run).status for run in runs]


def test_states_and_kinds_are_complete():
    assert ("queued", *ACTIVE) == PENDING
    assert sorted((*PENDING, *RESUMABLE, "done", "unreadable", "deleted")) == sorted(get_args(Status))
    assert tuple(HANDLERS) == get_args(JobKind)


def test_jobs_run_one_after_the_other_in_order(store, runner, becomes):
    handler = Steps()
    with machine_lock():
        subject = runner(handler)
        runs = [subject.submit(DEMO, name) for name in "abcde"]
        assert statuses(store, *runs) == ["queued"] * 5, "the lock of the machine is waited for"
    becomes(runs[0], "running")
    with pytest.raises(module.Timeout):
        machine_lock().acquire(blocking=False)
    subject.cancel(runs[3])
    subject.stop(runs[4])
    with pytest.raises(RunError, match=rf"^Cannot cancel run {runs[0]}: it is running\.$"):
        subject.cancel(runs[0])
    assert statuses(store, *runs) == ["running", "queued", "queued", "stopped", "stopped"]
    assert (store.run(runs[1]).name, store.run(runs[0]).owner) == ("b", owner())
    handler.finish()
    for run in runs[:3]:
        becomes(run, "done")
    assert handler.seen == runs[:3]
    assert list(store.curve(runs[0])["loss"]) == [1, 1 / 2, 1 / 3]
    assert [row.event for row in store.events(runs[0])] == [StageStarted("teach")]


def test_double_click_is_one_run(store):
    subject, ready, ids = Runner(store, {}), threading.Barrier(4), []

    def click() -> None:
        ready.wait()
        ids.append(subject.submit(DEMO, token="click"))

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == len(store.runs()) == 1
    others = [subject.submit(DEMO, token=token) for token in ("other", None, None)]
    subject.cancel(others[0])
    others.append(subject.submit(DEMO, token="other"))
    subject.cancel(others[-1])
    delete_run(store, others[-1])
    others.append(subject.submit(DEMO, token="other"))
    assert len({ids[0], *others}) == 6, "a token begins anew what was cancelled or deleted"


def test_queue_has_an_end(store, monkeypatch):
    monkeypatch.setattr(module, "MOST_QUEUED", 2)
    with monkeypatch.context() as there:
        there.setattr(paths, "folder_id", lambda: "another")
        store.create_run("there", CONFIG)
    one = Runner(store, {})
    first, _ = one.submit(DEMO), one.submit(DEMO)
    with pytest.raises(
        RunError, match=r"^2 runs wait in the queue, and at most 2 may\. Wait, or delete some"
    ):
        one.submit(DEMO)
    one.cancel(first)
    one.submit(DEMO)


def test_which_runs_are_taken(store, runner, becomes, monkeypatch):
    store.create_run("other kind", CONFIG, kind="search")
    store.create_run("of kd distill", CONFIG, owner=owner())
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "its-name-before")
        store.create_run("here", CONFIG)
        elsewhere.setattr(paths, "folder_id", lambda: "another")
        store.create_run("other folder", CONFIG)
    for number, its in enumerate(
        (ended(), "nobody", owner().replace("@", "@0") + "@0")
    ):  # of an earlier boot
        store.create_run(f"gone {number}", CONFIG, owner=its)
    runner(nothing)
    for run in ("here", "gone 0", "gone 1", "gone 2"):
        becomes(run, "done")
    assert store.run("here").machine == socket.gethostname()
    assert statuses(store, "other kind", "other folder", "of kd distill") == ["queued"] * 3


def test_orphans_are_found_at_the_start(store, runner, becomes):
    for run, claimed_by in (("gone", ended()), ("lives", PARENT)):
        store.create_run(run, CONFIG)
        assert store.claim(claimed_by, run)
    runner(Steps())
    becomes("gone", "interrupted")
    assert store.run("lives").status == "running"


def test_pause_resume_and_stop(store, runner, becomes):
    handler = Steps()
    subject, other = runner(handler), Runner(store, {})  # never started, as in another process
    run, waiting = subject.submit(DEMO), subject.submit(DEMO)
    becomes(run, "running")
    for who, command, status in (
        (subject, "pause", "paused"),
        (subject, "resume", "running"),
        (other, "pause", "paused"),
        (other, "resume", "running"),
        (subject, "pause", "paused"),
        (subject, "close", "interrupted"),
    ):
        getattr(who, command)(*([run] if command != "close" else []))
        becomes(run, status)
    assert store.run(waiting).status == "queued"
    with pytest.raises(RunError, match=rf"^Cannot pause run {run}: it is interrupted\.$"):
        subject.pause(run)
    handler.finish()
    runner(handler).resume(run)
    becomes(run, "done")
    becomes(waiting, "done")
    assert sorted(handler.seen) == sorted([run, run, waiting])
    with pytest.raises(RunError, match=rf"^Cannot resume run {run}: it is done\.$"):
        subject.resume(run)


def test_stop_is_not_overruled_by_another_tab(store, runner, becomes, monkeypatch):
    subject, other = runner(Steps()), Runner(store, {})
    run = subject.submit(DEMO)
    becomes(run, "running")
    subject.pause(run)
    becomes(run, "paused")
    with monkeypatch.context() as patch:
        patch.setattr(Job, "_obey", nothing)  # it has not heard of it yet
        subject.stop(run)
        for command in (other.pause, other.resume):
            with pytest.raises(
                RunError, match=rf"^Run {run} is about to stop, as somebody asked\. Resume it"
            ):
                command(run)
    becomes(run, "stopped")
    other.resume(run)
    assert store.command(run) == "run"


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (DataError("The file 'x.csv' has no rows."), "The file 'x.csv' has no rows."),
        (OSError(28, "No space left on device"), "The disk with "),
        (RuntimeError("PytorchStreamWriter failed writing file: No space left on device"), "The disk with "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "Out of memory (DefaultCPUAllocator"),
        (MemoryError(), "Out of memory"),
        (ZeroDivisionError("ours"), "ZeroDivisionError: ours (details in {log})"),
    ],
)
def test_error_is_the_reason(store, run, quick, error, start):
    with pytest.raises(type(error)):
        Job(store, RUN, fails(error)).run()
    row, log = store.run(RUN), paths.work() / RUN / "log.txt"
    assert row.status == "failed"
    assert row.error.startswith(start.format(log=log))
    assert [entry.event for entry in store.events(RUN)] == [Failed(row.error)]
    assert log.exists() == (not isinstance(error, DataError)), "an unexpected error is in the log"
    assert not log.exists() or "raise error" in log.read_text()


def test_keyboard_interrupt_can_be_resumed_and_a_claimed_run_is_left_alone(store, run):
    with pytest.raises(KeyboardInterrupt):
        Job(store, RUN, fails(KeyboardInterrupt())).run()
    assert store.run(RUN).status == "interrupted"
    with pytest.raises(RunError, match="is no longer queued; somebody else started or cancelled it"):
        Job(store, RUN, lambda *_: pytest.fail("it was run")).run()


def test_error_does_not_end_the_runner_and_a_report_is_kept(store, runner, becomes, monkeypatch):
    kept, nice = report(), []
    monkeypatch.setattr(module, "yield_to_pages", lambda: nice.append(threading.current_thread().name))
    subject = runner(lambda row, *_: kept if row.name else 1 / 0, prepare=fails(ImportError("no torch here")))
    run, after = subject.submit(DEMO), subject.submit(DEMO, "Mine")
    becomes(after, "done")
    assert (store.run(run).status, store.report_json(after)) == ("failed", kept)
    assert nice == ["kd-runner"], "its thread alone leaves the processor to pages"


def test_end_and_files_are_written_though_the_database_is_away(store, run, quick, monkeypatch):
    left, original = [3], Store.set_status

    def set_status(self, run_id, status, *given, **options):
        if status == "done" and left[0]:
            left[0] -= 1
            raise StoreError("The database is locked.")
        return original(self, run_id, status, *given, **options)

    def handler(row, on_event, control) -> None:
        with monkeypatch.context() as away:
            away.setattr(Store, "held", fails(StoreError("away")))
            with new_folder(paths.runs() / RUN, control.fence) as folder:
                (folder / "report.json").write_text("{}")

    monkeypatch.setattr(Store, "set_status", set_status)
    Job(store, RUN, handler).run()
    assert (store.run(RUN).status, left) == ("done", [0])
    assert (paths.runs() / RUN / "report.json").is_file()


def lose(store) -> None:
    """Give the run to another process, as if this one was asleep for long."""
    store.interrupt_orphans(lambda owner: False)
    store.set_status(RUN, "queued")
    store.claim("another process", RUN)


def test_worker_that_lost_its_run_stops(store, run, quick, monkeypatch):
    monkeypatch.setattr(module, "BEAT_EVERY", 0.0)

    def handler(row, on_event, control) -> None:
        lose(store)
        until(control.check)  # raises

    with pytest.raises(Stopped):
        Job(store, RUN, handler).run()
    assert (store.run(RUN).status, store.run(RUN).owner) == ("running", "another process")


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
def test_process_that_lost_its_run_leaves_nothing_more(store, run, monkeypatch, error):
    monkeypatch.setattr(module, "BEAT_EVERY", 1e9)  # it does not know yet

    def handler(row, on_event, control) -> dict:
        lose(store)
        taken = rf"^Run {RUN} was taken from this process, which writes nothing more of it\.$"
        with pytest.raises(RunError, match=taken), new_folder(paths.runs() / RUN, control.fence) as folder:
            (folder / "report.json").write_text("{}")
        return fails(error)() if error else {"a": "report"}

    with pytest.raises(type(error) if error else RunError):
        Job(store, RUN, handler).run()
    assert (os.listdir(paths.runs()), (paths.work() / RUN).exists()) == ([], False)
    with pytest.raises(RunError, match="has no report: it is running"):
        store.report_json(RUN)
    row = store.run(RUN)
    assert (row.status, row.owner, row.error) == ("running", "another process", None)


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), ValueError("x")])
def test_runner_survives_what_fails_around_it_and_says_what(store, runner, becomes, monkeypatch, error):
    with monkeypatch.context() as patch:
        patch.setattr(module, "machine_lock", fails(error))
        one = runner(nothing)
        run = one.submit(DEMO)
        until(lambda: one.state.trouble)
        assert str(error) in one.state.trouble
        assert why_runs_wait() == f"Queued runs do not start: {one.state.trouble} The dashboard tries again."
    one._wake.set()
    becomes(run, "done")
    until(lambda: not one.state.trouble)
    assert why_runs_wait() is None
    one.close()
    assert why_runs_wait() == NONE_OPEN


def test_after_errors_the_queue_is_looked_at_less_and_less_often(store, run, quick, monkeypatch):
    """On a full disk the queue can be read, and no row can say why its run does not start."""
    waits, said, claim = [], [], store.claim

    class Wake(threading.Event):
        def wait(self, timeout=None) -> bool:
            waits.append(timeout)
            return super().wait(0.001)

    def full(*given):
        return claim(*given) if len(waits) >= 4 else fails(DiskFullError("It is full."))()

    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(store, "claim", full)
    one = Runner(store, {"distil": nothing})
    one._wake = Wake()
    monkeypatch.setattr(one.state, "set", said.append)
    one.start()
    until(lambda: len(waits) > 4)
    one.close()
    assert (store.run(RUN).status, said.count("It is full.")) == ("done", 4)
    assert waits[:5] == [0.04, 0.08, 0.1, 0.1, 0.02]


SERVER = """
import signal, threading, time
from kd_core.config import DistillConfig
from kd_core.jobs.runner import Runner

def handler(row, on_event, control):
    print("started", flush=True)
    while True:
        control.check()
        time.sleep(0.01)

signal_like_streamlit = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: signal_like_streamlit.set())
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in a shell's background
runner = Runner(store, {"distil": handler})
runner.start()
print(runner.submit(DistillConfig()), flush=True)
try:
    while not signal_like_streamlit.wait(0.05):
        pass
except KeyboardInterrupt:
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGTERM, 0, "interrupted"),
        (signal.SIGINT, 0, "interrupted"),
        (signal.SIGKILL, -signal.SIGKILL, "running"),
    ],
)
def test_server_that_ends_leaves_its_run(store, runner, becomes, python, number, code, status):
    server = python(SERVER)
    run, started = sorted(server.stdout.readline().strip() for _ in range(2))
    assert started == "started"
    server.send_signal(number)
    assert server.wait(180) == code
    assert store.run(run).status == status
    runner(nothing)
    becomes(run, "interrupted")


def test_of_two_dashboards_the_one_that_stays_says_how_it_is(kd_home, monkeypatch):
    """Each is a process of its own, one the parent of the other: both live."""
    here, other = (RunnerState(), owner()), (RunnerState(), PARENT)
    for (state, by), trouble, why in (
        (here, "The disk is full.", FULL),
        (other, "No database.", FULL),
        (other, "", None),  # that one takes queued runs
        (here, "The disk is full.", None),
        (here, None, None),  # the other is still open
        (other, None, NONE_OPEN),
        (here, "", None),
    ):
        monkeypatch.setattr("kd_core.jobs.runner_state.owner", lambda by=by: by)
        state.clear() if trouble is None else state.set(trouble)
        assert why_runs_wait() == why
