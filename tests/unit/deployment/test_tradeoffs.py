"""Candidates out of rows, FLOPs by hand, the Pareto front, and the best within limits."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core import figures
from kd_core.deployment import tradeoffs
from kd_core.deployment.tradeoffs import Limits
from kd_core.distillation.metrics import wilson
from kd_core.distillation.report import Report
from kd_core.figures.direct import GAP, RAISED, Named, names_beside
from kd_core.jobs.store import digest
from kd_core.jobs.store.schema import RunRow
from tests import SAMPLES, disturbed, with_floor

SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
FIRST, SECOND = "20260131-143000-a1b2", "20260131-150000-c3d4"
EVIL = '<img src="http://127.0.0.1:9/x"> *x*'


def row(run_id: str, report: dict[str, Any], kind: str = "distil", **changes: Any) -> RunRow:
    config = {"run": report["run"]} if kind != "distil" else {"task": {"name": "bbc-headlines"}}
    bare = RunRow(
        id=run_id,
        kind=kind,
        name="",
        status="done",
        tags=(),
        task="bbc-headlines",
        teacher="minilm-l6",
        student="tiny",
        config=config,
        created=datetime(2026, 1, 31, tzinfo=UTC),
        started=None,
        finished=None,
        machine="here",
        owner=None,
        error=None,
        stage=None,
        who=None,
        seed=0,
        step=0,
        steps=0,
        label=None,
        progress=1.0,
        seconds_left=None,
        sparkline=(),
        forms=digest.condense_forms(report["forms"])
        if "forms" in report
        else digest.condense(Report.model_validate(report)),
    )
    return replace(bare, **changes)


def form(who: str, runtime: str, accuracy: float, p50: float, **timing: Any) -> dict[str, Any]:
    low, high = wilson(accuracy, 524)
    latency = {"p50": p50, "p95": 2 * p50, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 9.0}
    judged = {"who": who, "runtime": runtime, "accuracy": accuracy, "low": low, "high": high}
    return judged | {"size_mb": 2.7, "params": 2_673_669, "latency_ms": latency | timing}


def bench(run: str = FIRST, **timing: Any) -> dict[str, Any]:
    forms = [
        ("teacher", "pytorch", 0.5, 8.0),
        ("student", "pytorch", 0.5, 1.1),
        ("student", "int8", 0.87, 0.6),
    ]
    return {"run": run, "forms": [form(*each, **timing) for each in forms]}


def other(report: dict[str, Any] = SAMPLE) -> dict[str, Any]:
    """Another run of the same teacher and the same student alone; its student is another."""
    return report | {"student": report["student"] | {"accuracy": 0.9}}


# Candidates


def test_a_run_gives_its_models_and_a_benchmark_their_other_forms() -> None:
    frame = tradeoffs.candidates([row("bench", bench(), "bench"), row(FIRST, SAMPLE, name="Demo")])
    assert sorted(frame.index) == sorted(
        f"{FIRST} {model}"
        for model in (
            "teacher pytorch",
            "student pytorch",
            "labelled_only pytorch",
            "alone pytorch",
            "student int8",
        )
    )
    int8, student = frame.loc[f"{FIRST} student int8"], frame.loc[f"{FIRST} student pytorch"]
    assert (int8["name"], int8["task"], int8["accuracy"], int8["size"]) == (
        "Demo",
        "bbc-headlines",
        0.87,
        2.7,
    )
    assert (int8["latency"], int8["conditions"]) == (0.6, "here, 1 thread, batch 1, without tokenizer")
    # What only the run knows goes for all forms of a model.
    assert int8["flops"] == student["flops"]
    assert int8["texts"] == 524
    # The run judges, over all its seeds; the benchmark times both forms side by side.
    assert student["accuracy"] == SAMPLE["student"]["accuracy"]
    assert student["latency"] == 1.1
    assert frame.loc[f"{FIRST} alone pytorch", "latency"] == 1.1  # of the same architecture
    assert frame.loc[f"{FIRST} teacher pytorch", "latency"] == 8.0


def test_the_floor_is_a_candidate_that_runs_share() -> None:
    floor = with_floor(SAMPLE)
    rows = [row(SECOND, other(floor)), row("bench", bench(), "bench"), row(FIRST, floor)]
    frame = tradeoffs.candidates(rows)
    found = frame[frame["who"] == "tfidf"]
    assert found.index.tolist() == [f"{SECOND} tfidf sklearn"]
    teacher = frame[(frame["who"] == "teacher")]
    assert teacher.index.tolist() == [f"{FIRST} teacher pytorch"], "timed beside the forms that are drawn too"
    assert found[["accuracy", "size", "params", "latency"]].to_numpy().tolist() == [
        [0.809, 0.82, 138_725, 1.5]
    ]
    assert np.isnan(found["flops"].iloc[0])
    assert tradeoffs.judged_on(frame, "typos").loc[found.index[0], "accuracy"] == 0.6
    marked = frame.assign(fits=True, front=False)
    figure = figures.tradeoff_scatter(marked, "size")
    assert [trace.name for trace in figure.data if "TF-IDF" in trace.name] == ["TF-IDF, scikit-learn"]
    mark = next(trace for trace in figure.data if trace.name == "TF-IDF, scikit-learn")
    assert (mark.x, mark.y, mark.marker.symbol) == ((0.82,), (pytest.approx(80.9),), "star")
    assert "TF-IDF, scikit-learn" in mark.text[0]
    by_flops = figures.tradeoff_scatter(marked, "flops")
    assert not any("TF-IDF" in (trace.name or "") for trace in by_flops.data), "nobody has counted them"


def test_a_form_is_there_once_as_it_was_judged_last() -> None:
    export = {"run": FIRST, "forms": [form("student", "int8", 0.86, 0.5)]}
    rows = [row("export", export, "export"), row("bench", bench(), "bench"), row(FIRST, SAMPLE)]
    frame = tradeoffs.candidates(rows)
    assert frame.loc[f"{FIRST} student int8", ["accuracy", "latency"]].tolist() == [0.86, 0.6], (
        "the time is that of the benchmark, which has timed the teacher too"
    )
    assert frame.index.is_unique


def test_the_times_of_a_run_are_those_of_its_least_disturbed_measurement() -> None:
    """The newest export came beside a teacher that only the benchmark had timed in peace."""
    export = {"run": FIRST, "forms": [form("teacher", "pytorch", 0.8, 30.0, busy=0.5)]}
    export["forms"] += [form("student", name, 0.8, 3.0, busy=0.5) for name in ("pytorch", "onnx")]
    rows = [row("export", export, "export"), row("bench", bench(busy=0.9), "bench")]
    rows.append(row(FIRST, disturbed(with_floor(SAMPLE))))
    frame = tradeoffs.candidates(rows).set_index(["who", "runtime"])
    quiet, loud = "here, 1 thread, batch 1, without tokenizer", "beside other work"
    assert frame["latency"].to_dict() == {
        ("teacher", "pytorch"): 8.0,
        **{(who, "pytorch"): 1.1 for who in ("student", "labelled_only", "alone")},
        ("student", "int8"): 0.6,
        ("student", "onnx"): 3.0,
        ("tfidf", "sklearn"): 1.5,
    }
    assert frame["conditions"].to_dict() == dict.fromkeys(frame.index, quiet) | {
        ("student", "onnx"): f"{quiet}, {loud}",
        ("tfidf", "sklearn"): f"{quiet}, {loud}",
    }
    apart = tradeoffs.timed_under(frame, quiet)["latency"]
    assert apart[apart.isna()].index.tolist() == [("student", "onnx"), ("tfidf", "sklearn")]


def test_of_a_model_that_two_runs_share_the_time_is_one_that_nothing_disturbed() -> None:
    frame = tradeoffs.candidates([row(SECOND, disturbed(other())), row(FIRST, SAMPLE)])
    assert frame[frame["who"] == "teacher"]["run"].tolist() == [FIRST]
    assert frame[frame["who"] == "student"]["run"].tolist() == [SECOND, FIRST]


def test_forms_of_a_deleted_run_are_left_out() -> None:
    assert tradeoffs.candidates([row("bench", bench(), "bench")]).empty
    assert tradeoffs.candidates([row(FIRST, SAMPLE, forms=None)]).empty
    assert tradeoffs.candidates([]).empty


def test_a_teacher_that_two_runs_share_is_one_candidate_of_the_newer() -> None:
    frame = tradeoffs.candidates([row(SECOND, other()), row(FIRST, SAMPLE)])
    assert frame[frame["who"] == "teacher"]["run"].tolist() == [SECOND]
    assert frame[frame["who"] == "alone"]["run"].tolist() == [SECOND]
    assert frame[frame["who"] == "student"]["run"].tolist() == [SECOND, FIRST]


def test_times_under_other_conditions_are_not_mixed() -> None:
    rows = [
        row(SECOND, other(), machine="there"),
        row("bench", bench(threads=2, tokenizer=True), "bench"),
        row(FIRST, SAMPLE),
    ]
    frame = tradeoffs.candidates(rows)
    assert set(frame["conditions"]) == {
        "there, 1 thread, batch 1, without tokenizer",
        "here, 1 thread, batch 1, without tokenizer",
        "here, 2 threads, batch 1",
    }
    there = tradeoffs.timed_under(frame, "there, 1 thread, batch 1, without tokenizer")
    assert set(there[there["latency"].notna()]["run"]) == {SECOND}
    assert len(there) == len(frame)


def test_accuracy_on_another_set_has_the_interval_of_the_test_texts() -> None:
    frame = tradeoffs.candidates([row("bench", bench(), "bench"), row(FIRST, SAMPLE)])
    assert tradeoffs.sets(frame) == ["test", "typos", "dropped words", "upper case", "sentences"]
    assert tradeoffs.judged_on(frame, "test").equals(frame)
    typos = tradeoffs.judged_on(frame, "typos")
    assert f"{FIRST} student int8" not in typos.index
    student, expected = typos.loc[f"{FIRST} student pytorch"], SAMPLE["student"]["shifted"]["typos"]
    assert (student["accuracy"], (student["low"], student["high"])) == (expected, wilson(expected, 524))
    assert tradeoffs.judged_on(frame, "no such set").empty


def test_an_export_judges_onnx_forms_on_other_sets_and_a_later_benchmark_leaves_that_alone() -> None:
    int8 = form("student", "int8", 0.86, 0.5) | {"shifted": {"typos": 0.5}}
    export = row("export", {"run": FIRST, "forms": [int8]}, "export")
    frame = tradeoffs.candidates([row("bench", bench(), "bench"), export, row(FIRST, SAMPLE)])
    typos = tradeoffs.judged_on(frame, "typos").loc[f"{FIRST} student int8"]
    assert (typos["accuracy"], (typos["low"], typos["high"])) == (0.5, wilson(0.5, 524))
    assert typos["latency"] == 0.6, "of the benchmark, which is newer"


# The front, and the best


def test_the_front_by_hand() -> None:
    cost = np.array([1, 2, 2, 3, 3, 4, np.nan])
    gain = np.array([5, 7, 6, 7, 8, 8, 99.0])
    # 3 with 7: as much for 2. 4 with 8: as much for 3.
    assert tradeoffs.front(cost, gain).tolist() == [True, True, False, False, True, False, False]
    assert tradeoffs.front(np.array([]), np.array([])).tolist() == []


numbers = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(numbers | st.just(math.nan), numbers), max_size=25))
def test_the_front_is_who_nobody_beats(points: list[tuple[float, float]]) -> None:
    cost, gain = np.array(points).reshape(-1, 2).T

    def beaten(i: int) -> bool:
        return any(
            cost[j] <= cost[i] and gain[j] >= gain[i] and (cost[j], gain[j]) != (cost[i], gain[i])
            for j in range(len(cost))
        )

    expected = [not math.isnan(cost[i]) and not beaten(i) for i in range(len(cost))]
    assert tradeoffs.front(cost, gain).tolist() == expected


@pytest.fixture
def models() -> pd.DataFrame:
    """Three models of 500 test texts: a large, a small and a tiny one, whose time is not known."""
    rows = [(0.90, 90.0, 8.0), (0.88, 10.0, 1.5), (0.80, 2.0, math.nan)]
    frame = pd.DataFrame(rows, ["large", "small", "tiny"], ["accuracy", "size", "latency"])
    bounds = [wilson(accuracy, 500) for accuracy in frame["accuracy"]]
    return frame.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), ["large", "small", "tiny"]),
        (Limits(size=10), ["small", "tiny"]),
        (Limits(latency=100), ["large", "small"]),
        (Limits(accuracy=0.9), ["large"]),
        (Limits(size=20, latency=2, accuracy=0.85), ["small"]),
        (Limits(size=0), []),
    ],
)
def test_what_is_within_limits(models: pd.DataFrame, limits: Limits, expected: list[str]) -> None:
    assert models.index[tradeoffs.fitting(models, limits)].tolist() == expected
    assert bool(limits) == (limits != Limits())


def test_where_nothing_fits_the_nearest_is_named(models: pd.DataFrame) -> None:
    found = tradeoffs.would_do(models, Limits(size=5, latency=2, accuracy=0.85))
    assert found == Limits(size=10.0)  # "tiny" has no known time, so no accuracy would do
    assert tradeoffs.would_do(models, Limits(latency=1)) == Limits(latency=1.5)
    assert tradeoffs.would_do(models, Limits(size=20, accuracy=0.95)) == Limits(accuracy=0.88)
    assert tradeoffs.would_do(models, Limits(size=1, accuracy=0.99)) == Limits()


def test_equals_are_ranked_by_size_then_time(models: pd.DataFrame) -> None:
    equal = models.assign(accuracy=0.9, size=[10.0, 10.0, 2.0])
    assert tradeoffs.ranked(equal).index.tolist() == ["tiny", "small", "large"]


def test_who_cannot_be_told_from_the_best(models: pd.DataFrame) -> None:
    best, others = models.iloc[0], models.iloc[1:]
    assert tradeoffs.not_told_apart(best, others).index.tolist() == ["small"]
    # By hand: 0.90 - 0.80 = 0.10, against sqrt(0.0293^2 + 0.0328^2) = 0.0440.
    slack = math.hypot(0.90 - wilson(0.90, 500)[0], wilson(0.80, 500)[1] - 0.80)
    assert slack == pytest.approx(0.0440, abs=5e-5)


# The figure


def drawn(frame: pd.DataFrame, cost: str = "size", **options: Any) -> go.Figure:
    limits = options.get("limits", Limits())
    on = tradeoffs.front(frame[cost].to_numpy(float), frame["accuracy"].to_numpy(float))
    frame = frame.assign(front=on, fits=tradeoffs.fitting(frame, limits))
    return figures.tradeoff_scatter(frame, cost, **options)


def test_the_scatter_shows_each_kind_with_its_colour_shape_and_filling() -> None:
    frame = tradeoffs.candidates([row("bench", bench(), "bench"), row(FIRST, SAMPLE, name=EVIL)])
    figure = drawn(frame, limits=Limits(size=5), best=f"{FIRST} student int8")
    marks = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
    int8, teacher = marks["Distilled, ONNX int8"], marks["Teacher, PyTorch"]
    assert (int8["marker"]["symbol"], teacher["marker"]["symbol"]) == ("circle-open-dot", "diamond")
    assert (int8["marker"]["color"], int8["marker"]["opacity"]) == (figures.COLOURS["student"][0], 1)
    assert teacher["marker"]["opacity"] < 0.3  # 90.9 MB do not fit
    assert list(int8["customdata"]) == [f"{FIRST} student int8"]
    assert "<img" not in figure.to_json()
    assert "&lt;img" in int8["text"][0]
    assert int8["text"][0].endswith(
        "2.7 MB, 2.7 M parameters<br>0.60 ms, here, 1 thread, batch 1, without tokenizer"
    )
    assert list(marks["Best that fits"].y) == [87.0]
    notes = [note.text for note in figure.layout.annotations]
    assert "at most 5 MB" in notes
    assert {"Teacher", "Distilled", "Distilled, int8", "Alone"} <= set(notes)
    # A name beside a mark takes the place of its entry in the legend.
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == [
        "Pareto front",
        "Best that fits",
    ]


def test_what_has_no_known_cost_is_not_drawn(models: pd.DataFrame) -> None:
    frame = models.assign(
        who=["teacher", "student", "alone"],
        runtime="pytorch",
        name="x",
        student="tiny",
        params=1,
        flops=1e6,
        conditions="here",
    )
    figure = drawn(frame, "latency", log=True)
    assert [trace.name for trace in figure.data] == ["Pareto front", "Teacher, PyTorch", "Distilled, PyTorch"]
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.ticktext == ("1", "2", "5", "10", "20", "50")
    figure = drawn(frame, "latency", log=True, limits=Limits(latency=100, accuracy=0.85))
    assert [shape.x0 for shape in figure.layout.shapes[:1]] == [100]
    most, least, *_ = figure.layout.annotations
    (fitting,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (fitting.x1, fitting.y0) == (100, 85)
    assert fitting.x0 < 1.5
    assert fitting.y1 > 90
    assert (most.text, most.x) == ("at most 100 ms", 2)  # the place of a note on a log axis is its exponent
    assert (least.text, least.y) == ("at least 85 %", 85)
    places = [trace.x[0] for trace in drawn(frame, "flops").data[1:]]
    assert len(set(places)) == 3, "marks of one cost stand side by side"
    assert places == pytest.approx([1.0] * 3, abs=0.0061), "a few pixels"


def alike(models: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    others = {"runtime": "pytorch", "name": "x", "student": "tiny", "params": 1, "conditions": "here"}
    return models.assign(**others | columns)


def test_the_front_goes_through_the_true_costs(models: pd.DataFrame) -> None:
    """Of ten marks at 10 MB the outer ones stood at 7.7 and 16 MB, and the line went there too."""
    same = pd.concat([models.loc[["small"]].assign(accuracy=0.8 + place / 100) for place in range(10)])
    frame = pd.concat([models, same.set_axis([f"m{place}" for place in range(10)])])
    who = ["teacher", "student", "tfidf", *["student"] * 10]
    figure = drawn(alike(frame, who=who, student=None), "size", log=True)
    line = next(trace for trace in figure.data if trace.name == "Pareto front")
    assert list(line.x) == [2, 10, 90]
    moved = [x for trace in figure.data if trace.name == "Distilled, PyTorch" for x in trace.x]
    assert len(set(moved)) == len(moved) > 9
    assert min(moved) > 9.6
    assert max(moved) < 10.4


def test_a_front_of_one_model_is_no_line_and_has_no_entry(models: pd.DataFrame) -> None:
    for accuracies, shown in (([0.7, 0.8, 0.9], False), ([0.9, 0.8, 0.7], True)):
        frame = alike(models, who=["teacher", "student", "alone"]).assign(accuracy=accuracies)
        (line,) = [trace for trace in drawn(frame).data if trace.name == "Pareto front"]
        assert line.showlegend is shown


def test_a_kind_that_has_no_room_for_its_name_is_in_the_legend(models: pd.DataFrame) -> None:
    frame = alike(models, who=["teacher", "student", "alone"]).assign(
        accuracy=[0.9, 0.88, 0.879], size=[90.0, 10.0, 10.0]
    )
    near = frame.loc[["small", "small"]].set_axis(["a", "b"]).assign(accuracy=0.879, size=[8.0, 14.0])
    figure = drawn(pd.concat([frame, near]), log=True)
    assert {note.text for note in figure.layout.annotations} == {"Teacher", "Distilled"}
    named = {trace.name for trace in figure.data if trace.showlegend is not False}
    assert named == {"Pareto front", "Alone, PyTorch"}


def test_several_students_have_shades_of_one_colour_the_larger_the_deeper(models: pd.DataFrame) -> None:
    frame = models.assign(
        who="student",
        runtime="pytorch",
        name="x",
        student=["mini", "tiny", "tiny"],
        params=[6e6, 2e6, 2e6],
        flops=1e6,
        conditions="here",
    )
    front, tiny, mini = drawn(frame).data
    assert (front.name, tiny.name, mini.name) == (
        "Pareto front",
        "Distilled tiny, PyTorch",
        "Distilled mini, PyTorch",
    )
    assert list(tiny.customdata) == list(frame.index[1:])
    # The colour itself, then 60 % of the way to the words' #1B1F24.
    student, ink = (tuple(bytes.fromhex(c[1:])) for c in (figures.COLOURS["student"][0], "#1B1F24"))
    deep = [0.4 * a + 0.6 * b for a, b in zip(student, ink, strict=True)]

    def channels(trace: Any) -> list[float]:
        return [float(part) for part in trace.marker.color[4:-1].split(",")]

    assert channels(tiny) == pytest.approx(student, abs=1)
    assert channels(mini) == pytest.approx(deep, abs=1)


def test_the_architecture_of_a_teacher_is_its_own() -> None:
    frame = tradeoffs.candidates([row(FIRST, with_floor(SAMPLE))])
    assert dict(zip(frame["who"], frame["model"], strict=True)) == {
        "teacher": "minilm-l6",
        "student": "tiny",
        "labelled_only": "tiny",
        "alone": "tiny",
        "tfidf": "",
    }


def test_names_of_neighbours_do_not_cross() -> None:
    """At where names change sides, the left mark's name stood beside the right mark, and the other way.

    The right one goes to its right: that side is free.
    """
    marks = [Named(6.6, 90, "left", "red"), Named(7.0, 90, "right", "red"), Named(6.6, 85, "below", "red")]
    left, right, below = names_beside(marks, (0, 10), (80, 100), 400)
    assert (left["text"], left["xanchor"]) == ("left", "right")
    assert (right["text"], right["xanchor"]) == ("right", "left")
    assert right["ay"] == left["ay"] == -RAISED
    assert below["xanchor"] == "left", "it has no neighbour"


def test_names_beside_marks_keep_out_of_each_others_way() -> None:
    marks = [Named(1, 90, "a", "#000000"), Named(1, 89.9, "b", "#000000"), Named(10, 89.9, "c", "#000000")]
    first, second, right = names_beside(marks, (0, 10), (80, 100), 400)
    assert (first["text"], first["ay"], first["xanchor"]) == ("a", -RAISED, "left")
    assert (second["text"], second["ay"], second["xanchor"]) == ("b", -RAISED, "right")
    assert (right["ay"], right["xanchor"]) == (-RAISED, "right")
    third = names_beside([*marks, Named(1, 89.8, "d", "red")], (0, 10), (80, 100), 400)[3]
    # Both sides are taken; its mark is 4 pixels below the first, and "b" on the other side is no matter.
    assert (third["text"], third["ay"], third["xanchor"]) == ("d", pytest.approx(GAP - 4 - RAISED), "left")
    left_out = names_beside([*marks, Named(1, 89.8, "d", "red", False)], (0, 10), (80, 100), 400)
    assert [note["text"] for note in left_out] == ["a", "b", "c"]


def test_a_name_lies_on_no_mark_if_its_other_side_is_free() -> None:
    marks = [Named(5, 90, "name", "red")]
    (on_the_right,) = names_beside(marks, (0, 10), (80, 100), 400, [(5, 90)])
    (on_the_left,) = names_beside(marks, (0, 10), (80, 100), 400, [(5, 90), (6, 90.2)])
    assert (on_the_right["xanchor"], on_the_left["xanchor"]) == ("left", "right")


# By an F1


def in_f1(**changes: Any) -> RunRow:
    """A run that is judged by macro-F1, as SAMPLE's models have it, its intervals added."""
    report = SAMPLE | {
        "config": SAMPLE["config"] | {"training": SAMPLE["config"]["training"] | {"metric": "macro_f1"}}
    }
    for who in ("teacher", "student", "alone"):
        report |= {who: report[who] | {"macro_f1_interval": (report[who]["macro_f1"] - 0.05, 1.0)}}
    return row(FIRST, report, metric="macro_f1", **changes)


