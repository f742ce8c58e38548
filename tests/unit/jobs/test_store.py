"""The store, on SQLite and, where KD_TEST_DATABASE_URL names one, on PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from kd_core.config import VERSION, DistillConfig, of_today
from kd_core.distillation.events import (
    Checkpointed,
    Estimated,
    Evaluated,
    Failed,
    Finished,
    Note,
    Progress,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.errors import ConfigError, DiskFullError, RunError, StoreError
from kd_core.jobs import recorder
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store, database, queue, schema
from kd_core.jobs.store.database import Database
from tests import SAMPLES

CONFIG = DistillConfig().model_dump(mode="json")
RUN, OTHER = "20260101-120000-aaaa", "20260101-120001-bbbb"
AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
POSTGRES = os.environ.get("KD_TEST_DATABASE_URL")


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


@pytest.fixture
def store(url):
    with closing(Store(url)) as opened:
        yield opened


@pytest.fixture
def run(store) -> str:
    store.create_run(RUN, CONFIG)
    return RUN


def step(number, *, who="student", seed=0, steps=10, loss=None, speed=1_000.0) -> Step:
    loss = 1 / number if loss is None else loss
    return Step(who, seed, number, steps, loss, loss / 2, loss / 4, 0.0, 1e-4, speed)


def look(number, accuracy, *, who="student", seed=0) -> Evaluated:
    return Evaluated(who, seed, number, accuracy, 0.5)


def write(store, run_id, *events) -> None:
    store.write(run_id, [(AT, event) for event in events])


@pytest.fixture
def python(url):
    """``python(code)``: another process, with a ``store`` on the same database."""
    opened = []

    def start(code: str, *arguments: str) -> subprocess.Popen:
        code = f"import sys; from kd_core.jobs.store import Store; store = Store(sys.argv[1])\n{code}"
        command = [sys.executable, "-c", code, url, *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        opened.append(subprocess.Popen(command, text=True, **pipes))
        return opened[-1]

    yield start
    for process in opened:
        process.kill()
        process.communicate()


# Runs


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
    assert ids(text="minilm", limit=1) == ["3"]
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


# Status, claims and commands


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


# What a run reports


def test_a_curve_comes_back_as_it_was_reported(store, run):
    write(store, RUN, step(1, who="teacher"), step(2), step(1), look(2, 0.75), look(2, 0.5, seed=1))
    curve = store.curve(RUN)
    assert list(curve.columns) == [
        *("who", "seed", "step", "loss", "hard", "soft", "intermediate", "learning_rate"),
        "samples_per_second",
    ]
    found = curve[curve.who == "student"].to_dict("records")
    assert [row["step"] for row in found] == [1, 2]
    expected = {"loss": 0.5, "hard": 0.25, "soft": 0.125, "learning_rate": 1e-4, "samples_per_second": 1e3}
    assert expected.items() <= found[1].items()
    looks = store.evaluations(RUN).to_dict("records")
    assert [(row["seed"], row["step"], row["accuracy"]) for row in looks] == [(0, 2, 0.75), (1, 2, 0.5)]


def test_an_empty_curve_has_its_columns_and_types(store, run):
    assert str(store.curve(RUN).dtypes["loss"]) == "float64"
    assert list(store.evaluations(RUN).columns) == ["who", "seed", "step", "accuracy", "loss", "score"]


def test_a_long_curve_keeps_its_ends_and_its_extremes(store, run):
    losses = {number: 1.0 + number % 7 / 100 for number in range(1, 2_001)} | {777: 9.0, 1234: 0.1}
    write(store, RUN, *(step(n, steps=2_000, loss=loss) for n, loss in losses.items()))
    write(store, RUN, *(step(n, who="alone", steps=2_000) for n in range(1, 101)))
    curve = store.curve(RUN, points=100)
    student = curve[curve.who == "student"]
    assert 50 <= len(student) <= 100
    assert student.step.is_monotonic_increasing
    assert (student.step.iloc[0], student.step.iloc[-1]) == (1, 2_000)
    assert dict(zip(student.step, student.loss, strict=True)).items() >= {777: 9.0, 1234: 0.1}.items()
    assert list(curve[curve.who == "alone"].step) == list(range(1, 101))
    assert len(store.curve(RUN)) == 500


def test_points_that_a_resumed_run_repeats_are_overwritten(store, run):
    write(store, RUN, *(step(n) for n in range(1, 7)), look(5, 0.5))
    write(store, RUN, *(step(n, loss=0.01) for n in range(4, 9)), look(5, 0.6))
    curve = store.curve(RUN)
    assert list(curve.step) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(curve.loss[2:5]) == [1 / 3, 0.01, 0.01]
    assert list(store.evaluations(RUN).accuracy) == [0.6]
    assert store.run(RUN).sparkline == (0.6,)


def test_a_number_that_is_none_is_kept_as_such(store, run):
    write(store, RUN, replace(step(1), soft=float("nan")), replace(look(1, 0.5), loss=float("nan")))
    assert store.curve(RUN).soft.isna().all()
    assert store.evaluations(RUN).loss.isna().all()


def test_a_look_has_the_score_that_decides_and_one_of_before_has_none(store, run):
    write(store, RUN, replace(look(1, 0.95), score=0.6), look(2, 0.96))
    found = store.evaluations(RUN)
    assert found.accuracy.tolist() == [0.95, 0.96]
    assert found.score.tolist() == pytest.approx([0.6, float("nan")], nan_ok=True)


def test_the_sparkline_is_the_first_students_accuracy_thinned(store, run):
    write(store, RUN, look(1, 0.1, who="teacher"), look(1, 0.2), look(2, 0.3))
    assert store.run(RUN).sparkline == (0.2, 0.3)
    write(store, RUN, *(look(n, n / 1000) for n in range(1, 101)), look(1, 0.9, seed=1))
    sparkline = store.run(RUN).sparkline
    assert (len(sparkline), sparkline[0], sparkline[-1]) == (30, 0.001, 0.1)


def test_the_stages_are_all_there_from_the_start(store, run):
    assert [row.state for row in store.stages(RUN)] == ["waiting"] * 4
    store.claim("me", RUN)
    write(store, RUN, StageStarted("teach"), StageFinished("teach", 21.5))
    write(
        store, RUN, StageStarted("record"), StageFinished("record", 0.1, cached=True), StageStarted("distil")
    )
    teach, record, distil, validate = store.stages(RUN)
    assert (teach.stage, teach.seconds, teach.started, teach.state) == ("teach", 21.5, AT, "done")
    assert (record.cached, record.state) == (True, "done")
    assert (distil.state, distil.seconds, validate.state) == ("running", None, "waiting")
    store.set_status(RUN, "paused")
    assert store.stages(RUN)[2].state == "paused"


def test_the_log_has_what_happened_but_not_every_number(store, run):
    told = (
        Estimated({"teach": 20.0}, {"teach": 1e12}),
        StageStarted("teach"),
        TrainingStarted("teacher", 0, 10),
        step(1, who="teacher"),
        look(1, 0.5, who="teacher"),
        Checkpointed("teacher", 0, 1, "checkpoint-1"),
        Progress("record", "texts", 1, 2),
        StageFinished("teach", 2.0),
        Failed("The disk is full."),
        Finished(RUN),
    )
    write(store, RUN, *told)
    rows = store.events(RUN)
    assert [row.event for row in rows] == [told[i] for i in (0, 1, 2, 5, 7, 8, 9)]
    assert {row.at for row in rows} == {AT}


SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))


def report(**changes) -> dict:
    def model(accuracy, size, p50):
        return SAMPLE["student"] | {
            "accuracy": accuracy,
            "size_mb": size,
            "latency_ms": SAMPLE["student"]["latency_ms"] | {"p50": p50},
        }

    changes = {
        "teacher": model(0.93, 91.2, 11.0),
        "student": model(0.89, 12.0, 1.5),
        "alone": model(0.85, 12.0, 1.5),
        "labelled_only": None,
        "verdict": SAMPLE["verdict"] | {"kind": "helped", "delta": 0.04, "low": 0.01, "high": 0.07},
    } | changes
    return SAMPLE | changes


def test_a_report_comes_back_and_is_condensed_on_the_runs_row(store, run):
    store.save_report(RUN, report())
    assert store.report_json(RUN) == of_today(report())
    assert store.report(RUN).student.accuracy == 0.89
    row = store.run(RUN)
    assert row.accuracy == {"teacher": 0.93, "student": 0.89, "alone": 0.85}
    assert (row.verdict, row.delta, row.low, row.high) == ("helped", 0.04, 0.01, 0.07)
    assert row.gained == "+4.0 points"
    assert row.scores == (row.accuracy, "accuracy")
    assert (row.size_mb, row.latency) == (12.0, {"student": 1.5, "teacher": 11.0})
    assert [form["who"] for form in row.forms] == ["teacher", "student", "alone"]
    store.save_report(RUN, report(sentence="Again."))
    assert store.report(RUN).sentence == "Again."


@pytest.mark.parametrize(("metric", "name"), [("macro_f1", "macro-F1"), ("f1:tech", "F1 of tech")])
def test_a_gain_says_what_it_is_a_gain_in(store, run, metric, name):
    found = report()
    found["config"] = {**found["config"], "training": {**found["config"]["training"], "metric": metric}}
    store.save_report(RUN, found)
    assert (store.run(RUN).metric, store.run(RUN).gained) == (metric, f"+4.0 points of {name}")


FORM = {
    "name": "student-int8",
    "who": "student",
    "runtime": "int8",
    "accuracy": 0.88,
    "low": 0.85,
    "high": 0.91,
}
FORM |= {"size_mb": 3.1, "params": 3_000_000, "macro_f1": 0.87}
FORM |= {"latency_ms": {"p50": 0.6, "p95": 0.9, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 10.0}}


def measured(store, run_id) -> list[dict]:
    return next(row.forms for row in store.measured() if row.id == run_id)


def test_what_was_measured_of_models_is_on_the_rows_of_all_that_are_done(store, run):
    store.create_run("bench", {"run": RUN}, kind="bench")
    store.create_run("lab", {}, kind="lab")
    store.save_report("bench", {"run": RUN, "forms": [FORM]})
    store.save_report("lab", {"anything": 1})
    assert store.measured() == []
    for run_id in (RUN, "bench", "lab"):
        store.set_status(run_id, "done")
    assert [row.id for row in store.measured()] == ["bench", RUN]
    assert measured(store, "bench") == [
        {
            "who": "student",
            "runtime": "int8",
            "accuracy": 0.88,
            "low": 0.85,
            "high": 0.91,
            "size_mb": 3.1,
            "params": 3_000_000,
            "p50": 0.6,
            "threads": 1,
            "batch": 1,
        }
    ]
    assert store.run("bench").verdict is None


def test_a_row_from_before_there_were_forms_reads_its_report_once(store, run, url, monkeypatch):
    store.save_report(RUN, report())
    store.set_status(RUN, "done")
    forms = store.run(RUN).forms
    engine = sa.create_engine(url)
    with engine.begin() as connection:  # as the version before left it
        summary = connection.scalar(sa.select(schema.RUNS.c.summary))
        del summary["forms"]
        connection.execute(schema.RUNS.update().values(summary=summary))
    engine.dispose()
    assert store.run(RUN).forms is None
    assert measured(store, RUN) == forms
    monkeypatch.setattr(store, "report_json", lambda run_id: pytest.fail("read twice"))
    assert measured(store, RUN) == forms
    assert store.run(RUN).verdict == "helped"


def test_a_done_run_whose_report_is_gone_has_no_forms(store, run):
    store.set_status(RUN, "done")
    assert measured(store, RUN) is None


def test_the_report_of_a_run_that_goes_on_is_not_there_yet(store, run):
    with pytest.raises(RunError, match=f"Run {RUN} has no report: it is queued"):
        store.report(RUN)


def test_a_report_is_found_in_the_runs_folder(store, finished_run, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    run_id = finished_run.report.run_id
    assert store.report_json(run_id) == json.loads((finished_run.folder / "report.json").read_text())
    with pytest.raises(RunError, match="There is no run 20260101-120000-aaaa in"):
        store.report(RUN)


def test_a_whole_run_is_recorded(store, run, finished_run):
    found = finished_run.report.to_dict()
    with closing(Recorder(store, RUN)) as record:
        for event in finished_run.events:
            record(event)
    store.save_report(RUN, found)
    store.set_status(RUN, "done")
    row = store.run(RUN)
    assert [stage.state for stage in store.stages(RUN)] == ["done"] * 4
    assert (row.progress, row.stage, row.label) == (1.0, "validate", "done")
    assert row.accuracy["student"] == found["student"]["accuracy"]
    curve = store.curve(RUN)
    for seed in (0, 1):
        assert list(curve[(curve.who == "student") & (curve.seed == seed)].step) == [1, 2, 3, 4, 5, 6]
    assert {"teacher", "student", "alone", "labelled_only"} == set(curve.who)
    assert len(row.sparkline) == 2


# The recorder


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


@pytest.mark.skipif(not POSTGRES, reason="KD_TEST_DATABASE_URL is not set")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_connections_that_the_server_drops_are_made_again(store, url, run):
    engine = sa.create_engine(sa.make_url(url).difference_update_query(["application_name"]))
    with engine.connect() as connection:
        drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"
        name = sa.make_url(url).query["application_name"]
        assert connection.execute(sa.text(drop), {"name": name}).rowcount > 0
    engine.dispose()
    assert store.run(RUN).status == "queued"


def test_events_of_a_run_that_was_deleted_are_dropped(store, run, quick):
    record = Recorder(store, RUN)
    store.delete_run(RUN)
    record(step(1))
    record.close()
    assert store.runs() == []


def test_readers_see_whole_batches_while_another_process_writes(store, run, python):
    code = """
