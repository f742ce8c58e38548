"""The queue: status, claims, commands, heartbeats, and runs whose process is gone."""

from __future__ import annotations

import sys
import threading
from contextlib import closing

import pytest

from kd_core.distillation.events import Note
from kd_core.errors import RunError
from kd_core.jobs.store import Store, queue
from kd_core.system import paths, process
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, both, spoil


@both
def test_status_says_when_a_run_started_and_ended(store, run):
    row = store.claim("me", RUN)
    assert (row.status, row.owner, row.finished) == ("running", "me", None)
    started = row.started
    store.write(RUN, [], {"seconds_left": 5.0})
    store.set_status(RUN, "paused")
    assert (store.run(RUN).finished, store.run(RUN).seconds_left) == (None, 5.0)
    store.set_status(RUN, "failed", error="Out of memory.\0")
    row = store.run(RUN)
    assert (row.status, row.error, row.started, row.seconds_left) == (
        "failed",
        "Out of memory.",
        started,
        None,
    )
    assert row.finished >= started
    store.set_status(RUN, "queued")
    row = store.run(RUN)
    assert (row.error, row.finished, row.owner, row.started) == (None, None, None, started)
    assert store.claim("me", RUN).started == started
    store.set_status(RUN, "done")
    assert store.run(RUN).progress == 1.0


@both
def test_status_changes_only_from_where_it_is_expected(store, run):
    assert store.set_status(RUN, "stopped", only=("queued",)) is True
    assert store.set_status(RUN, "running", only=("queued",)) is False
    assert store.run(RUN).status == "stopped"
    assert store.claim("me", RUN) is None


def test_claim_notes_the_machine(store, run, monkeypatch, tmp_path):
    monkeypatch.setenv("KD_HOME", str(tmp_path / "of another machine"))
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    row = store.claim("me", RUN)
    assert (row.machine, row.folder, row.is_here) == ("elsewhere", paths.folder_id(), True)


@both
def test_each_run_is_claimed_once(store):
    for number in range(6):
        store.create_run(f"run-{number}", CONFIG)
    start, claimed = threading.Barrier(4), []

    def work(name: str) -> None:
        start.wait()
        for number in range(6):
            if row := store.claim(name, f"run-{number}"):
                claimed.append(row.id)

    threads = [threading.Thread(target=work, args=(f"worker-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [f"run-{number}" for number in range(6)]


def test_commands_reach_others_and_stop_is_not_overruled(store, url, run):
    with closing(Store(url)) as other:
        assert other.set_command(RUN, "pause") is True
    assert store.command(RUN) == "pause"
    store.claim("me", RUN)
    assert store.command(RUN) == "pause"
    assert [store.set_command(RUN, command) for command in ("run", "stop", "pause", "run", "stop")] == [
        *(True, True, False, False, True)
    ]
    assert store.command(RUN) == "stop"
    store.set_status(RUN, "queued")
    assert store.command(RUN) == "run"


@both
def test_run_whose_process_is_gone_is_interrupted(store):
    for run_id, owner in ((RUN, "gone"), (OTHER, "here")):
        store.create_run(run_id, CONFIG)
        store.claim(owner, run_id)
    store.create_run("waits", CONFIG, owner="gone")
    assert store.interrupt_orphans(lambda owner: owner == "here") == [RUN]
    assert [row.status for row in store.runs()] == ["queued", "running", "interrupted"]
    assert store.run(RUN).finished is not None
    assert store.interrupt_orphans(lambda owner: owner == "here") == []
    assert (store.heartbeat(RUN, "gone"), store.heartbeat(OTHER, "gone")) == (False, False)
    assert store.heartbeat(OTHER, "here") is True
    store.set_status(OTHER, "paused")
    assert store.heartbeat(OTHER, "here") is True


@both
def test_silence_of_another_machine_is_timed_here(store, run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    store.claim("far away", RUN)
    spoil(store, RUN, heartbeat="1999-01-01 00:00:00.000000")  # by the other machine's clock
    for _ in range(3):
        assert store.interrupt_orphans(lambda owner: None) == []
        now[0] += queue.GRACE - 1
        assert store.heartbeat(RUN, "far away") is True
    for more, found in ((0, []), (queue.GRACE, []), (1, [RUN])):
        now[0] += more
        assert store.interrupt_orphans(lambda owner: None) == found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_run_of_an_earlier_boot_is_interrupted(store, run):
    host, number, started = process.owner().rsplit(":", 2)
    store.claim(f"{host}:{number}:{started.partition('@')[0]}@another-boot/1", RUN)
    assert store.interrupt_orphans(process.fate) == [], "another machine has that name: it is still heard of"
    spoil(store, RUN, heartbeat="1999-01-01 00:00:00.000000")
    assert store.interrupt_orphans(process.fate) == [RUN]


@both
def test_process_that_lost_its_run_writes_no_more(store, run):
    store.claim("one", RUN)
    with store.held(RUN, "one"):
        pass
    assert store.interrupt_orphans(lambda owner: False) == [RUN]
    store.set_status(RUN, "queued")
    store.claim("two", RUN)
    assert store.set_status(RUN, "failed", "late", owner="one") is False
    with pytest.raises(RunError):
        store.write(RUN, [(AT, Note("late"))], owner="one")
    with pytest.raises(RunError, match="taken from this process"), store.held(RUN, "one"):
        pytest.fail("it was let in")
    row = store.run(RUN)
    assert (row.status, row.error, store.events(RUN)) == ("running", None, [])
    assert store.set_status(RUN, "done", owner="two") is True


@both
def test_sign_of_life_saves_a_run(store, run):
    store.claim("me", RUN)

    def alive(owner: str) -> bool:
        store.heartbeat(RUN, "me")  # between the look at the row and the change
        return False

    assert store.interrupt_orphans(alive) == []
    assert store.run(RUN).status == "running"
