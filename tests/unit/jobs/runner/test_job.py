"""How a job ends, and that it writes nothing more where its run is another process's now."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

import pytest

from kd_core.distillation.events import Failed, OnEvent
from kd_core.errors import DataError, RunError, Stopped, StoreError
from kd_core.jobs import runner as module
from kd_core.jobs.runner import Job
from kd_core.jobs.store import RunRow, Store
from kd_core.system import paths
from kd_core.system.atomic import new_folder
from kd_core.system.control import Control
from tests.unit.jobs.runner.steps import CONFIG, RUN, Steps, is_
from tests.unit.system.processes import until


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
