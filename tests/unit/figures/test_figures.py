from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import get_args

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from kd_core import figures
from kd_core.distillation.metrics import wilson
from kd_core.distillation.report import Report
from kd_core.distillation.roles import ROLES, Role
from kd_core.figures.style import enlarged, new_figure
from kd_core.system.formatting import percent
from tests import SAMPLES

read = Report.model_validate
SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
EVIL = '<img src="http://127.0.0.1:9/x"> %{y} a name that is too long to be shown'


@pytest.fixture
def report() -> dict:
    return json.loads(json.dumps(SAMPLE))


@pytest.fixture
def curve() -> pd.DataFrame:
    """Two steps of a distilled student with two seeds, and of the student alone."""
    rows = [("student", 0, 1, 2.0, 1.0, 3.0), ("student", 0, 2, 1.0, 0.5, 1.5)]
    rows += [("student", 1, 1, 2.2, 1.2, 3.2), ("student", 1, 2, 1.2, 0.6, 1.8)]
    rows += [("alone", 0, 1, 1.6, 1.6, 0.0), ("alone", 0, 2, 0.8, 0.8, 0.0)]
    columns = ["who", "seed", "step", "loss", "hard", "soft"]
    return pd.DataFrame(rows, columns=columns).assign(intermediate=0.0)


@pytest.fixture
def evaluations() -> pd.DataFrame:
    rows = [("teacher", 0, 10, 0.9), ("student", 0, 10, 0.5), ("student", 0, 20, 0.8)]
    rows += [("student", 1, 10, 0.7), ("student", 1, 20, 0.6), ("alone", 0, 20, 0.7)]
    return pd.DataFrame(rows, columns=["who", "seed", "step", "accuracy"]).assign(
        loss=1.0, score=lambda looks: looks["accuracy"]
    )


RISK = pd.DataFrame({"coverage": [0.5, 1.0], "risk": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]})


def every_figure(report: dict, curve: pd.DataFrame, evaluations: pd.DataFrame, dark: bool) -> dict:
    balance = pd.DataFrame({"train": [3, 2], "test": [1, 1]}, index=["a", EVIL])
    return {
        "loss": figures.loss_curves(curve, dark=dark),
        "cascade": figures.risk_coverage({"Distilled student": ("student", RISK)}, 0.5, dark=dark),
        "accuracy": figures.validation_curves(evaluations, 0.9, dark=dark),
        "overlay": figures.overlay({"a": evaluations, EVIL: evaluations}, dark=dark),
        **{measure: figures.bars(read(report), measure, dark=dark) for measure in ("size", "latency")},
        "accuracies": figures.accuracies(read(report), dark=dark),
        "differences": figures.differences(read(report), dark=dark),
        "confusion": figures.confusion(read(report), "student", dark=dark),
        "reliability": figures.reliability(read(report), "student", dark=dark),
        "per_class": figures.per_class(read(report), dark=dark),
        "shifted": figures.shifted(read(report), dark=dark),
        "verdicts": figures.verdicts({"a": (0.04, 0.01, 0.07), EVIL: (0, -0.1, 0.1)}, dark=dark),
        "temperature": figures.temperature_preview([1, 2], ["a", EVIL], 4, dark=dark),
        "balance": figures.class_balance(balance, dark=dark),
        "lengths": figures.lengths([1, 2, 3], dark=dark),
    }


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_labelled_keeps_its_height_and_the_readers_zoom(
    report: dict, curve: pd.DataFrame, evaluations: pd.DataFrame, dark: bool
) -> None:
    for name, figure in every_figure(report, curve, evaluations, dark).items():
        layout = figure.layout
        assert layout.title.text, name
        assert layout.xaxis.title.text, name
        assert layout.yaxis.title.text or layout.yaxis.ticktext or name in ("size", "latency"), name
        assert layout.height >= 150, name
        assert layout.uirevision, name
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)", name
        assert layout.font.color == figures.INK[dark], name
        assert layout.template.data.heatmap[0].textfont.color == figures.INK[dark], name


