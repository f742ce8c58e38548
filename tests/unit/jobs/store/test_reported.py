"""What a job reports: stages, events, curves, evaluations and its report."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from dataclasses import replace

import pytest

from kd_core.config import LAST_SEED
from kd_core.distillation.events import (
    Checkpointed,
    Estimated,
    Failed,
    Finished,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    TrainingStarted,
)
from kd_core.errors import RunError
from kd_core.jobs.recorder import Recorder
from tests.unit.jobs.told import AT, CONFIG, OTHER, RUN, both, look, report, spoil, step, write


@both
def test_stages_are_all_there_from_the_start(store, run):
    assert [row.state for row in store.stages(RUN)] == ["waiting"] * 4
    store.claim("me", RUN)
    write(store, RUN, StageStarted("teach"), StageFinished("teach", 21.5), StageStarted("record"))
    write(store, RUN, StageFinished("record", 0.1, cached=True), StageStarted("distil"))
    teach, record, distil, validate = store.stages(RUN)
    assert (teach.stage, teach.seconds, teach.started, teach.cached, teach.state) == (
        "teach",
        21.5,
        AT,
        False,
        "done",
    )
    assert (record.cached, record.state) == (True, "done")
    assert (distil.state, distil.seconds, validate.state) == ("running", None, "waiting")
    store.set_status(RUN, "paused")
    assert store.stages(RUN)[2].state == "paused"


def test_events_without_steps_evaluations_and_progress(store, run):
    kept = (
        Estimated({"teach": 20.0}, {"teach": 1e12}),
        StageStarted("teach"),
        TrainingStarted("teacher", 0, 10),
        Checkpointed("teacher", 0, 1, "checkpoint-1"),
        StageFinished("teach", 2.0),
        Failed("The disk is full."),
        Finished(RUN),
    )
    write(store, RUN, *kept[:3], step(1), look(1, 0.5), Progress("record", "texts", 1, 2), *kept[3:])
    assert [(row.at, row.event) for row in store.events(RUN)] == [(AT, event) for event in kept]


def test_what_auto_became_is_on_the_row(store, run):
    assert (store.run(RUN).temperature, store.run(RUN).teacher) == (None, "auto")
    config = CONFIG | {"objective": {"temperature": 3.0}, "teacher": {"model": "sentence/minilm-l3"}}
    write(store, RUN, Resolved(config, 5, {}, {}))
    assert (store.run(RUN).temperature, store.run(RUN).teacher) == (3.0, "minilm-l3")


@both
def test_curve_comes_back_as_it_was_reported(store, run):
    empty = store.curve(RUN)
    assert str(empty.dtypes["loss"]) == "float64"
    assert list(store.evaluations(RUN).columns) == ["who", "seed", "step", "accuracy", "loss", "score"]
    write(store, RUN, step(1, who="teacher"), step(2), step(1), look(2, 0.75), look(2, 0.5, seed=LAST_SEED))
    curve = store.curve(RUN, who="student")
    assert list(curve.columns) == list(empty.columns)
    expected = {"who": "student", "seed": 0, "step": 2, "loss": 0.5, "hard": 0.25, "soft": 0.125}
    expected |= {"intermediate": 0.0, "learning_rate": 1e-4, "samples_per_second": 1e3}
    assert curve.to_dict("records")[1] == expected
    assert list(curve.step) == [1, 2]
    assert list(store.curve(RUN).who) == ["student", "student", "teacher"]
    looks = store.evaluations(RUN)
    assert list(zip(looks.seed, looks.step, looks.accuracy, strict=True)) == [
        (0, 2, 0.75),
        (LAST_SEED, 2, 0.5),
    ]


@both
def test_long_curve_keeps_its_ends_and_extremes(store, run):
    losses = {number: 1.0 + number % 7 / 100 for number in range(1, 2_001)} | {777: 9.0, 1234: 0.1}
    write(store, RUN, *(step(n, steps=2_000, loss=loss) for n, loss in losses.items()))
    write(store, RUN, *(step(n, who="alone", steps=2_000) for n in range(1, 101)))
    curve = store.curve(RUN, points=100)
    student = curve[curve.who == "student"]
    assert 90 <= len(student) <= 100
    assert student.step.is_monotonic_increasing
    assert (student.step.iloc[0], student.step.iloc[-1]) == (1, 2_000)
    assert dict(zip(student.step, student.loss, strict=True)).items() >= {777: 9.0, 1234: 0.1}.items()
    assert list(curve[curve.who == "alone"].step) == list(range(1, 101)), "at most 100 points are all kept"
    assert len(store.curve(RUN)) == 500


@both
def test_points_that_a_resumed_run_repeats_are_overwritten(store, run):
    write(store, RUN, *(step(n) for n in range(1, 7)), look(5, 0.5))
    again = replace(look(5, 0.6), loss=float("nan"), score=0.4)
    write(
        store,
        RUN,
        *(step(n, loss=0.01) for n in range(4, 9)),
        again,
        StageStarted("distil"),
        StageStarted("distil"),
    )
    curve = store.curve(RUN)
    assert list(curve.step) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(curve.loss[2:5]) == [1 / 3, 0.01, 0.01]
    (found,) = store.evaluations(RUN).to_dict("records")
    assert (found["accuracy"], found["score"], found["loss"] == found["loss"]) == (0.6, 0.4, False)
    assert store.run(RUN).sparkline == (0.6,)


def test_sparkline_is_the_accuracy_of_the_first_student(store, run):
    write(store, RUN, look(1, 0.1, who="teacher"), look(1, 0.2), look(2, 0.3))
    assert store.run(RUN).sparkline == (0.2, 0.3)
    for most, kept in ((30, range(1, 31)), (59, range(1, 60, 2))):
        write(store, RUN, *(look(n, n / 1000) for n in range(1, most + 1)), look(1, 0.9, seed=1))
        assert store.run(RUN).sparkline == tuple(n / 1000 for n in kept)


@both
@pytest.mark.slow
def test_killed_writer_leaves_whole_batches(store, run, python):
    writer = python("""
