"""Candidates of many runs, which of their times count, the Pareto front, and its figure."""

import json
import math
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core import figures
from kd_core.config import DistillConfig
from kd_core.deployment import tradeoffs
from kd_core.deployment.times import Measurement, least_disturbed, timed
from kd_core.deployment.tradeoffs import Limits
from kd_core.distillation import report_times
from kd_core.distillation.metrics import wilson
from kd_core.distillation.report import Report
from kd_core.figures.direct import GAP, RAISED, Named, names_beside
from kd_core.jobs.store import Store, digest
from kd_core.jobs.store.schema import RunRow
from tests import SAMPLES, disturbed, with_floor
from tests.unit.deployment import stairs

SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
FIRST, SECOND = "20260131-143000-a1b2", "20260131-150000-c3d4"
EVIL = '<img src="http://127.0.0.1:9/x"> *x*'
DAY = datetime(2026, 1, 31, tzinfo=UTC)
QUIET = "here, 1 thread, batch 1, without tokenizer"
BOTH = (("teacher", "pytorch"), ("student", "pytorch"))


def row(run_id, report, kind="distil", **values):
    forms = report.get("forms")
    values = {
        "config": {"task": {"name": "bbc-headlines"}} if kind == "distil" else {"run": report["run"]},
        "forms": digest.condense_forms(forms) if forms else digest.condense(Report.model_validate(report)),
    } | values
    models = {"task": "bbc-headlines", "teacher": "minilm-l6", "student": "tiny", "machine": "here"}
    return RunRow(run_id, kind, values.pop("name", ""), "done", DAY, **models | values)


def form(who, runtime, accuracy, p50, **timing):
    made = stairs.form(who, runtime, accuracy, 2.7, p50)
    low, high = wilson(accuracy, 524)
    return made | {"low": low, "high": high, "latency_ms": made["latency_ms"] | timing, "params": 2_673_669}


def bench(**timing):
    forms = [(*BOTH[0], 0.5, 8.0), (*BOTH[1], 0.5, 1.1), ("student", "int8", 0.87, 0.6)]
    return row("bench", {"run": FIRST, "forms": [form(*each, **timing) for each in forms]}, "bench")


def export(*forms):
    return row("export", {"run": FIRST, "forms": list(forms)}, "export")


def other(report=SAMPLE):
    """Return another run of the same teacher and student alone, whose student is another."""
    return report | {"student": report["student"] | {"accuracy": 0.9}}


# Candidates


def test_candidates_of_a_run_and_a_benchmark():
    frame = tradeoffs.candidates([bench(), row(FIRST, SAMPLE, name="Demo")])
    names = ("teacher", "student", "labelled_only", "alone")
    expected = [*(f"{FIRST} {who} pytorch" for who in names), f"{FIRST} student int8"]
    assert sorted(frame.index) == sorted(expected)
    int8, student = frame.loc[f"{FIRST} student int8"], frame.loc[f"{FIRST} student pytorch"]
    about = ["name", "task", "accuracy", "size", "latency", "conditions"]
    assert int8[about].to_list() == ["Demo", "bbc-headlines", 0.87, 2.7, 0.6, QUIET]
    # What only the run knows goes for all forms of a model.
    assert (int8["flops"], int8["texts"]) == (student["flops"], 524)
    # The run judges, over all its seeds; the benchmark times both forms side by side.
    assert (student["accuracy"], student["latency"]) == (SAMPLE["student"]["accuracy"], 1.1)
    assert frame.loc[f"{FIRST} alone pytorch", "latency"] == 1.1  # of the same architecture
    assert frame.loc[f"{FIRST} teacher pytorch", "latency"] == 8.0
    newest = tradeoffs.candidates([export(form("student", "int8", 0.86, 0.5)), bench(), row(FIRST, SAMPLE)])
    # The newest judges; the time is that of the benchmark, which has timed the teacher too.
    assert newest.loc[f"{FIRST} student int8", ["accuracy", "latency"]].tolist() == [0.86, 0.6]
    assert newest.index.is_unique


