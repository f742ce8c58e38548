"""The recorder: what a run tells reaches the store, whatever happens to that meanwhile."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from kd_core.distillation.events import Progress, StageStarted, TrainingStarted
from kd_core.errors import StoreError
from kd_core.jobs import recorder
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from tests.unit.jobs.told import CONFIG, RUN, step


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(recorder, "EVERY", 0.01)


def test_the_row_says_where_the_run_is(store, run, quick):
    for events, expected in (
        ((StageStarted("teach"),), ("teach", None, 0, 0, 0, None)),
        (
            (TrainingStarted("teacher", 3, 200), step(7, who="teacher", seed=3, steps=200)),
            ("teach", "teacher", 3, 7, 200, None),
        ),
        (
            (StageStarted("record"), Progress("record", "texts", 64, 128)),
            ("record", None, 3, 64, 128, "texts"),
        ),
        (
            (StageStarted("distil"), TrainingStarted("alone", 0, 90, cached=True)),
            ("distil", "alone", 0, 90, 90, None),
        ),
    ):
        with closing(Recorder(store, RUN)) as record:
            for event in events:
                record(event)
        row = store.run(RUN)
        assert (row.stage, row.who, row.seed, row.step, row.steps, row.label) == expected


def test_what_is_recorded_is_there_while_the_run_goes_on(store, run, quick):
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        deadline = time.monotonic() + 20
        while store.curve(RUN).empty and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(store.curve(RUN)) == 1


def test_events_wait_while_the_database_is_away(store, run, quick, monkeypatch, caplog):
    write_to, tries, back = store.write, [], threading.Event()

    def away(*arguments, **options) -> None:
        tries.append(len(arguments[1]))
        if not back.is_set():
            raise StoreError("The database cannot be used.")
        write_to(*arguments, **options)

    monkeypatch.setattr(store, "write", away)
    record = Recorder(store, RUN)
    for number in range(1, 501):
        record(step(number, steps=500))
    while len(tries) < 3:
        time.sleep(0.01)
    back.set()
    record.close()
    assert list(store.curve(RUN, points=1_000).step) == list(range(1, 501))
    assert "Events of run 20260101-120000-aaaa wait to be stored." in caplog.text


def test_a_database_that_stays_away_does_not_hold_up_the_end(store, run, quick, monkeypatch, caplog):
    def away(*_, **__) -> None:
        raise StoreError("The database cannot be used.")

    monkeypatch.setattr(store, "write", away)
    record = Recorder(store, RUN)
    record(step(1))
    record.close(timeout=0)
    assert "1 event of run 20260101-120000-aaaa could not be stored" in caplog.text


def test_an_event_that_tells_nothing_of_the_progress_is_stored_all_the_same(store, run, quick, caplog):
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        record(step(2, steps=0))  # it divides by them
        while "this tells nothing of its progress: Step(" not in caplog.text:
            time.sleep(0.01)
        record(step(3))
    assert list(store.curve(RUN).step) == [1, 2, 3]


def test_what_cannot_be_written_takes_nothing_later_with_it(store, run, quick, monkeypatch, caplog):
    write = store.write

    def refuses(run_id, events, *rest, **options):
        if any(event.step == 1 for _, event in events):
            raise ValueError("a mistake")
        write(run_id, events, *rest, **options)

    monkeypatch.setattr(store, "write", refuses)
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        while "1 event of run 20260101-120000-aaaa cannot be stored." not in caplog.text:
            time.sleep(0.01)
        record(step(2))
    assert list(store.curve(RUN).step) == [2]


def test_a_locked_database_loses_no_point(tmp_path, quick):
    file = tmp_path / "kd.sqlite"
    with closing(Store(f"sqlite:///{file}")) as store, closing(sqlite3.connect(file)) as other:
        store.create_run(RUN, CONFIG)
        record = Recorder(store, RUN)
        other.execute("BEGIN IMMEDIATE")
        for number in range(1, 101):
            record(step(number, steps=100))  # does not wait
        assert store.curve(RUN).empty  # and readers do not either
        other.rollback()
        record.close()
        assert len(store.curve(RUN)) == 100


def test_events_of_a_run_that_was_deleted_are_dropped(store, run, quick):
    record = Recorder(store, RUN)
    store.delete_run(RUN)
    record(step(1))
    record.close()
    assert store.runs() == []