def test_what_a_user_wrote_is_neither_markup_nor_a_template(
    report: dict, curve: pd.DataFrame, evaluations: pd.DataFrame
) -> None:
    for who in ("student", "teacher", "alone", "labelled_only"):
        for row in report[who]["seeds"]["0"]["per_class"]:
            row["name"] = EVIL
    report["labels"] = [EVIL] * 5
    for name, figure in every_figure(report, curve, evaluations, False).items():
        text = figure.to_json().replace("\\u003c", "<")
        assert "<img" not in text, name
        assert all("%{y} a" not in (trace.hovertemplate or "") for trace in figure.data), name
    classes = figures.confusion(read(report), "student").layout.yaxis.ticktext
    assert classes[0].endswith("…g to be shown (125)")


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("who", get_args(Role))
def test_words_in_a_models_colour_can_be_read(who: Role, dark: bool) -> None:
    pair = (luminance(figures.TEXT_COLOURS[who][dark]), luminance(figures.style.PAGE[dark]))
    assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5


def test_models_differ_in_more_than_their_colour() -> None:
    looks = {(figures.DASHES[who], figures.style.SYMBOLS[who]) for who in get_args(Role)}
    assert len(looks) == len(get_args(Role)) == len(figures.COLOURS)


def test_loss_terms_have_a_colour_and_a_dash_each_and_are_means_over_the_seeds(curve: pd.DataFrame) -> None:
    figure = figures.loss_curves(curve)
    lines = {trace.name: trace for trace in figure.data if trace.showlegend is None}
    assert {name: line.line.dash for name, line in lines.items()} == {
        "total": "solid",
        "soft": "dash",
        "hard": "dot",
    }
    assert len({line.line.color for line in lines.values()}) == 3
    assert list(lines["total"].y) == pytest.approx([2.1, 1.1])
    behind = [trace for trace in figure.data if trace.name == "total" and trace.showlegend is False]
    assert [list(trace.y) for trace in behind] == [[2.0, 1.0], [2.2, 1.2]]  # two seeds
    assert all(trace.opacity < 0.5 for trace in behind)
    assert figure.layout.yaxis.rangemode == "tozero"


def test_a_long_loss_is_smoothed_and_stays_where_it_is() -> None:
    steps = np.arange(1, 201)
    noise = np.where(steps % 2, 0.5, -0.5)
    curve = pd.DataFrame({"who": "student", "seed": 0, "step": steps, "loss": 2 + noise})
    curve = curve.assign(hard=0.0, soft=0.0, intermediate=0.0)
    behind, smooth = figures.loss_curves(curve).data
    assert np.ptp(behind.y) == 1
    assert np.abs(smooth.y - 2).max() < 0.11


def test_a_loss_with_one_term_is_drawn_once(curve: pd.DataFrame) -> None:
    assert [trace.name for trace in figures.loss_curves(curve, who="alone").data] == ["total"]
    with_teacher_inside = curve.assign(intermediate=0.5)
    assert {trace.name for trace in figures.loss_curves(with_teacher_inside).data} == {
        "total",
        "soft",
        "hard",
        "intermediate",
    }


def test_the_log_scale_has_readable_ticks(curve: pd.DataFrame) -> None:
    axis = figures.loss_curves(curve, log=True).layout.yaxis
    assert axis.type == "log"
    assert {"0.1", "0.2", "0.5", "1", "2"} <= set(axis.ticktext)


def test_a_finished_teacher_is_a_level_line(evaluations: pd.DataFrame) -> None:
    figure = figures.validation_curves(evaluations, 0.9)
    first_seed, second_seed, student, alone, teacher = figure.data
    assert first_seed.showlegend is second_seed.showlegend is False
    assert list(first_seed.y) == [50, 80]
    assert (student.name, list(student.x)) == ("Distilled student", [10, 20])
    assert list(student.y) == pytest.approx([60, 70])  # the mean of two seeds
    assert "mean of 2 seeds" in student.hovertemplate
    assert alone.name == "Student alone"
    assert (teacher.name, list(teacher.x), list(teacher.y)) == ("Teacher, 90.0 %", [0, 20], [90, 90])
    assert teacher.line.dash == "dash"