def test_floor_is_a_candidate_that_runs_share():
    floor = with_floor(SAMPLE)
    frame = tradeoffs.candidates([row(SECOND, other(floor)), bench(), row(FIRST, floor)])
    found = frame[frame["who"] == "tfidf"]
    assert found.index.tolist() == [f"{SECOND} tfidf sklearn"]
    assert frame[frame["who"] == "teacher"]["run"].tolist() == [FIRST], "it was timed beside the forms"
    known = found[["accuracy", "size", "params", "latency"]].iloc[0]
    assert known.tolist() == [0.809, 0.82, 138_725, 1.5]
    assert np.isnan(found["flops"].iloc[0])
    assert set(found["model"]) == {""}
    assert set(frame["model"]) == {"minilm-l6", "tiny", ""}
    assert tradeoffs.judged_on(frame, "typos").loc[found.index[0], "accuracy"] == 0.6
    by_size, by_flops = (drawn(frame, cost).data for cost in ("size", "flops"))
    [mark] = [trace for trace in by_size if trace.name == "TF-IDF, scikit-learn"]
    assert (mark.x, mark.y, mark.marker.symbol) == ((0.82,), (pytest.approx(80.9),), "star")
    assert not any("TF-IDF" in (trace.name or "") for trace in by_flops)


def test_times_of_the_least_disturbed_measurement():
    """The newest export came beside a teacher that only the benchmark had timed in peace."""
    forms = [form("teacher", "pytorch", 0.8, 30.0, busy=0.5)]
    forms += [form("student", name, 0.8, 3.0, busy=0.5) for name in ("pytorch", "onnx")]
    rows = [export(*forms), bench(busy=0.9), row(FIRST, disturbed(with_floor(SAMPLE)))]
    frame = tradeoffs.candidates(rows).set_index(["who", "runtime"])
    assert frame["latency"].to_dict() == {
        ("teacher", "pytorch"): 8.0,
        **{(who, "pytorch"): 1.1 for who in ("student", "labelled_only", "alone")},
        ("student", "int8"): 0.6,
        ("student", "onnx"): 3.0,
        ("tfidf", "sklearn"): 1.5,
    }
    loud = [("student", "onnx"), ("tfidf", "sklearn")]
    conditions = dict.fromkeys(frame.index, QUIET) | dict.fromkeys(loud, f"{QUIET}, beside other work")
    assert frame["conditions"].to_dict() == conditions
    apart = tradeoffs.timed_under(frame, QUIET)["latency"]
    assert apart[apart.isna()].index.tolist() == loud


@pytest.mark.parametrize(
    ("rows", "teachers"),
    [
        ([row(SECOND, other()), row(FIRST, SAMPLE)], [SECOND]),  # the newer run
        ([row(SECOND, disturbed(other())), row(FIRST, SAMPLE)], [FIRST]),  # the undisturbed time
    ],
)
def test_shared_teacher_is_one_candidate(rows, teachers):
    frame = tradeoffs.candidates(rows)
    for who, runs in (("teacher", teachers), ("alone", teachers), ("student", [SECOND, FIRST])):
        assert frame[frame["who"] == who]["run"].tolist() == runs


@pytest.mark.parametrize("rows", [[bench()], [row(FIRST, SAMPLE, forms=None)], []])
def test_no_candidates_without_a_report(rows):
    assert tradeoffs.candidates(rows).empty


def test_times_under_other_conditions_are_not_mixed():
    rows = [row(SECOND, other(), machine="there"), bench(threads=2, tokenizer=True), row(FIRST, SAMPLE)]
    frame = tradeoffs.candidates(rows)
    there = QUIET.replace("here", "there")
    assert set(frame["conditions"]) == {QUIET, there, "here, 2 threads, batch 1"}
    same = tradeoffs.timed_under(frame, there)
    assert set(same[same["latency"].notna()]["run"]) == {SECOND}
    assert len(same) == len(frame)


def test_accuracy_on_other_texts():
    frame = tradeoffs.candidates([bench(), row(FIRST, SAMPLE)])
    assert tradeoffs.sets(frame) == ["test", "typos", "dropped words", "upper case", "sentences"]
    assert tradeoffs.judged_on(frame, "test").equals(frame)
    assert tradeoffs.judged_on(frame, "no such set").empty
    typos = tradeoffs.judged_on(frame, "typos")
    assert f"{FIRST} student int8" not in typos.index
    student, expected = typos.loc[f"{FIRST} student pytorch"], SAMPLE["student"]["shifted"]["typos"]
    assert (student["accuracy"], (student["low"], student["high"])) == (expected, wilson(expected, 524))
    # A later benchmark leaves alone what an export has found out.
    int8 = form("student", "int8", 0.86, 0.5) | {"shifted": {"typos": 0.5}}
    typos = tradeoffs.judged_on(tradeoffs.candidates([bench(), export(int8), row(FIRST, SAMPLE)]), "typos")
    assert typos.loc[f"{FIRST} student int8", ["accuracy", "latency"]].tolist() == [0.5, 0.6]