from tests.unit.jobs.test_store import RUN, step, write
print("ready", flush=True)
for batch in range(40):
    write(store, RUN, *(step(n, steps=400) for n in range(10 * batch + 1, 10 * batch + 11)))
"""
    writer = python(code)
    writer.stdout.readline()
    seen = []
    while writer.poll() is None:
        seen.append(len(store.curve(RUN)))
    assert writer.returncode == 0, writer.stderr.read()
    assert all(count % 10 == 0 for count in seen)
    assert seen == sorted(seen)
    assert len(store.curve(RUN)) == 400


def test_a_writer_that_is_killed_loses_nothing_it_was_told_is_kept(store, run, python):
    code = """
from tests.unit.jobs.test_store import RUN, step, write
for number in range(1, 100_000):
    write(store, RUN, step(number, steps=100_000))
    print(number, flush=True)
"""
    writer = python(code)
    for _ in range(20):
        acknowledged = writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = (writer.communicate()[0].splitlines() or [acknowledged])[-1]
    steps = list(store.curve(RUN, points=100_000).step)
    assert len(steps) >= int(acknowledged)
    assert steps == list(range(1, len(steps) + 1))
    write(store, RUN, step(len(steps) + 1))  # and the database can be written


# Opening, and what goes wrong


def test_the_migrations_lead_to_the_tables_of_the_code(store, url):
    store.runs()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": database.VERSIONS, "compare_type": True}
        )
        assert context.get_current_revision() == database.SCHEMA
        assert compare_metadata(context, schema.SCHEME) == []
    engine.dispose()


def test_the_schema_that_the_code_expects_is_the_newest_one():
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == database.SCHEMA


def test_processes_that_open_a_new_database_at_once_both_can_use_it(url, python):
    code = f"store.create_run(sys.argv[2], {CONFIG!r}); print(len(store.runs()))"
    workers = [python(code, run_id) for run_id in (RUN, OTHER)]
    answers = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], answers
    with closing(Store(url)) as store:
        assert {row.id for row in store.runs()} == {RUN, OTHER}


def test_threads_that_open_a_new_database_at_once_all_can_use_it(url):
    stores, failed = [Store(url) for _ in range(4)], []

    def work(number: int) -> None:
        try:
            stores[number].create_run(f"run-{number}", CONFIG)
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(stores[0].runs()) == 4
    for store in stores:
        store.close()


def test_the_database_lies_in_kd_home(kd_home, monkeypatch):
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    with closing(Store()) as store:
        assert not kd_home.exists()  # nothing is made before it is needed
        assert store.runs() == []
    with closing(sqlite3.connect(kd_home / "kd.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_kd_database_url_moves_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATABASE_URL", f"sqlite:///{tmp_path / '100% mine' / 'team.sqlite'}")
    with closing(Store()) as store:
        store.create_run(RUN, CONFIG)
    assert (tmp_path / "100% mine" / "team.sqlite").stat().st_size > 0


@pytest.mark.parametrize(
    "address", ["mysql://ada:s3cret@host/db", "sqlite://", "s3cret", "postgresql://ada:s3cret@host:x/db"]
)
def test_an_address_of_another_kind_is_refused_and_not_repeated(address):
    with pytest.raises(StoreError, match="write it like postgresql://user:password@host/database") as caught:
        Store(address)
    assert "s3cret" not in str(caught.value)


def test_a_password_with_an_at_sign_is_not_taken_for_a_host():
    for address in ("postgresql://kd:p@ssw0rd@db/kd", "postgres://kd:a@b@c@db:5432/kd?sslmode=require"):
        with pytest.raises(StoreError, match=r"^KD_DATABASE_URL has more than one @: write %40 for one in"):
            Store(address)
    Store("postgresql://kd:p%40ssw0rd@127.0.0.1:9/kd").close()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:s3cret@127.0.0.1:9/kd",
        "postgres:///kd?host=127.0.0.1&port=9&user=ada&password=s3cret",
    ],
)
def test_a_server_that_does_not_answer_is_named_without_its_password(address):
    with closing(Store(address)) as store, pytest.raises(StoreError) as caught:
        store.runs()
    text = str(caught.value)
    assert text.startswith("The database 'kd' on ")
    assert "refused" in text
    assert text.endswith("Check KD_DATABASE_URL, and that the server runs.")
    assert "s3cret" not in text


def test_a_file_that_is_no_database_is_named(tmp_path):
    file = tmp_path / "kd.sqlite"
    file.write_bytes(b"This is a letter to my aunt, and no database at all. " * 20)
    with closing(Store(f"sqlite:///{file}")) as store, pytest.raises(StoreError) as caught:
        store.runs()
    assert str(caught.value) == (
        f"The database {file} cannot be used: file is not a database. "
        "The folders of the runs are whole: kd index --rebuild makes it anew from them."
    )


def test_a_full_disk_is_thought_of_when_sqlite_speaks_of_another_error(tmp_path):
    """It cannot make the file that its processes share, and says only this."""
    error = Database(f"sqlite:///{tmp_path}/kd.sqlite")._failed(sqlite3.OperationalError("disk I/O error"))
    assert str(error).endswith(
        "disk I/O error. If the disk is full, free some space, for example with kd clean."
    )
    assert isinstance(error, DiskFullError)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    hint = "Check that you may write there, or choose another folder"
    with (
        closing(Store(f"sqlite:///{tmp_path}/file/kd.sqlite")) as store,
        pytest.raises(StoreError, match=hint),
    ):
        store.runs()


def test_a_database_of_a_newer_version_is_left_alone(store, url, run):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {database.VERSIONS} SET version_num = '9999'"))
    engine.dispose()
    newer = r"made by a newer KD Studio \(schema 9999; this one knows"
    with closing(Store(url)) as older, pytest.raises(StoreError, match=newer):
        older.runs()


def test_the_store_imports_no_torch_and_alembic_only_to_migrate(store, run, python):
    code = "store.runs(); store.curve('x'); print({'torch', 'alembic', 'streamlit'} & sys.modules.keys())"
    assert python(code).communicate()[0] == "set()\n"


def test_times_are_utc_whatever_the_zone(store, run):
    store.write(RUN, [(AT.astimezone(timezone(timedelta(hours=5))), StageStarted("teach"))])
    assert store.stages(RUN)[0].started == AT
    assert store.stages(RUN)[0].started.tzinfo == UTC


# Rows that nobody here has written


def spoil(store, run_id: str, **values: object) -> None:
    """Raw values into a row, as another version, a tool or a broken disk may have left them."""
    with store._database.begin(write=True) as connection:
        for name, value in values.items():
            place = ":value"
            if connection.dialect.name == "postgresql":  # which looks at types
                column = schema.RUNS.c[name].type
                kind = "TIMESTAMPTZ" if isinstance(column, schema.Moment) else "VARCHAR"
                kind = "JSON" if isinstance(column, sa.JSON | schema.Stored) else kind
                place = f"CAST(:value AS {kind})"
            update = sa.text(f"UPDATE runs SET {name} = {place} WHERE id = :id")
            connection.execute(update, {"value": value, "id": run_id})


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
