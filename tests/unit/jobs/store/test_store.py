"""The store's runs: made, listed, named, tagged and deleted, and rows that nobody here has written."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from kd_core.config import VERSION, DistillConfig
from kd_core.distillation.events import Note, StageStarted
from kd_core.errors import ConfigError, RunError
from kd_core.jobs.store import RunRow, schema
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, both, look, report, spoil, step, write


@both
def test_new_run_is_queued(store):
    before = datetime.now(UTC)
    store.create_run(RUN, CONFIG, name=" First try ")
    row = store.run(RUN)
    assert (row.id, row.name, row.status, row.kind, row.tags) == (RUN, "First try", "queued", "distil", ())
    assert before <= row.created <= datetime.now(UTC)
    assert row.created.tzinfo == UTC
    assert (row.started, row.finished, row.progress, row.seconds_left) == (None, None, 0.0, None)
    assert (row.accuracy, row.latency, row.sparkline, row.verdict, row.forms) == ({}, {}, (), None, None)
    with pytest.raises(RunError, match=f"There is a run {RUN} already"):
        store.create_run(RUN, CONFIG)
    store.create_run(OTHER, CONFIG, status="done")
    assert (store.run(OTHER).progress, store.run(OTHER).started) == (1.0, store.run(OTHER).created)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (
            {"task": {"name": "/home/a/b.csv"}, "student": {"model": "C:\\models\\mine\\"}},
            ("b.csv", "", "mine"),
        ),
        ({"task": {"name": "hub:fancyzhx/ag_news"}}, ("hub:fancyzhx/ag_news", "", "")),
        ({"distill": {"teacher": {"model": "google/base"}}, "students": ["a", "b"]}, ("", "base", "a, b")),
        ({"students": ["a", "b", "c"]}, ("", "", "3 students")),
        ({"distill": CONFIG, "students": []}, ("bbc-headlines", "auto", CONFIG["student"]["model"])),
        (CONFIG, ("bbc-headlines", "auto", CONFIG["student"]["model"])),
    ],
)
def test_short_names_of_task_and_models(store, config, names):
    store.create_run(RUN, config, kind="search")
    row = store.run(RUN)
    assert ((row.task, row.teacher, row.student), row.config) == (names, config)


HALF = {"teacher": 0.9, "student": 0.8, "alone": 0.7}


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ({"config": {"training": {"seeds": [0, 1, 2]}}}, "seeds", 3),
        ({}, "seeds", 1),
        ({"delta": 0.1, "low": 0.0, "high": 0.2}, "gain", (0.1, 0.0, 0.2)),
        ({"low": 0.0, "high": 0.2}, "gain", None),
        ({"delta": 0.1, "high": 0.2}, "gain", None),
        ({"delta": 0.1, "low": 0.0}, "gain", None),
        ({}, "gained", ""),
        ({"delta": 0.04}, "gained", "+4.0 points"),
        ({"delta": 0.04, "metric": "f1:tech"}, "gained", "+4.0 points of F1 of tech"),
        ({"accuracy": HALF}, "over_hard_answers", ""),
        ({"accuracy": {"student": 0.8}}, "over_hard_answers", " over hard answers"),
        ({}, "measures", "accuracy"),
        ({"accuracy": HALF}, "measures", "accuracy"),
        ({"accuracy": {"student": 0.8}}, "judged_by", "agreement"),
        ({"metric": "macro_f1"}, "judged_by", "macro-F1"),
        ({"accuracy": HALF}, "scores", (HALF, "accuracy")),
        ({"accuracy": {}, "score": HALF, "metric": "macro_f1"}, "scores", (HALF, "macro-F1")),
        ({"config": {"study": "mine"}}, "study", "mine"),
        ({}, "study", RUN),
        ({}, "title", "bbc: mini → tiny"),
        ({"name": "Mine", "kind": "search"}, "title", "Mine"),
        ({"config": {"task": {"knowledge": "a.csv"}}}, "title", "bbc: answers → tiny"),
        ({"kind": "search"}, "title", "Search on bbc: mini → tiny"),
        ({"status": "unreadable"}, "title", RUN),
    ],
)
def test_what_a_row_says(values, name, expected):
    row = {"id": RUN, "kind": "distil", "name": "", "status": "done", "created": AT}
    row |= {"task": "bbc", "teacher": "mini", "student": "tiny"}
    assert getattr(RunRow(**(row | values)), name) == expected


def test_whether_a_run_is_of_this_data_folder(store, run, monkeypatch, tmp_path):
    store.create_run(OTHER, CONFIG)
    with store._database.begin(write=True) as connection:  # of a data folder that could keep no id
        connection.execute(schema.RUNS.update().where(schema.RUNS.c.id == OTHER).values(folder=None))
    assert [row.is_here for row in store.runs(here=True)] == [True, True]
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert [row.id for row in store.runs(here=True) if row.is_here] == [RUN]
    monkeypatch.setenv("KD_HOME", str(tmp_path / "of another machine"))
    assert (len(store.runs()), store.runs(here=True), store.run(RUN).is_here) == (2, [], False)


@both
def test_runs_are_listed_newest_first_and_filtered(store):
    for number, task in enumerate(("bbc-headlines", "bbc-articles", "bbc-headlines", "/tmp/Übung.csv")):
        store.create_run(f"run-{number}", CONFIG | {"task": {"name": task}}, name=f"Number {number}")
    store.set_status("run-1", "done")
    store.change_tags("run-2", add=["Straße", " paper ", "paper", ""])
    assert store.run("run-2").tags == ("Straße", "paper")
    store.change_tags("run-2", add=["new", "paper"], remove=["paper", "gone"])
    assert store.run("run-2").tags == ("Straße", "new")
    store.create_run("run-4", {}, kind="bench")
    store.delete_run("run-4")

    def ids(**wanted):
        return "".join(row.id[-1] for row in store.runs(**wanted))

    assert ids() == "3210"
    assert (ids(limit=2), ids(kind="bench", status=("deleted",)), ids(kind="bench")) == ("32", "4", "")
    assert (ids(status=("queued",)), ids(status=("done", "failed"))) == ("320", "1")
    assert (ids(task="bbc-headlines"), ids(text="NUMBER bbc-articles"), ids(text="100%_'")) == ("20", "1", "")
    assert (ids(text="STRASSE"), ids(text="übung"), ids(text="CNN", limit=1)) == ("2", "3", "3")
    assert store.ids(shown=True) == store.ids() - {"run-4"} == {f"run-{number}" for number in range(4)}
    assert (store.has("run-4"), store.has("run-5")) == (True, False)
    spoil(store, "run-1", config="[]")
    store.set_status("run-0", "done")
    assert ids(status=("done",), limit=1) == "0", "one that cannot be read takes no other's place"
    assert store.runs(status=("unreadable",))[0].created.year == 1970, "its id has no time"


@both
def test_text_that_no_database_takes_is_replaced(store):
    store.create_run(RUN, {**CONFIG, "task": {**CONFIG["task"], "name": "films\udc80.csv"}})
    store.rename(RUN, "  <b>50 %</b> '; DROP TABLE runs; -- 🙂\0\ud800 ")
    write(store, RUN, Note("b\ud800"))
    store.write(RUN, [], {"label": "c\ud800"})
    row = store.run(RUN)
    assert (row.name, row.label) == ("<b>50 %</b> '; DROP TABLE runs; -- 🙂?", "c?")
    assert row.config["task"]["name"] == row.task == "films?.csv"
    assert [entry.event for entry in store.events(RUN)] == [Note("b?")]


def test_every_method_names_a_run_that_does_not_exist(store):
    for name, *given in (
        *(("run",), ("stages",), ("progress_before",), ("command",), ("delete_run",)),
        *(("set_status", "done"), ("set_command", "stop"), ("rename", "new"), ("change_tags",)),
        *(("save_report", report()), ("write", [(AT, step(1))])),
    ):
        with pytest.raises(RunError, match="There is no run x; it may have been deleted"):
            getattr(store, name)("x", *given)
    assert store.claim("me", "x") is None
    assert (store.events("x"), len(store.curve("x")), len(store.evaluations("x"))) == ([], 0, 0)


@both
def test_deleted_run_goes_with_all_its_rows(store):
    for run_id in (RUN, OTHER):
        store.create_run(run_id, CONFIG)
        write(store, run_id, StageStarted("teach"), step(1), look(1, 0.5))
        store.save_report(run_id, report())
    for status in ("running", "paused"):
        store.set_status(RUN, status)
        with pytest.raises(RunError, match=f"Run {RUN} is {status}; stop it before you delete it"):
            store.delete_run(RUN)
    store.set_status(RUN, "stopped")
    store.delete_run(RUN)
    with pytest.raises(RunError, match="There is no run"):
        write(store, RUN, Note("late"))
    store.forget_deleted(but=[RUN])
    assert store.has(RUN)
    store.forget_deleted()
    with store._database.begin() as connection:
        count = sa.select(sa.func.count())
        tables = schema.SCHEME.sorted_tables
        assert {connection.scalar(count.select_from(table)) for table in tables} == {1}
    assert [row.id for row in store.runs()] == [OTHER]


@pytest.mark.parametrize(
    ("error", "reported", "before", "after"),
    [
        ("Out of memory.", True, "done", "failed"),
        (None, True, "done", "done"),
        (None, False, "done", "stopped"),
        (None, True, "stopped", "stopped"),
        (None, False, "queued", "stopped"),
    ],
)
def test_status_of_a_restored_run(store, run, error, reported, before, after):
    if reported:
        store.save_report(RUN, report())
    store.set_status(RUN, before, error)
    assert store.restore_run(RUN, lambda: None) is False
    store.delete_run(RUN)
    with pytest.raises(ZeroDivisionError):  # its folders cannot be moved
        store.restore_run(RUN, lambda: 1 / 0)
    assert store.runs() == []
    assert store.restore_run(RUN, lambda: None) is True
    assert (store.run(RUN).status, store.run(RUN).error) == (after, error)


@both
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
def test_row_that_cannot_be_read_does_not_hide_others(store, run, column, value, reason):
    store.create_run(OTHER, CONFIG, name="Broken")
    spoil(store, OTHER, **{column: value})
    broken, good = store.runs()
    assert (good.id, good.status, good.task) == (RUN, "queued", "bbc-headlines")
    assert (broken.id, broken.title, broken.status) == (OTHER, "Broken", "unreadable")
    assert re.search(rf"^Run {OTHER} cannot be read: .*({reason}).*, or delete it\.$", broken.error)
    assert broken.created == datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC)
    assert [row.id for row in store.runs(status=("queued",))] == [RUN]
    assert [row.id for row in store.runs(status=("unreadable",), text="broken")] == [OTHER]
    with pytest.raises(RunError, match="cannot be read"):
        store.run(OTHER)
    store.delete_run(OTHER)
    assert [row.id for row in store.runs()] == [RUN]


def test_what_a_newer_version_wrote(store):
    store.create_run(RUN, {**CONFIG, "version": VERSION + 1, "objective": {"power": 3}})
    write(store, RUN, Note("known"))
    with store._database.begin(write=True) as connection:
        known = connection.execute(sa.select(schema.EVENTS.c.run, schema.EVENTS.c.at)).one()._asdict()
        for kind, event in (("Dreamt", {}), ("Note", {"text": "x", "colour": "red"})):
            connection.execute(schema.EVENTS.insert().values(**known, kind=kind, event=event))
        newer = {"run": known["run"], "report": report(version=VERSION + 1)}
        connection.execute(schema.REPORTS.insert().values(newer))
    assert [entry.event for entry in store.events(RUN)] == [Note("known")]
    with pytest.raises(ConfigError, match=r"^these settings are of a newer KD Studio \(version "):
        DistillConfig.from_dict(store.run(RUN).config)
    store.set_status(RUN, "done")
    with pytest.raises(RunError, match=r" cannot be read; it is of a newer KD Studio; update this one\.$"):
        store.report(RUN)
    assert [row.forms for row in store.measured()] == [None]
    spoil(store, RUN, summary='{"delta": 0.5, "calm": 1}')
    assert (store.run(RUN).delta, store.run(RUN).status) == (0.5, "done")


@both
def test_times_are_utc_whatever_the_zone(store, run):
    store.write(RUN, [(AT.astimezone(timezone(timedelta(hours=5))), StageStarted("teach"))])
    assert store.stages(RUN)[0].started == AT
    assert store.stages(RUN)[0].started.tzinfo == UTC


def test_neither_store_nor_runner_imports_torch(python):
    code = "store.runs(); store.curve('x'); import kd_core.jobs.runner, kd_core.job_kinds\n"
    code += "print({'torch', 'alembic', 'streamlit'} & sys.modules.keys())"
    assert python(code).communicate()[0] == "set()\n"
