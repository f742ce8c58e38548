"""The queue: status, claims, commands, heartbeats, and runs whose process is gone."""

import sys
import threading
from contextlib import closing

import pytest

from kd_core.distillation.events import Note
from kd_core.errors import RunError
from kd_core.jobs.store import Store, queue
from kd_core.system import paths, process
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, both, report, spoil

LONG_AGO = "1999-01-01 00:00:00.000000"


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
    assert store.set_status(RUN, "queued", only=("stopped", "done")) is False
    assert store.set_status(RUN, "queued", only=("stopped", "failed")) is True
    row = store.run(RUN)
    assert (row.error, row.finished, row.owner, row.started) == (None, None, None, started)
    assert store.claim("me", RUN).started == started
    store.set_status(RUN, "done")
    assert store.run(RUN).progress == 1.0
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
        claimed.extend(number for number in range(6) if store.claim(name, f"run-{number}"))

    threads = [threading.Thread(target=work, args=(f"worker-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(6))


def test_commands_reach_others_and_stop_is_not_overruled(store, url, run):
    with closing(Store(url)) as other:
        assert other.set_command(RUN, "pause") is True
    store.claim("me", RUN)
    assert store.command(RUN) == "pause"
    for command, taken in (("run", True), ("stop", True), ("pause", False), ("run", False), ("stop", True)):
        assert store.set_command(RUN, command) is taken
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
    store.set_status(OTHER, "paused")
    beats = [store.heartbeat(*given) for given in ((RUN, "gone"), (OTHER, "gone"), (OTHER, "here"))]
    assert beats == [False, False, True]


@both
def test_silence_of_another_machine_is_timed_here(store, run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    store.claim("far away", RUN)
    spoil(store, RUN, heartbeat=LONG_AGO)  # by the other machine's clock
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
    spoil(store, RUN, heartbeat=LONG_AGO)
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
    for late in (
        lambda: store.write(RUN, [(AT, Note("late"))], owner="one"),
        lambda: store.save_report(RUN, report(), owner="one"),
        lambda: store.held(RUN, "one").__enter__(),
    ):
        with pytest.raises(RunError, match="was taken from this process"):
            late()
    assert (store.run(RUN).status, store.run(RUN).error, store.events(RUN)) == ("running", None, [])
    store.save_report(RUN, report(), owner="two")
    assert store.set_status(RUN, "done", owner="two") is True


@both
def test_sign_of_life_saves_a_run(store, run):
    store.claim("me", RUN)

    def alive(owner: str) -> bool:
        store.heartbeat(RUN, "me")  # between the look at the row and the change
        return False

    assert store.interrupt_orphans(alive) == []
    assert store.run(RUN).status == "running"
