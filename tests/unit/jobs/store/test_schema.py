"""Rows as others see them: their times, and what nobody here has written."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone

import pytest
import sqlalchemy as sa

from kd_core.distillation.events import Note, StageStarted
from kd_core.errors import RunError
from kd_core.jobs.store import schema
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, spoil, write


def test_times_are_utc_whatever_the_zone(store, run):
    store.write(RUN, [(AT.astimezone(timezone(timedelta(hours=5))), StageStarted("teach"))])
    assert store.stages(RUN)[0].started == AT
    assert store.stages(RUN)[0].started.tzinfo == UTC


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("status", "sleeping", "its status is 'sleeping'"),
        ("config", "[]", "'list' object has no attribute 'get'"),
        ("config", '{"task": 3}', "its config has no settings under 'task'"),
        ("config", '{"version": "next", "objective": {}}', "version must be a whole number|not supported"),
        ("summary", "null", "argument of type 'NoneType'|not iterable|has no attribute"),
        ("tags", "7", "'int' object is not iterable"),
    ],
)
def test_one_row_that_cannot_be_read_does_not_hide_the_others(store, run, column, value, reason):
    store.create_run(OTHER, CONFIG, name="Broken")
    spoil(store, OTHER, **{column: value})
    broken, good = store.runs()
    assert (good.id, good.status, good.task) == (RUN, "queued", "bbc-headlines")
    assert (broken.id, broken.title, broken.status) == (OTHER, "Broken", "unreadable")
    assert re.search(rf"^Run {OTHER} cannot be read: .*({reason}).*, or delete it\.$", broken.error)
    assert f"{broken.created:%Y%m%d-%H%M%S}" == OTHER[:15]
    assert [row.id for row in store.runs(status=("queued",))] == [RUN]
    assert [row.id for row in store.runs(status=("unreadable",))] == [OTHER]
    assert [row.id for row in store.runs(text="broken")] == [OTHER]
    with pytest.raises(RunError, match="cannot be read"):
        store.run(OTHER)
    store.delete_run(OTHER)
    assert [row.id for row in store.runs()] == [RUN]


def test_an_event_of_a_newer_version_is_left_out(store, run):
    write(store, RUN, Note("known"))
    with store._database.begin(write=True) as connection:
        known = connection.execute(sa.select(schema.EVENTS.c.run, schema.EVENTS.c.at)).first()
        for kind, event in (("Dreamt", {}), ("Note", {"text": "x", "colour": "red"})):
            connection.execute(schema.EVENTS.insert().values(**known._asdict(), kind=kind, event=event))
    assert [entry.event for entry in store.events(RUN)] == [Note("known")]


def test_what_a_newer_version_knows_of_a_report_is_left_out(store, run):
    spoil(store, RUN, summary='{"delta": 0.5, "calm": 1}')
    assert (store.run(RUN).delta, store.run(RUN).status) == (0.5, "queued")