def test_the_axis_of_validation_names_what_decides(evaluations: pd.DataFrame) -> None:
    by_f1 = figures.validation_curves(evaluations.assign(score=0.25), measure="F1 of <b>")
    assert by_f1.layout.title.text == "Validation F1 of &lt;b&gt;"
    assert by_f1.layout.yaxis.title.text == "F1 of &lt;b&gt; (%)"
    assert {value for line in by_f1.data for value in line.y} == {25}
    of_accuracy = figures.validation_curves(evaluations)
    assert (of_accuracy.layout.title.text, of_accuracy.layout.yaxis.title.text) == (
        "Validation accuracy",
        "Accuracy (%)",
    )


def test_a_teacher_that_still_learns_is_a_curve(evaluations: pd.DataFrame) -> None:
    figure = figures.validation_curves(evaluations)
    assert (figure.data[0].name, list(figure.data[0].y)) == ("Teacher", [90])


def test_curves_of_a_run_that_has_just_begun(curve: pd.DataFrame, evaluations: pd.DataFrame) -> None:
    assert len(figures.loss_curves(curve[:0]).data) == 0
    assert figures.validation_curves(evaluations[:0]).layout.yaxis.range == (0, 100)
    assert list(figures.validation_curves(evaluations[:0], 0.9).data[0].y) == [90, 90]
    for empty in (figures.loss_curves(curve[:0]), figures.validation_curves(evaluations[:0])):
        assert empty.layout.xaxis.rangemode == "tozero", "there is no step -1"


def test_a_mark_at_100_percent_is_not_cut(evaluations: pd.DataFrame) -> None:
    figure = figures.validation_curves(evaluations.assign(score=1.0), 1.0)
    assert figure.layout.yaxis.range[1] == 100
    marked = [trace for trace in figure.data if "markers" in (trace.mode or "")]
    assert marked
    assert all(trace.cliponaxis is False for trace in marked)


def test_runs_side_by_side_are_means_over_their_seeds(evaluations: pd.DataFrame) -> None:
    first, second = figures.overlay({"one": evaluations, "two": evaluations}).data
    assert list(first.y) == pytest.approx([60, 70])
    assert (first.name, second.name) == ("one", "two")
    assert first.line.dash != second.line.dash
    assert first.line.color != second.line.color


def annotations(figure: object) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_accuracies_are_dots_with_their_interval_on_a_scale_that_shows_differences(report: dict) -> None:
    figure = figures.accuracies(read(report))
    teacher, student, _labelled_only, alone = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["Teacher", "Distilled", "Labelled only", "Alone"]
    assert alone.x[0] == pytest.approx(83.97, abs=0.005)
    assert alone.error_x.array[0] == pytest.approx(100 * (0.86862 - 0.83969), abs=0.005)
    assert annotations(figure) == ["<b>87.6 %</b>", "<b>87.6 %</b>", "<b>86.3 %</b>", "<b>84.0 %</b>"]
    low, high = figure.layout.xaxis.range
    assert 70 < low < 84 - 3.2 < 90 < high < 100
    assert "95 % interval 84.5 % to 90.1 %" in teacher.hovertext[0]
    assert student.marker.color == "#D9660B"
    report["config"]["task"]["gold"] = "none"
    figure = figures.accuracies(read(report))
    assert figure.layout.title.text == "Agreement on the test texts"
    assert figure.layout.yaxis.ticktext[0] == "Distilled", "a teacher agrees with itself"


def test_the_first_pictures_are_in_what_decides(report: dict) -> None:
    """Of a report of before the F1 of a class has no interval: a dot without a line."""
    report["config"]["training"]["metric"] = "f1:tech"
    student = read(report).student
    figure = figures.accuracies(read(report))
    assert figure.layout.title.text == "F1 of tech on the test texts"
    assert figure.data[1].x[0] == pytest.approx(100 * student.by("f1:tech"))
    assert figure.data[1].error_x.array[0] == 0
    assert "interval" not in figure.data[1].hovertext[0]
    assert figures.differences(read(report)).layout.xaxis.title.text == "Points of F1 of tech, text by text"
    report["config"]["training"]["metric"] = "macro_f1"
    report["student"]["macro_f1_interval"] = [0.84, 0.9]
    assert (
        f"{percent(student.macro_f1)}, 95 % interval 84.0 % to 90.0 %"
        in (figures.accuracies(read(report)).data[1].hovertext[0])
    )