from tests.unit.jobs.told import RUN, step, write
for batch in range(10_000):
    write(store, RUN, *(step(n, steps=100_000) for n in range(10 * batch + 1, 10 * batch + 11)))
    print(10 * batch + 10, flush=True)
""")
    seen = []
    for _ in range(20):
        acknowledged = int(writer.stdout.readline())
        seen.append(len(store.curve(RUN, points=100_000)))
        assert seen[-1] >= acknowledged
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = int((writer.communicate()[0].splitlines() or [acknowledged])[-1])
    steps = list(store.curve(RUN, points=100_000).step)
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= acknowledged
    assert all(count % 10 == 0 for count in (*seen, len(steps)))
    write(store, RUN, step(len(steps) + 1))


def test_process_that_lost_its_run_is_told_so(store, run):
    store.claim("me", RUN)
    for call in (
        lambda: store.write(RUN, [(AT, Failed("late"))], owner="another"),
        lambda: store.save_report(RUN, report(), owner="another"),
    ):
        with pytest.raises(RunError, match="was taken from this process"):
            call()
    store.save_report(RUN, report(), owner="me")


@both
def test_report_is_condensed_on_the_row(store, run):
    with pytest.raises(RunError, match=f"Run {RUN} has no report: it is queued"):
        store.report(RUN)
    store.save_report(RUN, report())
    assert store.report_json(RUN) == report()
    row = store.run(RUN)
    assert row.accuracy == row.scores[0] == {"teacher": 0.93, "student": 0.89, "alone": 0.85}
    assert (row.verdict, row.delta, row.low, row.high) == ("helped", 0.04, 0.01, 0.07)
    assert (row.metric, row.over_floor, row.teacher) == ("accuracy", None, "minilm-l6")
    assert row.temperature == report()["config"]["objective"]["temperature"]
    assert (row.size_mb, row.latency) == (12.0, {"student": 1.5, "teacher": 11.0})
    assert row.seconds == pytest.approx(sum(report()["seconds"].values()))
    assert [(form["who"], form["runtime"], form["judged"]) for form in row.forms] == [
        (who, "pytorch", None) for who in ("teacher", "student", "alone")
    ]
    assert row.forms[0] | {"accuracy": 0.93, "p50": 11.0, "texts": report()["rows"]["test"]} == row.forms[0]
    assert row.forms[0]["flops"] > row.forms[1]["flops"] > 0
    store.save_report(RUN, report(sentence="Again."))
    assert store.report(RUN).sentence == "Again."


def test_forms_have_what_the_run_is_judged_by(store, run):
    found = report()
    found["config"] = found["config"] | {"training": found["config"]["training"] | {"metric": "macro_f1"}}
    store.save_report(RUN, found)
    row = store.run(RUN)
    assert (row.metric, row.score["student"]) == ("macro_f1", found["student"]["macro_f1"])
    assert row.forms[1]["judged"]["score"] == found["student"]["macro_f1"]


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
JUDGED = {"score": 0.87, "low": 0.8, "high": 0.9, "metric": "macro_f1"}


def test_measured_runs_benchmarks_and_exports(store, run):
    store.create_run("bench", {"run": RUN}, kind="bench")
    store.create_run("lab", {}, kind="lab")
    store.save_report("bench", {"run": RUN, "forms": [FORM, FORM | {"judged": JUDGED}]})
    store.save_report("lab", {"anything": 1})
    assert store.measured() == []
    for run_id in (RUN, "bench", "lab"):
        store.set_status(run_id, "done")
    bench, own = store.measured()
    kept = {name: FORM[name] for name in ("who", "runtime", "accuracy", "low", "high", "size_mb", "params")}
    kept |= {"p50": 0.6, "threads": 1, "batch": 1, "busy": None, "judged": None}
    judged = {"score": 0.87, "low": 0.8, "high": 0.9}
    assert (bench.id, bench.forms, bench.verdict) == ("bench", [kept, kept | {"judged": judged}], None)
    assert (own.id, own.forms) == (RUN, None), "its report is gone"


@pytest.mark.parametrize("summary", ["{}", '{"forms": [{"who": "student"}]}'])
def test_summary_without_forms_is_made_from_the_report_once(store, run, summary, monkeypatch):
    store.save_report(RUN, report())
    store.set_status(RUN, "done")
    forms = store.run(RUN).forms
    spoil(store, RUN, summary=summary)
    assert store.measured()[0].forms == forms
    monkeypatch.setattr(store, "report_json", lambda run_id: pytest.fail("read twice"))
    assert store.measured()[0].forms == store.run(RUN).forms == forms


def test_recorded_run_has_its_report_curves_and_stages(store, run, finished_run, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    found = finished_run.report.to_dict()
    assert store.report_json(found["run_id"]) == found, "it is found in the run's folder"
    with pytest.raises(RunError, match=f"There is no run {OTHER} in"):
        store.report(OTHER)
    with closing(Recorder(store, RUN)) as record:
        for event in finished_run.events:
            record(event)
    store.save_report(RUN, found)
    store.set_status(RUN, "done")
    row = store.run(RUN)
    assert [stage.state for stage in store.stages(RUN)] == ["done"] * 4
    assert (row.progress, row.stage, row.label, len(row.sparkline)) == (1.0, "validate", "done", 2)
    assert row.accuracy["student"] == found["student"]["accuracy"]
    curve = store.curve(RUN)
    for seed in (0, 1):
        assert list(curve[(curve.who == "student") & (curve.seed == seed)].step) == [1, 2, 3, 4, 5, 6]
    assert {"teacher", "student", "alone", "labelled_only"} == set(curve.who)
