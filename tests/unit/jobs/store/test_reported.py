"""What a job reports: stages, events, curves, evaluations and its report."""

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
    assert (teach.stage, teach.seconds, teach.started, teach.cached) == ("teach", 21.5, AT, False)
    assert (teach.state, record.state, record.cached) == ("done", "done", True)
    assert (distil.state, distil.seconds, validate.state) == ("running", None, "waiting")
    store.set_status(RUN, "paused")
    assert store.stages(RUN)[2].state == "paused"


def test_events_without_steps_evaluations_and_progress(store, run):
    kept = [
        Estimated({"teach": 20.0}, {"teach": 1e12}),
        StageStarted("teach"),
        Checkpointed("teacher", 0, 1, "checkpoint-1"),
        Failed("The disk is full."),
        Finished(RUN),
    ]
    write(store, RUN, *kept[:3], step(1), look(1, 0.5), Progress("record", "texts", 1, 2), *kept[3:])
    assert [row.event for row in store.events(RUN)] == kept
    assert {row.at for row in store.events(RUN)} == {AT}
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
    expected = {"who": "student", "seed": 0, "step": 2, "loss": 0.5, "hard": 0.25, "soft": 0.125}
    expected |= {"intermediate": 0.0, "learning_rate": 1e-4, "samples_per_second": 1e3}
    assert curve.to_dict("records")[1] == expected
    assert list(curve.columns) == list(empty.columns) == list(expected)
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
    write(store, RUN, *(step(n) for n in range(1, 7)), look(5, 0.5), StageStarted("distil"))
    again = replace(look(5, 0.6), loss=float("nan"), score=0.4)
    write(store, RUN, *(step(n, loss=0.01) for n in range(4, 9)), again, StageStarted("distil"))
    curve = store.curve(RUN)
    assert list(curve.step) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(curve.loss[2:5]) == [1 / 3, 0.01, 0.01]
    looks = store.evaluations(RUN)
    assert (list(looks.accuracy), list(looks.score), list(looks.loss.isna())) == ([0.6], [0.4], [True])
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
    for _ in range(20):
        acknowledged, seen = int(writer.stdout.readline()), len(store.curve(RUN, points=100_000))
        assert seen >= acknowledged
        assert seen % 10 == 0
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = int((writer.communicate()[0].splitlines() or [acknowledged])[-1])
    steps = list(store.curve(RUN, points=100_000).step)
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= acknowledged
    assert len(steps) % 10 == 0
    write(store, RUN, step(len(steps) + 1))


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
    assert [form["who"] for form in row.forms] == ["teacher", "student", "alone"]
    first = {
        "runtime": "pytorch",
        "judged": None,
        "accuracy": 0.93,
        "p50": 11.0,
        "texts": report()["rows"]["test"],
    }
    assert row.forms[0].items() >= first.items()
    assert row.forms[0]["flops"] > row.forms[1]["flops"] > 0
    judged = report()["config"] | {"training": report()["config"]["training"] | {"metric": "macro_f1"}}
    store.save_report(RUN, report(config=judged, sentence="Again."))
    assert store.report(RUN).sentence == "Again."
    row, expected = store.run(RUN), report()["student"]["macro_f1"]
    assert (row.metric, row.score["student"], row.forms[1]["judged"]["score"]) == (
        "macro_f1",
        expected,
        expected,
    )


FORM = {
    "who": "student",
    "runtime": "int8",
    "accuracy": 0.88,
    "low": 0.85,
    "high": 0.91,
    "size_mb": 3.1,
    "params": 9,
}
TIMED = FORM | {
    "name": "int8",
    "latency_ms": {"p50": 0.6, "p95": 0.9, "batch": 1, "threads": 1, "texts": 100},
}
KEPT = FORM | {"p50": 0.6, "batch": 1, "threads": 1, "busy": None}
JUDGED = {"score": 0.87, "low": 0.8, "high": 0.9}


def test_measured_runs_benchmarks_and_exports(store, run):
    store.create_run("bench", {"run": RUN}, kind="bench")
    store.create_run("lab", {}, kind="lab")
    store.save_report("bench", {"run": RUN, "forms": [TIMED, TIMED | {"judged": JUDGED | {"more": 1}}]})
    store.save_report("lab", {"anything": 1})
    assert store.measured() == []
    for run_id in (RUN, "bench", "lab"):
        store.set_status(run_id, "done")
    bench, own = store.measured()
    assert (bench.id, bench.verdict) == ("bench", None)
    assert bench.forms == [KEPT | {"judged": None}, KEPT | {"judged": JUDGED}]
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
    assert [stage.state for stage in store.stages(RUN)] == ["done"] * 4
    row, curve = store.run(RUN), store.curve(RUN)
    assert (row.progress, row.stage, row.label, len(row.sparkline)) == (1.0, "validate", "done", 2)
    for seed in (0, 1):
        assert list(curve[(curve.who == "student") & (curve.seed == seed)].step) == [1, 2, 3, 4, 5, 6]
    assert {"teacher", "student", "alone", "labelled_only"} == set(curve.who)