def test_differences_are_paired_and_coloured_by_who_is_better(report: dict) -> None:
    gap = report["verdict"] | {"delta": -0.02, "low": -0.03, "high": -0.01, "kind": "hurt"}
    unsure = report["verdict"] | {"delta": 0.01, "low": -0.01, "high": 0.03, "kind": "no_difference"}
    figure = figures.differences(read(report | {"over": {"teacher": gap, "labelled_only": unsure}}))
    names = ["than the student alone", "than the teacher", "than labelled only"]
    assert list(figure.layout.yaxis.ticktext) == names  # the control first
    alone, teacher, labelled_only = figure.data
    assert [alone.marker.color, teacher.marker.color, labelled_only.marker.color] == [
        figures.COLOURS["student"][0],
        figures.COLOURS["teacher"][0],
        figures.style.UNSURE[0],
    ]
    assert labelled_only.marker.symbol == "circle-open"
    assert annotations(figure)[1] == "<b>−2.0</b> (−3.0 to −1.0)"
    low, high = figure.layout.xaxis.range
    assert low < -3 < 0 < 6.7 < high


def test_bars_of_size_and_latency(report: dict) -> None:
    assert annotations(figures.bars(read(report), "size")) == ["<b>90.9 MB</b>", "<b>10.7 MB</b>"]
    latency = figures.bars(read(report), "latency")
    assert annotations(latency) == ["<b>12.1 ms</b>", "<b>1.69 ms</b>"]
    assert "p95 3.88 ms" in latency.data[1].hovertemplate
    assert latency.layout.xaxis.range[0] == 0


def test_confusion_adds_up_the_seeds(report: dict) -> None:
    once = figures.confusion(read(report), "teacher").data[0]
    assert once.text[0].tolist() == [100, 1, 16, 5, 3]
    assert once.z[0][0] == pytest.approx(100 / 125)
    report["teacher"]["seeds"]["1"] = report["teacher"]["seeds"]["0"]
    figure = figures.confusion(read(report), "teacher")
    twice = figure.data[0]
    assert figure.layout.title.text == "Confusion: teacher, 2 seeds together"
    assert twice.text[0].tolist() == [200, 2, 32, 10, 6]
    assert figure.layout.yaxis.ticktext[0] == "business (125)", "each seed has the same texts"
    assert twice.z[0][0] == pytest.approx(100 / 125)


def test_many_classes_show_no_numbers_in_their_cells(report: dict) -> None:
    report["labels"] = [f"class {i}" for i in range(20)]
    report["student"]["seeds"]["0"]["confusion"] = np.eye(20, dtype=int).tolist()
    assert figures.confusion(read(report), "student").data[0].text is None


def test_reliability_greys_what_the_bin_cannot_tell(report: dict) -> None:
    bins = [
        {"low": 0.5, "high": 0.6, "confidence": 0.55, "accuracy": 0.5, "count": 4},
        {"low": 0.9, "high": 1.0, "confidence": 0.95, "accuracy": 0.5, "count": 100},
    ]
    again = [{"low": 0.9, "high": 1.0, "confidence": 0.91, "accuracy": 0.7, "count": 100}]
    scores = report["student"]["seeds"]["0"]
    report["student"]["seeds"] = {"0": scores | {"reliability": bins}, "1": scores | {"reliability": again}}
    _, told, untold = figures.reliability(read(report), "student").data
    assert (list(told.x), list(told.y)) == (pytest.approx([93]), pytest.approx([60]))
    assert list(told.customdata) == [200]
    low, high = wilson(0.6, 200)
    assert list(told.error_y.array) == pytest.approx([100 * high - 60])
    assert list(told.error_y.arrayminus) == pytest.approx([60 - 100 * low])
    assert told.marker.color == figures.COLOURS["student"][0]
    assert (list(untold.x), list(untold.customdata)) == (pytest.approx([55]), [4])
    assert untold.marker.color == figures.style.UNSURE[0]


def test_four_way_table(report: dict) -> None:
    figure = figures.four_way(read(report))
    assert [list(row) for row in figure.data[0].text] == [
        ["<b>431</b><br>both right<br>82.3 %", "<b>28</b><br>new error<br>5.3 %"],
        ["<b>28</b><br>mended<br>5.3 %", "<b>37</b><br>inherited error<br>7.1 %"],
    ]
    assert figure.layout.title.text
    assert figure.layout.height == 300


