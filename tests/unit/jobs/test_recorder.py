"""The recorder: what a run tells reaches the store, whatever happens to that meanwhile."""

import sqlite3
from contextlib import closing

import pytest

from kd_core.distillation.events import STAGES, Estimated, Progress, StageStarted, TrainingStarted
from kd_core.errors import StoreError
from kd_core.jobs.progress import TRIED
from kd_core.jobs.recorder import Recorder
from tests.unit.jobs.planned import announce
from tests.unit.jobs.told import OTHER, RUN, step, until, write

pytestmark = pytest.mark.usefixtures("run", "quick")
TEACH, DISTIL = StageStarted("teach"), StageStarted("distil")
TEXTS = Progress("record", "texts", 64, 128)
TEACHER = (TrainingStarted("teacher", 3, 200), step(7, who="teacher", seed=3, steps=200))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((TEACH,), ("teach", None, 0, 0, 0, None)),
        ((TEACH, *TEACHER), ("teach", "teacher", 3, 7, 200, None)),
        ((*TEACHER, StageStarted("record"), TEXTS), ("record", None, 3, 64, 128, "texts")),
        ((TEXTS, DISTIL, TrainingStarted("alone", 0, 90, True)), ("distil", "alone", 0, 90, 90, None)),
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
        until(lambda: store.run(OTHER).progress == 0.25)


@pytest.mark.parametrize(
    ("error", "says", "kept"),
    [
        (StoreError("It is away."), "Events of run {} wait to be stored. It is away.", [1, 2]),
        (ValueError("a mistake"), "1 event of run {} cannot be stored.", [2]),
    ],
)
def test_events_wait_while_the_database_is_away_and_mistakes_take_nothing_with_them(
    store, monkeypatch, caplog, error, says, kept
):
    def fails(*_, **__) -> None:
        raise error

    with closing(Recorder(store, RUN)) as record:
        with monkeypatch.context() as patch:
            patch.setattr(store, "write", fails)
            record(step(1))
            until(lambda: says.format(RUN) in caplog.text)
        record(step(2))
    assert list(store.curve(RUN).step) == kept
    monkeypatch.setattr(store, "write", fails)
    record = Recorder(store, RUN)
    record(step(3))
    record.close(timeout=0)
    assert (f"1 event of run {RUN} could not be stored." in caplog.text) == isinstance(error, StoreError)


def test_event_that_breaks_the_progress_is_stored_all_the_same(store, caplog):
    with closing(Recorder(store, RUN)) as record:
        record(step(1))
        record(step(2, steps=0))  # it divides by them
        record(step(3))
    assert "this tells nothing of its progress: Step(" in caplog.text
    assert list(store.curve(RUN).step) == [1, 2, 3]


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
        until(lambda: store.run(RUN).seconds_left is None)  # also where no event comes
