"""The queue: status, claims and commands, and runs whose process is gone."""

from __future__ import annotations

import sys
import threading
from contextlib import closing

import pytest

from kd_core.distillation.events import Note
from kd_core.errors import RunError
from kd_core.jobs.store import Store, queue
from kd_core.system import process
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, spoil


def test_the_status_says_when_a_run_started_and_ended(store, run):
    row = store.claim("me", RUN)
    assert (row.status, row.owner, row.finished) == ("running", "me", None)
    started = row.started
    store.set_status(RUN, "failed", error="Out of memory.\0")
    row = store.run(RUN)
    assert (row.status, row.error, row.started) == ("failed", "Out of memory.", started)
    assert row.finished >= started

    store.set_status(RUN, "queued")
    row = store.run(RUN)
    assert (row.error, row.finished, row.owner, row.started) == (None, None, None, started)
    store.set_status(RUN, "done")
    assert store.run(RUN).progress == 1.0


def test_a_status_can_be_changed_only_from_where_it_is_expected(store, run):
    assert store.set_status(RUN, "stopped", only=("queued",)) is True
    assert store.set_status(RUN, "running", only=("queued",)) is False
    assert store.run(RUN).status == "stopped"
    assert store.claim("me", RUN) is None


def test_whoever_claims_a_run_with_files_on_another_machine_is_noted(store, run, monkeypatch, tmp_path):
    monkeypatch.setenv("KD_HOME", str(tmp_path / "of another machine"))
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert not store.run(RUN).is_here
    assert (len(store.runs()), store.runs(here=True)) == (1, [])
    assert store.claim("me", RUN).machine == "elsewhere"


def test_of_many_that_claim_at_once_one_gets_each_run(store):
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


def test_of_two_processes_that_claim_one_run_one_gets_it(store, run, python):
    code = """
store.runs()
print("ready", flush=True)
sys.stdin.readline()
print(store.claim(*sys.argv[2:]) is not None)
"""
    workers = [python(code, name, RUN) for name in ("one", "two")]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        print("go", file=worker.stdin, flush=True)
    answers = [worker.stdout.read().strip() for worker in workers]
    assert sorted(answers) == ["False", "True"]
    assert store.run(RUN).owner == ["one", "two"][answers.index("True")]


def test_commands_reach_another_process_and_are_forgotten_when_the_run_is_queued_again(store, url, run):
    assert store.command(RUN) == "run"
    with closing(Store(url)) as other:
        other.set_command(RUN, "pause")
    assert store.command(RUN) == "pause"
    store.claim("me", RUN)
    assert store.command(RUN) == "pause"
    store.set_status(RUN, "queued")
    assert store.command(RUN) == "run"


def test_a_run_whose_process_is_gone_is_interrupted(store):
    for run_id, owner in ((RUN, "gone"), (OTHER, "here")):
        store.create_run(run_id, CONFIG)
        store.claim(owner, run_id)
    assert store.interrupt_orphans(lambda owner: owner == "here") == [RUN]
    assert [row.status for row in store.runs()] == ["running", "interrupted"]
    assert store.run(RUN).finished is not None
    assert store.interrupt_orphans(lambda owner: owner == "here") == []
    assert store.heartbeat(RUN, "gone") is False


def test_of_a_process_on_another_machine_only_its_heartbeat_tells(store, run, monkeypatch):
    """A counter that moves or does not, timed here: the clocks of two machines may differ by hours."""
    now = [100.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    store.claim("far away", RUN)
    spoil(store, RUN, heartbeat="1999-01-01 00:00:00.000000")  # by the other machine's clock
    for _ in range(3):
        assert store.interrupt_orphans(lambda owner: None) == []
        now[0] += 29
        assert store.heartbeat(RUN, "far away") is True
    assert store.interrupt_orphans(lambda owner: None) == []
    now[0] += 31
    assert store.interrupt_orphans(lambda owner: None) == [RUN]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_machine_that_was_started_anew_runs_nothing_of_before(store, run):
    """A command does not live for long enough to see that a heartbeat stays the same."""
    host, number, started = process.owner().rsplit(":", 2)
    store.claim(f"{host}:{number}:{started.partition('@')[0]}@another-boot/1", RUN)
    assert store.interrupt_orphans(process.fate) == [], "another machine has that name: it is still heard of"
    spoil(store, RUN, heartbeat="1999-01-01 00:00:00.000000")
    assert store.interrupt_orphans(process.fate) == [RUN]


def test_a_process_that_lost_its_run_writes_no_more(store, run):
    store.claim("one", RUN)
    assert store.interrupt_orphans(lambda owner: False) == [RUN]
    assert store.heartbeat(RUN, "one") is False
    store.set_status(RUN, "queued")
    store.claim("two", RUN)
    assert store.set_status(RUN, "failed", "late", owner="one") is False
    with pytest.raises(RunError):
        store.write(RUN, [(AT, Note("late"))], owner="one")
    row = store.run(RUN)
    assert (row.status, row.error, store.events(RUN)) == ("running", None, [])
    assert store.set_status(RUN, "done", owner="two") is True


def test_a_sign_of_life_saves_a_run_from_being_interrupted(store, run):
    store.claim("me", RUN)

    def alive(owner: str) -> bool:
        store.heartbeat(RUN, "me")  # between the look at the row and the change
        return False

    assert store.interrupt_orphans(alive) == []
    assert store.run(RUN).status == "running"