def test_candidates_in_macro_f1():
    report = json.loads(json.dumps(SAMPLE))
    report["config"]["training"]["metric"] = "macro_f1"
    for who in ("teacher", "student", "alone"):
        report[who]["macro_f1_interval"] = (report[who]["macro_f1"] - 0.05, 1.0)
    run = row(FIRST, report, metric="macro_f1")
    frame = tradeoffs.candidates([bench(), run])
    student, int8 = (f"{FIRST} student {runtime}" for runtime in ("pytorch", "int8"))
    score = SAMPLE["student"]["macro_f1"]
    assert score != SAMPLE["student"]["accuracy"]
    about = ["accuracy", "low", "high", "measures", "task"]
    expected = [score, score - 0.05, 1.0, "macro-F1", "bbc-headlines (macro-F1)"]
    assert frame.loc[student, about].to_list() == expected
    typos = tradeoffs.judged_on(frame, "typos")
    assert set(typos["measures"]) == {"accuracy"}, "a run keeps no more on other texts"
    assert typos.loc[student, "accuracy"] == SAMPLE["student"]["shifted"]["typos"]
    # A form that was measured in accuracy alone is not mixed with F1.
    assert math.isnan(frame.loc[int8, "accuracy"])
    assert int8 not in tradeoffs.judged_on(frame, "test").index
    judged = {"metric": "macro_f1", "score": 0.7, "low": 0.6, "high": None, "paired": None}
    frame = tradeoffs.candidates([export(form("student", "int8", 0.9, 1.0) | {"judged": judged}), run])
    assert tradeoffs.judged_on(frame, "test").loc[int8, "accuracy"] == 0.7
    assert len(tradeoffs.not_told_apart(frame.loc[student], frame.loc[[int8]])) == 1  # no interval


# Times of a run


def measurement(kind, busy=None, forms=BOTH, lengths=None, **changes):
    job = RunRow("x", kind, "", "done", DAY, config={"run": FIRST, "lengths": lengths})
    timing = {"batch": 1, "threads": 1, "busy": busy} | changes
    return Measurement(dict.fromkeys(forms, timing), None if kind == "distil" else job)


@pytest.mark.parametrize(
    ("own", "others", "best"),
    [
        (("distil",), [], "distil"),
        (("distil",), [("export",)], 0),
        (("distil",), [("export",), ("bench",), ("bench",)], 1),  # a benchmark comes first, and the newer one
        (("distil", 0.9), [("bench", 0.4), ("export", 0.69)], "distil"),  # what other work disturbed is last
        (("distil", 0.2), [("bench", 0.4), ("export", 0.69)], 1),  # the least of three
        (("distil", 0.2), [("bench", 0.4), ("bench", 0.95), ("export", 0.69)], 1),
        (("distil", 0.2), [("bench", 0.4), ("export", 0.7)], 1),
        (("distil", None, BOTH[1:]), [("export", None, BOTH[1:])], 0),  # the teacher is a file
    ],
)
def test_least_disturbed_measurement(own, others, best):
    made = [measurement(*each) for each in others]
    own = measurement(*own)
    assert least_disturbed(own, made) is (own if best == "distil" else made[best])
    assert measurement("export", 0.7).waited(BOTH) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 8},
        {"threads": 2},
        {"p95": None},
        {"lengths": ["64", "texts"]},
        {"forms": (BOTH[1], ("student", "int8"))},
    ],
)
def test_other_kinds_of_time_do_not_count(changes):
    own = measurement("distil", 0.2)
    assert least_disturbed(own, [measurement("bench", **changes)]) is own


def keep(store, kind, *times, run=FIRST, busy=0.9):
    """Store a job that has timed teacher and student, and the student in int8."""
    forms = [
        form(*model, 0.88, ms, busy=busy)
        for model, ms in zip((*BOTH, ("student", "int8")), times, strict=True)
    ]
    job = f"20260131-15000{len(store.runs())}-c3d4"
    machine = {**stairs.MACHINE, "memory_gb": 8, "python": "3", "torch": "2"}
    store.create_run(job, {"run": run}, kind=kind)
    store.save_report(job, {"run": run, "forms": forms, "machine": machine})
    store.set_status(job, "done")


