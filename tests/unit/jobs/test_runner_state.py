"""What dashboards say of themselves: whether one is open, and why queued runs wait."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

import pytest

from kd_core.jobs.runner_state import RunnerState, why_runs_wait
from kd_core.system.process import _started as started
from kd_core.system.process import owner


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
