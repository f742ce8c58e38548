"""The recorder: what a run tells reaches the store, whatever happens to that meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from kd_core.distillation.events import STAGES, Estimated, Progress, StageStarted, TrainingStarted
from kd_core.errors import StoreError
from kd_core.jobs.progress import TRIED
from kd_core.jobs.recorder import Recorder
from tests.unit.jobs.planned import announce
from tests.unit.jobs.told import OTHER, RUN, step, until, write

pytestmark = pytest.mark.usefixtures("run", "quick")


def away(*_: object, **__: object) -> None:
    raise StoreError("The database cannot be used.")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((StageStarted("teach"),), ("teach", None, 0, 0, 0, None)),
        (
            (
                StageStarted("teach"),
                TrainingStarted("teacher", 3, 200),
                step(7, who="teacher", seed=3, steps=200),
            ),
            ("teach", "teacher", 3, 7, 200, None),
        ),
        (
            (StageStarted("record"), Progress("record", "texts", 64, 128)),
            ("record", None, 0, 64, 128, "texts"),
        ),
        (
            (
                Progress("record", "texts", 1, 1),
                StageStarted("distil"),
                TrainingStarted("alone", 0, 90, True),
            ),
            ("distil", "alone", 0, 90, 90, None),
        ),
    ],
)
def test_row_says_where_the_run_is(store, events, expected):
    with closing(Recorder(store, RUN)) as record:
        for event in events:
            record(event)
    row = store.run(RUN)
    assert (row.stage, row.who, row.seed, row.step, row.steps, row.label) == expected


def test_job_of_another_kind_counts_what_it_has_done(store):
    store.create_run(OTHER, {"run": RUN}, kind="bench")
    with closing(Recorder(store, OTHER)) as record:
        record(Progress(None, "models", 1, 4))
    assert store.run(OTHER).progress == 0.25


def test_points_are_there_while_the_run_goes_on(store):
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        until(lambda: len(store.curve(RUN)) == 1)


def test_events_wait_while_the_database_is_away(store, monkeypatch, caplog):
    write_to, tries, back = store.write, [], threading.Event()

    def writes(*arguments, **options) -> None:
        tries.append(len(arguments[1]))
        (write_to if back.is_set() else away)(*arguments, **options)

    monkeypatch.setattr(store, "write", writes)
    record = Recorder(store, RUN)
    for number in range(1, 501):
        record(step(number, steps=500))
    until(lambda: len(tries) >= 3)
    back.set()
    record.close()
    assert list(store.curve(RUN, points=1_000).step) == list(range(1, 501))
    assert f"Events of run {RUN} wait to be stored." in caplog.text


def test_database_that_stays_away_does_not_hold_up_the_end(store, monkeypatch, caplog):
    monkeypatch.setattr(store, "write", away)
    record = Recorder(store, RUN)
    record(step(1))
    record.close(timeout=0)
    assert f"1 event of run {RUN} could not be stored" in caplog.text


def test_event_that_breaks_the_progress_is_stored_all_the_same(store, caplog):
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        record(step(2, steps=0))  # it divides by them
        until(lambda: "this tells nothing of its progress: Step(" in caplog.text)
        record(step(3))
    assert list(store.curve(RUN).step) == [1, 2, 3]


def test_event_that_cannot_be_written_takes_nothing_later_with_it(store, monkeypatch, caplog):
    write_to = store.write

    def refuses(run_id, events, *rest, **options):
        if any(event.step == 1 for _, event in events):
            raise ValueError("a mistake")
        write_to(run_id, events, *rest, **options)

    monkeypatch.setattr(store, "write", refuses)
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        until(lambda: f"1 event of run {RUN} cannot be stored." in caplog.text)
        record(step(2))
    assert list(store.curve(RUN).step) == [2]


def test_locked_database_loses_no_point(store, kd_home):
    with closing(sqlite3.connect(kd_home / "kd.sqlite")) as other:
        record = Recorder(store, RUN)
        other.execute("BEGIN IMMEDIATE")
        for number in range(1, 101):
            record(step(number, steps=100))  # does not wait
        assert store.curve(RUN).empty  # and readers do not either
        other.rollback()
        record.close()
    assert len(store.curve(RUN)) == 100


def test_events_of_a_deleted_run_are_dropped(store):
    record = Recorder(store, RUN)
    store.delete_run(RUN)
    record(step(1))
    record.close()
    assert store.runs() == []


def test_time_left_is_taken_back_by_a_clock_that_stands_still_in_a_pause(store):
    looks, now = [], [0.0]

    def clock() -> float:
        looks.append(now[0])
        return now[0]

    write(store, RUN, Estimated(dict.fromkeys(STAGES, 1.0), {}))
    with closing(Recorder(store, RUN, clock=clock)) as record:
        record(announce())
        until(lambda: len(looks) >= 20)
        assert store.run(RUN).seconds_left == pytest.approx(4.0)
        now[0] = TRIED + 1.0
        until(lambda: looks[-10:] == [now[0]] * 10)
        assert store.run(RUN).seconds_left is None, "also where no event comes"
