"""What a runner is told of a run: pause, resume, stop, by whichever process."""

from __future__ import annotations

import pytest

from kd_core.errors import RunError
from kd_core.jobs.runner import Job, Runner
from kd_core.jobs.store import Store
from tests.unit.jobs.runner.steps import CONFIG, Steps, is_
from tests.unit.system.processes import until


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