def test_models_of_a_run_that_is_judged_by_macro_f1_have_that() -> None:
    frame = tradeoffs.candidates([in_f1()])
    student = frame.loc[f"{FIRST} student pytorch"]
    expected = SAMPLE["student"]["macro_f1"]
    assert (student["accuracy"], student["low"], student["high"]) == (expected, expected - 0.05, 1.0)
    assert student["accuracy"] != SAMPLE["student"]["accuracy"]
    assert (student["measures"], student["task"]) == ("macro-F1", "bbc-headlines (macro-F1)")
    typos = tradeoffs.judged_on(frame, "typos")
    assert set(typos["measures"]) == {"accuracy"}, "on other texts a run keeps no more"
    assert typos.loc[f"{FIRST} student pytorch", "accuracy"] == SAMPLE["student"]["shifted"]["typos"]


def test_a_form_that_was_measured_in_accuracy_alone_is_not_mixed_with_f1() -> None:
    frame = tradeoffs.candidates([row("bench", bench(), "bench"), in_f1()])
    assert math.isnan(frame.loc[f"{FIRST} student int8", "accuracy"])
    assert f"{FIRST} student int8" not in tradeoffs.judged_on(frame, "test").index
    judged = {"metric": "macro_f1", "score": 0.7, "low": 0.6, "high": None, "paired": None}
    newer = bench()
    newer["forms"][2] |= {"judged": judged}
    frame = tradeoffs.candidates([row("bench", newer, "bench"), in_f1()])
    assert tradeoffs.judged_on(frame, "test").loc[f"{FIRST} student int8", "accuracy"] == 0.7
    best = tradeoffs.judged_on(frame, "test").loc[f"{FIRST} student pytorch"]
    assert len(tradeoffs.not_told_apart(best, frame.loc[[f"{FIRST} student int8"]])) == 1