def test_report_with_the_times_of_a_later_measurement(kd_home):
    with closing(Store()) as store:
        store.create_run(FIRST, DistillConfig().model_dump(mode="json"))
        store.save_report(FIRST, disturbed(with_floor(SAMPLE)))
        store.set_status(FIRST, "done")
        assert timed(store, FIRST)[1].kind == "distil"
        keep(store, "export", 8.0, 2.0, 1.0)
        report, measured = timed(store, FIRST)
        times = {who: model.p50 for who, model in report.models.items()}
        assert times == {"teacher": 8.0, "student": 2.0, "alone": 2.0, "labelled_only": 2.0, "tfidf": None}
        assert report_times.unsteady(report) == ""
        day = f"{measured.job.created.astimezone():%d %b %Y}"
        assert report_times.timed_by(report) == (
            f"Latencies are those of the export of {day}, which does not time TF-IDF."
        )
        assert report.to_dict() == report.model_copy(update={"timed_by": None}).to_dict(), (
            "it is never stored"
        )
        keep(store, "bench", 9.0, 3.0, 0.5)
        keep(store, "export", 7.0, 1.0, 0.5)
        keep(store, "bench", 99.0, 1.0, 0.5, busy=0.3)
        keep(store, "bench", 50.0, 1.0, 0.5, run="another")
        report, measured = timed(store, FIRST)
        assert (report.teacher.p50, report.student.p50) == (9.0, 3.0)
        assert measured.latencies["student", "int8"].p50 == 0.5


def test_forms_with_other_times():
    forms = [form("teacher", "pytorch", 0.9, 8.0), form("student", "int8", 0.9, 0.4)]
    timing = {"batch": 1, "threads": 1, "p50": 1.0}
    both = Measurement({("teacher", "pytorch"): timing, ("student", "int8"): timing})
    assert [one["latency_ms"]["p50"] for one in both.retimed(forms)] == [1.0, 1.0]
    assert [one["latency_ms"]["p50"] for one in forms] == [8.0, 0.4]
    assert Measurement({("teacher", "pytorch"): timing}).retimed(forms) is None, "one of two is not enough"


# The front, and the best


numbers = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(numbers | st.just(math.nan), numbers), max_size=25))
def test_front_is_who_nobody_beats(points):
    cost, gain = np.array(points).reshape(-1, 2).T

    def beaten(i):
        return any(
            cost[j] <= cost[i] and gain[j] >= gain[i] and (cost[j], gain[j]) != (cost[i], gain[i])
            for j in range(len(cost))
        )

    expected = [not math.isnan(cost[i]) and not beaten(i) for i in range(len(cost))]
    assert tradeoffs.front(cost, gain).tolist() == expected


@pytest.fixture
def models():
    """Three models of 500 test texts: a large, a small and a tiny one, whose time is not known."""
    rows = [(0.90, 90.0, 8.0), (0.88, 10.0, 1.5), (0.80, 2.0, math.nan)]
    frame = pd.DataFrame(rows, ["large", "small", "tiny"], ["accuracy", "size", "latency"])
    bounds = [wilson(accuracy, 500) for accuracy in frame["accuracy"]]
    about = {"who": ["teacher", "student", "alone"], "runtime": "pytorch", "name": "x", "student": "tiny"}
    about |= {"params": 1, "flops": 1e6, "conditions": "here"}
    return frame.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds], **about)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), ["large", "small", "tiny"]),
        (Limits(size=10), ["small", "tiny"]),
        (Limits(latency=8), ["large", "small"]),
        (Limits(accuracy=0.9), ["large"]),
        (Limits(size=20, latency=2, accuracy=0.85), ["small"]),
        (Limits(size=0), []),
    ],
)
def test_models_within_limits(models, limits, expected):
    assert models.index[tradeoffs.fitting(models, limits)].tolist() == expected
    assert bool(limits) == (limits != Limits())


@pytest.mark.parametrize(
    ("limits", "nearest"),
    [
        (Limits(size=5, latency=2, accuracy=0.85), Limits(size=10.0)),  # nobody knows the time of "tiny"
        (Limits(latency=1), Limits(latency=1.5)),
        (Limits(size=20, accuracy=0.95), Limits(accuracy=0.88)),
        (Limits(size=1, accuracy=0.99), Limits()),
    ],
)
def test_nearest_limits_that_would_do(models, limits, nearest):
    assert tradeoffs.would_do(models, limits) == nearest


def test_ranking_and_ties(models):
    equal = models.assign(accuracy=0.9, size=[10.0, 10.0, 2.0])
    assert tradeoffs.ranked(equal).index.tolist() == ["tiny", "small", "large"], "by size, then by time"
    # 0.90 - 0.80 = 0.10, against sqrt(0.0293^2 + 0.0328^2) = 0.0440.
    assert tradeoffs.not_told_apart(models.iloc[0], models.iloc[1:]).index.tolist() == ["small"]


# The figure


def drawn(frame, cost="size", limits=Limits(), **options):  # noqa: B008
    on = tradeoffs.front(frame[cost].to_numpy(float), frame["accuracy"].to_numpy(float))
    frame = frame.assign(front=on, fits=tradeoffs.fitting(frame, limits))
    return figures.tradeoff_scatter(frame, cost, limits=limits, **options)


