"""What may go wrong around a run: the disk, the lock or the database fails, and the runner goes on."""

from __future__ import annotations

import errno
import threading
from typing import Any

import pytest

from kd_core.errors import DiskFullError
from kd_core.jobs import runner as module
from kd_core.jobs.runner import Runner
from kd_core.jobs.runner_state import why_runs_wait
from tests.unit.jobs.runner.steps import CONFIG, is_
from tests.unit.system.processes import until


def test_a_broken_preparation_does_not_end_the_runner(store, runner):
    def prepare() -> None:
        raise ImportError("no torch here")

    run = runner(lambda *_: None, prepare=prepare).submit(CONFIG)
    until(is_(store, run, "done"))


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
