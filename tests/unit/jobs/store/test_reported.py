"""What a job reports: its stages, its log and its report."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
import sqlalchemy as sa

from kd_core.config import of_today
from kd_core.distillation.events import (
    Checkpointed,
    Estimated,
    Failed,
    Finished,
    Progress,
    StageFinished,
    StageStarted,
    TrainingStarted,
)
from kd_core.errors import RunError
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import schema
from tests.unit.jobs.told import AT, RUN, look, report, step, write


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


def test_who_has_lost_a_run_is_told_that_and_not_that_there_is_none(store, run):
    store.claim("me", RUN)
    for call in (
        lambda: store.write(RUN, [(AT, Failed("late"))], owner="another"),
        lambda: store.save_report(RUN, report(), owner="another"),
    ):
        with pytest.raises(RunError, match="was taken from this process"):
            call()


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
            "busy": None,
            "judged": None,
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


def test_a_row_from_before_its_forms_told_what_they_are_judged_by_reads_its_report_once(store, run, url):
    latency = FORM["latency_ms"] | {"busy": 0.4}
    store.create_run("bench", {"run": RUN}, kind="bench")
    store.save_report("bench", {"run": RUN, "forms": [FORM | {"latency_ms": latency}]})
    store.set_status("bench", "done")
    engine = sa.create_engine(url)
    with engine.begin() as connection:  # as the version before left it
        of_bench = schema.RUNS.c.id == "bench"
        summary = connection.scalar(sa.select(schema.RUNS.c.summary).where(of_bench))
        del summary["forms"][0]["busy"], summary["forms"][0]["judged"]
        connection.execute(schema.RUNS.update().where(of_bench).values(summary=summary))
    engine.dispose()
    assert measured(store, "bench")[0]["busy"] == store.run("bench").forms[0]["busy"] == 0.4


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
