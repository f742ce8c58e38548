"""The store: runs that are made, listed, named and deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from kd_core.config import VERSION, DistillConfig
from kd_core.distillation.events import Note, StageStarted
from kd_core.errors import ConfigError, RunError
from kd_core.jobs.store import schema
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, look, report, spoil, step, write


def test_a_new_run_is_queued_under_the_short_names_of_its_task_and_models(store):
    config = DistillConfig().change(
        {
            "task.name": "/home/ada/data/reviews.csv",
            "teacher.model": "google-bert/bert-base-uncased",
            "student.model": "C:\\models\\mine\\",
        }
    )
    before = datetime.now(UTC)
    store.create_run(RUN, config.model_dump(mode="json"), name=" First try ")
    row = store.run(RUN)
    assert (row.name, row.status, row.kind) == ("First try", "queued", "distil")
    assert (row.task, row.teacher, row.student) == ("reviews.csv", "bert-base-uncased", "mine")
    assert DistillConfig.from_dict(row.config) == config
    assert before <= row.created <= datetime.now(UTC)
    assert row.created.tzinfo == UTC
    assert (row.started, row.finished, row.progress, row.seconds_left) == (None, None, 0.0, None)
    assert (row.accuracy, row.latency, row.sparkline, row.verdict) == ({}, {}, (), None)


def test_the_name_of_a_hub_data_set_stays_whole(store):
    store.create_run(RUN, {"task": {"name": "hub:fancyzhx/ag_news"}})
    assert store.run(RUN).task == "hub:fancyzhx/ag_news"


def test_a_config_of_another_version_is_read_as_one_of_today(store, monkeypatch):
    older = {section: dict(fields) for section, fields in CONFIG.items()}
    del older["training"]["warmup"]
    monkeypatch.setattr("kd_core.config.LEGACY", {"training.warmup": 0.5})
    store.create_run(RUN, older)
    store.create_run(OTHER, {"study": "x", "distill": older}, kind="search")
    store.save_report(OTHER, {"config": {"study": "x", "distill": older}, "run": "x"})
    then = DistillConfig().change({"training.warmup": 0.5}).model_dump(mode="json")
    assert store.run(RUN).config == then
    assert [row.config for row in store.runs(kind="search")] == [{"study": "x", "distill": then}]
    assert store.report_json(OTHER) == {"config": {"study": "x", "distill": then}, "run": "x"}


def test_a_run_of_a_newer_version_is_listed_and_says_so_where_its_settings_are_needed(store):
    store.create_run(RUN, {**CONFIG, "version": VERSION + 1, "objective": {"power": 3}})
    config = store.runs()[0].config
    with pytest.raises(ConfigError, match=r"^these settings are of a newer KD Studio \(version "):
        DistillConfig.from_dict(config)
    store.set_status(RUN, "done")
    with store._database.begin(write=True) as connection:
        number = connection.scalar(sa.select(schema.RUNS.c.number))
        newer = report() | {"version": VERSION + 1}
        connection.execute(schema.REPORTS.insert().values(run=number, report=newer))
    with pytest.raises(RunError, match=r" cannot be read; it is of a newer KD Studio; update this one\.$"):
        store.report(RUN)
    assert [row.forms for row in store.measured()] == [None]


def test_two_runs_cannot_have_one_id(store, run):
    with pytest.raises(RunError, match=f"There is a run {RUN} already"):
        store.create_run(RUN, CONFIG)


def test_a_run_that_is_not_there_is_said_so_by_all_that_need_it(store):
    calls = (
        lambda: store.run("x"),
        lambda: store.set_status("x", "done"),
        lambda: store.rename("x", "new"),
        lambda: store.change_tags("x", add=["new"]),
        lambda: store.delete_run("x"),
        lambda: store.command("x"),
        lambda: store.set_command("x", "stop"),
        lambda: store.stages("x"),
        lambda: store.save_report("x", report()),
        lambda: store.write("x", [(AT, step(1))]),
    )
    for call in calls:
        with pytest.raises(RunError, match="There is no run x; it may have been deleted"):
            call()
    assert store.claim("me", "x") is None
    assert (store.events("x"), len(store.curve("x")), len(store.evaluations("x"))) == ([], 0, 0)


def test_runs_are_listed_newest_first_and_filtered(store):
    for number, task in enumerate(("bbc-headlines", "bbc-articles", "bbc-headlines", "/tmp/Übung.csv")):
        store.create_run(f"run-{number}", CONFIG | {"task": {"name": task}}, name=f"Number {number}")
    store.set_status("run-1", "done")
    store.change_tags("run-2", add=["Straße", " paper ", "paper", ""])

    def ids(**wanted):
        return [row.id[-1] for row in store.runs(**wanted)]

    assert ids() == ["3", "2", "1", "0"]
    assert ids(limit=2) == ["3", "2"]
    assert ids(status=("queued",)) == ["3", "2", "0"]
    assert ids(status=("done", "failed")) == ["1"]
    assert ids(task="bbc-headlines") == ["2", "0"]
    assert ids(text="NUMBER bbc-articles") == ["1"]
    assert ids(text="STRASSE") == ["2"]
    assert ids(text="übung") == ["3"]
    assert ids(text="CNN", limit=1) == ["3"]
    spoil(store, "run-1", config="[]")
    store.set_status("run-0", "done")
    assert ids(status=("done",), limit=1) == ["0"], "one that cannot be read takes no other's place"
    assert ids(text="100%_'") == []
    assert store.run("run-2").tags == ("Straße", "paper")
    store.change_tags("run-2", add=["new", "paper"], remove=["Straße", "gone"])
    assert store.run("run-2").tags == ("paper", "new")


def test_a_name_keeps_what_people_type_but_for_what_no_database_takes(store, run):
    store.rename(RUN, "  <b>50 %</b> '; DROP TABLE runs; -- 🙂\0\ud800 ")
    assert store.run(RUN).name == "<b>50 %</b> '; DROP TABLE runs; -- 🙂?"


def test_a_run_under_way_cannot_be_deleted_and_a_finished_one_goes_with_all_its_rows(store, url):
    for run_id in (RUN, OTHER):
        store.create_run(run_id, CONFIG)
        write(store, run_id, StageStarted("teach"), step(1), look(1, 0.5))
        store.save_report(run_id, report())
    store.claim("me", RUN)
    for status in ("running", "paused"):
        store.set_status(RUN, status)
        with pytest.raises(RunError, match=f"Run {RUN} is {status}; stop it before you delete it"):
            store.delete_run(RUN)
    store.set_status(RUN, "stopped")
    store.delete_run(RUN)
    assert [row.id for row in store.runs()] == [OTHER]
    store.forget_deleted()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        counts = {
            table.name: connection.scalar(sa.select(sa.func.count()).select_from(table))
            for table in schema.SCHEME.sorted_tables
        }
    engine.dispose()
    assert set(counts.values()) == {1}, counts
    assert [row.id for row in store.runs()] == [OTHER]


def test_the_store_imports_no_torch_and_alembic_only_to_migrate(store, run, python):
    code = "store.runs(); store.curve('x'); print({'torch', 'alembic', 'streamlit'} & sys.modules.keys())"
    assert python(code).communicate()[0] == "set()\n"


def test_halves_of_characters_are_replaced_when_they_are_written(store):
    config = {**CONFIG, "task": {**CONFIG["task"], "name": "films\udc80.csv"}}
    store.create_run(RUN, config, name="a\ud800")
    write(store, RUN, Note("b\ud800"))
    store.write(RUN, [], {"label": "c\ud800"})
    row = store.run(RUN)
    assert (row.config["task"]["name"], row.task, row.name, row.label) == (
        "films?.csv",
        "films?.csv",
        "a?",
        "c?",
    )
    assert [entry.event for entry in store.events(RUN)] == [Note("b?")]


def test_what_tries_several_students_is_named_by_them(store):
    for number, students in enumerate((["static"], ["static", "cnn"], ["static", "cnn", "tiny"], [])):
        store.create_run(f"job-{number}", {"distill": CONFIG, "students": students}, kind="search")
    tried = {row.id[-1]: row.student for row in store.runs()}
    assert tried == {"0": "static", "1": "static, cnn", "2": "3 students", "3": CONFIG["student"]["model"]}