def test_falls_on_other_texts(report: dict) -> None:
    figure = figures.shifted(read(report))
    assert list(figure.layout.yaxis.ticktext) == [
        "test texts",
        "typos",
        "dropped words",
        "upper case",
        "sentences",
    ]
    assert figure.data[0].x[1] == pytest.approx(72.328, abs=1e-3)


def test_differences_that_may_be_zero_are_grey() -> None:
    told, untold = figures.verdicts({"a": (0.04, 0.01, 0.07), "b": (0.01, -0.02, 0.04)}).data
    assert told.marker.color == figures.COLOURS["student"][0]
    assert untold.marker.color == figures.style.UNSURE[0]
    assert told.hovertext[0] == "+4.0 points, 95 % interval +1.0 to +7.0"


def test_temperature_softens_the_answer() -> None:
    logits = [0.0, math.log(3)]
    bars, marks = figures.temperature_preview(logits, ["cat", "dog"], 2).data
    assert list(marks.x) == pytest.approx([75, 25])
    assert list(bars.x) == pytest.approx([100 * 3**0.5 / (1 + 3**0.5), 100 / (1 + 3**0.5)])
    assert list(figures.temperature_preview([1e6, -1e6], ["a", "b"], 0.01).data[0].x) == [100, 0]
    assert len(figures.temperature_preview(logits, ["cat", "dog"], 1).data) == 1, "nothing to compare with"


def test_class_balance_stacks_the_splits() -> None:
    counts = pd.DataFrame({"train": [3, 2], "test": [1, 1]}, index=["cat", "dog"])
    figure = figures.class_balance(counts)
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [("train", [3, 2]), ("test", [1, 1])]
    assert list(figure.layout.yaxis.ticktext) == ["cat", "dog"]


def test_a_very_long_text_does_not_squash_the_lengths() -> None:
    figure = figures.lengths([5] * 990 + [1_000_000] * 5)
    assert max(figure.data[0].x) == 5
    assert figure.layout.xaxis.title.text == "Length (words); last bar: 5 to 1,000,000"
    assert figures.lengths([5] * 990).layout.xaxis.title.text == "Length (words)"


@pytest.mark.parametrize("words", [[], [1], [7, 7, 7]])
def test_lengths_of_few_texts(words: list[int]) -> None:
    assert len(figures.lengths(words).data[0].x) == len(words)


def test_lengths_are_whole_numbers() -> None:
    assert figures.lengths([8] * 300).layout.xaxis.dtick == 1
    assert figures.lengths([*range(3, 40)]).layout.xaxis.dtick is None, "there Plotly chooses well"


def test_no_torch_comes_with_the_pictures() -> None:
    code = "import sys, kd_core.figures.html_report, kd_core.config; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_names_have_room_and_are_no_markup() -> None:
    def named(*names: str) -> go.Layout:
        return new_figure("Title", "Unit", "", dark=False, names=names).layout

    rows = named("<b>tech</b>", "bbc-headlines: minilm-l6 → tiny (a1b2)")
    assert list(rows.yaxis.ticktext) == ["&lt;b&gt;tech&lt;/b&gt;", "bbc-headlines:…→ tiny (a1b2)"]
    assert list(rows.yaxis.range) == [1.5, -0.5]  # the first on top
    assert named("tech").margin.l == 14 + round(6.8 * 4)
    assert named("<<<<").margin.l == named("tech").margin.l  # as it is read, not as it is escaped
    assert named("科技").margin.l == named("tech").margin.l  # wide letters count twice


def test_a_layout_goes_over_what_all_figures_share() -> None:
    bar = {"type": "bar", "x": ["a"], "y": [1]}
    figure = new_figure("T", "", "Unit", [bar], {"margin": {"t": 8}, "yaxis": {"range": [0, 2]}}, dark=False)
    assert (figure.layout.margin.t, figure.layout.margin.r) == (8, 12)
    assert (figure.layout.yaxis.range, figure.layout.yaxis.title.text) == ((0, 2), "Unit")
    assert [trace.type for trace in figure.data] == ["bar"]


