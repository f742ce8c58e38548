"""The runner's queue: one job at a time, in order, and which runs it takes."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Any

import pytest

from kd_core.config import of_today
from kd_core.distillation.events import StageStarted
from kd_core.errors import RunError
from kd_core.jobs import runner as module
from kd_core.jobs.deletion import delete_run
from kd_core.jobs.runner import Runner
from kd_core.system import paths
from kd_core.system.process import machine_lock, owner
from tests import SAMPLES
from tests.unit.jobs.runner.steps import CONFIG, RUN, Steps, is_
from tests.unit.system.processes import ended, until


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


def test_a_run_with_a_malformed_owner_is_taken(store, runner):
    store.create_run(RUN, CONFIG.model_dump(mode="json"), owner="nobody")
    runner(lambda *_: None)
    until(is_(store, RUN, "done"))
