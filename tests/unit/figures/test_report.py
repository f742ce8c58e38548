"""Tests of the figures of a report and of its standing: scores, differences, classes and other texts."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core import figures
from kd_core.distillation.metrics import wilson
from kd_core.distillation.roles import ROLES
from kd_core.system.formatting import percent
from tests.unit.figures.sampled import annotations, read


def judged_by(report: dict, metric: str) -> dict:
    report["config"]["training"]["metric"] = metric
    return report


def test_bars_of_size_and_latency(report: dict) -> None:
    assert annotations(figures.bars(read(report), "size")) == ["<b>90.9 MB</b>", "<b>10.7 MB</b>"]
    latency = figures.bars(read(report), "latency")
    assert annotations(latency) == ["<b>12.1 ms</b>", "<b>1.69 ms</b>"]
    assert "p95 3.88 ms" in latency.data[1].hovertemplate
    assert latency.layout.xaxis.range[0] == 0


def test_accuracies_with_their_intervals(report: dict) -> None:
    figure = figures.accuracies(read(report))
    teacher, student, _, alone = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["Teacher", "Distilled", "Labelled only", "Alone"]
    assert alone.x[0] == pytest.approx(83.97, abs=0.005)
    assert alone.error_x.array[0] == pytest.approx(100 * (0.86862 - 0.83969), abs=0.005)
    assert annotations(figure) == ["<b>87.6 %</b>", "<b>87.6 %</b>", "<b>86.3 %</b>", "<b>84.0 %</b>"]
    assert "95 % interval 84.5 % to 90.1 %" in teacher.hovertext[0]
    assert student.marker.color == figures.COLOURS["student"][0]
    report["config"]["task"]["gold"] = "none"
    figure = figures.accuracies(read(report))
    assert figure.layout.title.text == "Agreement on the test texts"
    assert figure.layout.yaxis.ticktext[0] == "Distilled", "a teacher agrees with itself"


def test_scores_are_in_what_decides(report: dict) -> None:
    student = read(judged_by(report, "f1:tech")).student
    figure = figures.accuracies(read(report))
    assert figure.layout.title.text == "F1 of tech on the test texts"
    assert figure.data[1].x[0] == pytest.approx(100 * student.by("f1:tech"))
    assert (figure.data[1].error_x.array[0], "interval" in figure.data[1].hovertext[0]) == (0, False)
    assert figures.differences(read(report)).layout.xaxis.title.text == "Points of F1 of tech, text by text"
    report["student"]["macro_f1_interval"] = [0.84, 0.9]
    figure = figures.accuracies(read(judged_by(report, "macro_f1")))
    assert f"{percent(student.macro_f1)}, 95 % interval 84.0 % to 90.0 %" in figure.data[1].hovertext[0]


def test_differences_are_coloured_by_who_is_better(report: dict) -> None:
    gap = report["verdict"] | {"delta": -0.02, "low": -0.03, "high": -0.01, "kind": "hurt"}
    unsure = report["verdict"] | {"delta": 0.01, "low": -0.01, "high": 0.03, "kind": "no_difference"}
    figure = figures.differences(read(report | {"over": {"teacher": gap, "labelled_only": unsure}}))
    names = ["than the student alone", "than the teacher", "than labelled only"]
    assert list(figure.layout.yaxis.ticktext) == names, "the control comes first"
    colours = [figures.COLOURS["student"][0], figures.COLOURS["teacher"][0], figures.style.UNSURE[0]]
    assert [trace.marker.color for trace in figure.data] == colours
    assert figure.data[2].marker.symbol == "circle-open"
    assert annotations(figure)[1] == "<b>−2.0</b> (−3.0 to −1.0)"
    told, untold = figures.verdicts({"a": (0.04, 0.01, 0.07), "b": (0.01, -0.02, 0.04)}).data
    assert [told.marker.color, untold.marker.color] == [colours[0], colours[2]]
    assert told.hovertext[0] == "+4.0 points, 95 % interval +1.0 to +7.0"


def test_confusion_adds_up_the_seeds(report: dict) -> None:
    report["labels"][0] = "beneficiary_not_allowed_in_this_country"
    report["teacher"]["seeds"]["1"] = report["teacher"]["seeds"]["0"]
    figure = figures.confusion(read(report), "teacher")
    assert figure.layout.title.text == "Confusion: teacher, 2 seeds together"
    assert figure.data[0].text[0].tolist() == [200, 2, 32, 10, 6]
    assert figure.data[0].z[0][0] == pytest.approx(100 / 125)
    assert figure.layout.yaxis.ticktext[0] == "benefici…country (125)", "each seed has the same texts"
    whole = "beneficiary_not_allowed_in_t<br>his_country<br>taken for entertainment"
    assert figure.data[0].customdata[0][1][1] == whole
    report["labels"] = [f"class {i}" for i in range(20)]
    report["student"]["seeds"]["0"]["confusion"] = np.eye(20, dtype=int).tolist()
    many = figures.confusion(read(report), "student")
    assert (many.data[0].text, many.layout.xaxis.showticklabels) == (None, False), "there is no room"


def test_of_very_many_classes_the_worst_are_shown(report: dict) -> None:
    count, worst = 1_000, list(range(3, 1_000, 25))  # 40 of them
    report["labels"] = [f"class {i}" for i in range(count)]
    confusion = 9 * np.eye(count, dtype=int)
    for i in worst:
        confusion[i, (i + 25) % count] = 1 + i
    rows = confusion.tolist()
    for model in (report[who] for who in ROLES if report.get(who)):
        for scores in model["seeds"].values():
            example = scores["per_class"][0]
            scores["per_class"] = [example | {"label": f"class {i}", "f1": 0.9} for i in range(count)]
            scores["confusion"] = rows
    for i in worst:
        report["student"]["seeds"]["0"]["per_class"][i]["f1"] = 0.1
    shown, known = [f"class {i}" for i in worst], read(report)
    figure = figures.confusion(known, "student")
    assert figure.layout.title.text.endswith(", the 40 most confused of 1,000 classes")
    assert list(figure.layout.xaxis.ticktext) == shown
    assert figure.layout.yaxis.ticktext[1] == f"class 28 ({9 + 29})"
    shares = np.asarray(figure.data[0].z)
    assert shares.shape == (40, 40)
    assert shares[1, 1:3].tolist() == pytest.approx([9 / 38, 29 / 38])
    assert len(figure.to_json()) < 1_000_000
    dots = figures.per_class(known)
    assert dots.layout.title.text == "F1 of each class: the 40 of 1,000 where the student's is lowest"
    assert list(dots.layout.yaxis.ticktext) == shown
    assert len(dots.data[0].y) == 40


def test_reliability_greys_what_a_bin_cannot_tell(report: dict) -> None:
    bins = [
        {"low": 0.5, "high": 0.6, "confidence": 0.55, "accuracy": 0.5, "count": 4},
        {"low": 0.9, "high": 1.0, "confidence": 0.95, "accuracy": 0.5, "count": 100},
    ]
    again = [{"low": 0.9, "high": 1.0, "confidence": 0.91, "accuracy": 0.7, "count": 100}]
    scores = report["student"]["seeds"]["0"]
    report["student"]["seeds"] = {"0": scores | {"reliability": bins}, "1": scores | {"reliability": again}}
    _, told, untold = figures.reliability(read(report), "student").data
    assert (list(told.x), list(told.y)) == (pytest.approx([93]), pytest.approx([60]))
    assert list(told.customdata) == [100], "both seeds answer the same texts"
    low, high = wilson(0.6, 100)
    assert list(told.error_y.array) == pytest.approx([100 * high - 60])
    assert list(told.error_y.arrayminus) == pytest.approx([60 - 100 * low])
    assert told.marker.color == figures.COLOURS["student"][0]
    assert (list(untold.x), list(untold.customdata)) == (pytest.approx([55]), [2])
    assert untold.marker.color == figures.style.UNSURE[0]


def test_four_way_table(report: dict) -> None:
    figure = figures.four_way(read(report))
    assert [list(row) for row in figure.data[0].text] == [
        ["<b>431</b><br>both right<br>82.3 %", "<b>28</b><br>new error<br>5.3 %"],
        ["<b>28</b><br>mended<br>5.3 %", "<b>37</b><br>inherited error<br>7.1 %"],
    ]
    assert figure.layout.title.text


def test_scores_on_other_texts(report: dict) -> None:
    figure = figures.shifted(read(report))
    names = ["test texts", "typos", "dropped words", "upper case", "sentences"]
    assert list(figure.layout.yaxis.ticktext) == names
    assert figure.data[0].x[1] == pytest.approx(72.328, abs=1e-3)
    assert figure.layout.xaxis.title.text == "Accuracy (%)"
    for who in ("teacher", "student", "alone", "labelled_only"):
        report[who]["shifted_score"] = dict.fromkeys(report[who]["shifted"], 0.5)
    figure = figures.shifted(read(judged_by(report, "macro_f1")))
    assert figure.layout.xaxis.title.text == "Macro-F1 (%)"
    assert list(figure.data[0].x) == pytest.approx([100 * report["teacher"]["macro_f1"], *[50] * 4])


def test_class_without_test_texts_has_no_mark(report: dict) -> None:
    report["student"]["seeds"]["0"]["per_class"][0] |= {"support": 0, "f1": 0}
    figure = figures.per_class(read(report))
    assert figure.layout.yaxis.ticktext[0] == f"{report['labels'][0]} (0 texts)"
    (student,) = (trace for trace in figure.data if trace.name == "Distilled")
    assert np.isnan(student.x).tolist() == [True, False, False, False, False]