def legend(figure):
    return [trace.name for trace in figure.data if trace.showlegend is not False]


def test_marks_of_the_scatter():
    frame = tradeoffs.candidates([bench(), row(FIRST, SAMPLE, name=EVIL)])
    figure = drawn(frame, limits=Limits(size=5), best=f"{FIRST} student int8")
    marks = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
    int8, teacher = marks["Distilled, ONNX int8"], marks["Teacher, PyTorch"]
    assert (int8["marker"]["symbol"], teacher["marker"]["symbol"]) == ("circle-open-dot", "diamond")
    assert (int8["marker"]["color"], int8["marker"]["opacity"]) == (figures.COLOURS["student"][0], 1)
    assert teacher["marker"]["opacity"] < 0.3  # 90.9 MB do not fit
    assert list(int8["customdata"]) == [f"{FIRST} student int8"]
    assert "<img" not in figure.to_json()
    assert "&lt;img" in int8["text"][0]
    assert int8["text"][0].endswith(f"2.7 MB, 2.7 M parameters<br>0.60 ms, {QUIET}")
    assert list(marks["Best that fits"].y) == [87.0]
    notes = {note.text for note in figure.layout.annotations}
    assert {"at most 5 MB", "Teacher", "Distilled", "Distilled, int8", "Alone"} <= notes
    # A name beside a mark takes the place of its entry in the legend.
    assert legend(figure) == ["Pareto front", "Best that fits"]


def test_limits_and_equal_costs_of_the_scatter(models):
    figure = drawn(models, "latency", log=True, limits=Limits(latency=100, accuracy=0.85))
    assert [trace.name for trace in figure.data] == ["Pareto front", "Teacher, PyTorch", "Distilled, PyTorch"]
    (fitting,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (fitting.x1, fitting.y0) == (100, 85)
    most, least, *_ = figure.layout.annotations
    assert (most.text, most.x) == ("at most 100 ms", 2)  # the place of a note on a log axis is its exponent
    assert (least.text, least.y) == ("at least 85 %", 85)
    # Marks of one cost stand side by side, a few pixels apart, and the line goes through the true costs.
    same = pd.concat([models.loc[["small"]].assign(accuracy=0.8 + place / 100) for place in range(10)])
    frame = pd.concat([models, same.set_axis([f"m{place}" for place in range(10)])])
    figure = drawn(frame.assign(who=["teacher", "student", "tfidf", *["student"] * 10]), log=True)
    assert list(figure.data[0].x) == [2, 10, 90]
    moved = [x for trace in figure.data if trace.name == "Distilled, PyTorch" for x in trace.x]
    assert len(set(moved)) == len(moved) > 9
    assert 9.6 < min(moved) < max(moved) < 10.4
    [line, *_] = drawn(models.assign(accuracy=[0.7, 0.8, 0.9])).data
    assert line.showlegend is False, "a single model is no line"


def test_larger_students_have_deeper_colours(models):
    frame = models.assign(who="student", student=["mini", "tiny", "tiny"], params=[6e6, 2e6, 2e6])
    _, tiny, mini = drawn(frame).data
    assert (tiny.name, mini.name) == ("Distilled tiny, PyTorch", "Distilled mini, PyTorch")
    # The colour itself, then 60 % of the way to the words' #1B1F24.
    student = np.array(list(bytes.fromhex(figures.COLOURS["student"][0][1:])))
    deep = 0.4 * student + 0.6 * np.array(list(bytes.fromhex("1B1F24")))
    for trace, colour in ((tiny, student), (mini, deep)):
        channels = [float(part) for part in trace.marker.color[4:-1].split(",")]
        assert channels == pytest.approx(colour, abs=1)


def test_names_beside_marks():
    def placed(*places, name="a", others=()):
        marks = [Named(*place, name, "red") for place in places]
        notes = names_beside(marks, (0, 10), (80, 100), 400, others)
        return [(note["ay"], note["xanchor"]) for note in notes]

    # The first two share a place, both sides of which the fourth finds taken; it is 4 pixels below them.
    raised = pytest.approx(GAP - 4 - RAISED)
    sides = [(-RAISED, "left"), (-RAISED, "right"), (-RAISED, "right"), (raised, "left")]
    assert placed((1, 90), (1, 89.9), (10, 89.9), (1, 89.8)) == sides
    # A name lies on no mark if its other side is free.
    assert placed((5, 90), name="name", others=[(5, 90)]) == [(-RAISED, "left")]
    assert placed((5, 90), name="name", others=[(5, 90), (6, 90.2)]) == [(-RAISED, "right")]