def test_of_many_classes_a_chart_shows_the_worst(report: dict) -> None:
    """A thousand classes would be a chart of 90 MB."""
    count, worst = 1_000, list(range(3, 1_000, 25))  # 40 of them
    report["labels"] = [f"class {i}" for i in range(count)]
    confusion = 9 * np.eye(count, dtype=int)
    for i in worst:
        confusion[i, (i + 25) % count] = 1 + i
    for model in (report[who] for who in ROLES if report.get(who)):
        for scores in model["seeds"].values():
            example = scores["per_class"][0]
            scores["per_class"] = [example | {"label": f"class {i}", "f1": 0.9} for i in range(count)]
            scores["confusion"] = confusion.tolist()
    for i in worst:
        report["student"]["seeds"]["0"]["per_class"][i]["f1"] = 0.1
    shown = [f"class {i}" for i in worst]
    figure = figures.confusion(read(report), "student")
    assert figure.layout.title.text.endswith(", the 40 most confused of 1,000 classes")
    assert list(figure.layout.xaxis.ticktext) == shown
    assert figure.layout.yaxis.ticktext[1] == f"class 28 ({9 + 29})"
    shares = np.asarray(figure.data[0].z)
    assert shares.shape == (40, 40)
    assert shares[1, 1:3].tolist() == pytest.approx([9 / 38, 29 / 38])
    assert len(figure.to_json()) < 1_000_000
    dots = figures.per_class(read(report))
    assert dots.layout.title.text == "F1 of each class: the 40 of 1,000 where the student's is lowest"
    assert list(dots.layout.yaxis.ticktext) == shown
    assert len(dots.data[0].y) == 40


def test_marks_of_many_models_stay_at_their_line_and_whole(report: dict) -> None:
    report |= {who: report["alone"] for who in ROLES if who not in report}
    figure = figures.per_class(read(report))
    assert len(figure.data) == len(ROLES)
    heights = np.array([trace.y for trace in figure.data]) - np.arange(5)
    assert np.abs(heights).max() < 0.3, "the next line is at 1"
    assert len(set(heights[:, 0])) == len(ROLES)
    assert not any(trace.cliponaxis for trace in figure.data)


def test_a_class_without_test_texts_has_no_mark(report: dict) -> None:
    report["student"]["seeds"]["0"]["per_class"][0] |= {"support": 0, "f1": 0}
    figure = figures.per_class(read(report))
    assert figure.layout.yaxis.ticktext[0] == f"{report['labels'][0]} (no test text)"
    (student,) = (trace for trace in figure.data if trace.name == "Distilled")
    assert np.isnan(student.x[0])
    assert not np.isnan(student.x[1:]).any()


def test_a_figure_for_a_room_has_larger_letters_and_the_same_marks() -> None:
    curve = pd.DataFrame({"who": "student", "seed": 0, "step": [25, 50], "accuracy": [0.5, 0.75]})
    small = figures.race_chart({"A": curve}, 0.9, 50, alone=curve.assign(who="alone"), lowest=0.5)
    large = enlarged(small, 1.5)
    assert large.layout.height == 1.5 * small.layout.height
    assert large.layout.title.font.size == 1.5 * small.layout.title.font.size
    assert large.layout.xaxis.tickfont.size == 1.5 * small.layout.xaxis.tickfont.size
    assert large.layout.margin.l == 1.5 * small.layout.margin.l
    assert [trace.name for trace in large.data] == ["A", "Student alone", "Teacher, 90.0 %"]
    for before, after in zip(small.data, large.data, strict=True):
        assert list(after.y) == list(before.y)
        assert after.marker.size == before.marker.size
    assert large.layout.yaxis.range[0] == 50
    lower = figures.race_chart({"A": curve}, 0.9, 50, alone=curve.assign(who="alone"))
    assert lower.layout.yaxis.range[0] == 47
    above = figures.race_chart({"A": curve}, 0.9, 50, names_above=True)
    assert (above.layout.legend.y, above.layout.legend.yanchor) == (1.02, "bottom")
    assert above.layout.margin.t > small.layout.margin.t
    assert above.layout.margin.l == small.layout.margin.l
