"""Figures of a report: sizes and times, confusion, reliability, each class, and other texts."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core import figures
from kd_core.distillation.metrics import wilson
from kd_core.distillation.roles import ROLES
from tests.unit.figures.sampled import annotations, read


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
    figure = figures.confusion(read(report), "student")
    assert figure.data[0].text is None
    assert figure.layout.xaxis.showticklabels is False, "the rows say them, and there they can be read"
    assert figure.layout.yaxis.ticktext[0] == "class 0 (1)"
    assert figure.data[0].customdata[0][1][1] == "class 0<br>taken for class 1"


def test_long_names_of_classes_leave_room_for_the_confusion(report: dict) -> None:
    report["labels"][0] = "beneficiary_not_allowed_in_this_country"
    figure = figures.confusion(read(report), "teacher")
    assert figure.layout.xaxis.showticklabels is not False
    assert figure.layout.yaxis.ticktext[0] == "benefici…country (125)"
    whole = "beneficiary_not_allowed_in_t<br>his_country<br>taken for entertainment"
    assert figure.data[0].customdata[0][1][1] == whole


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
    assert figure.layout.xaxis.title.text == "Accuracy (%)"
    report["config"]["training"]["metric"] = "macro_f1"
    for who in ("teacher", "student", "alone", "labelled_only"):
        report[who]["shifted_score"] = dict.fromkeys(report[who]["shifted"], 0.5)
    figure = figures.shifted(read(report))
    assert figure.layout.xaxis.title.text == "Macro-F1 (%)"
    assert list(figure.data[0].x) == pytest.approx([100 * report["teacher"]["macro_f1"], *[50] * 4])


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
    assert dots.layout.height == 150 + 20 * 40, "one line of letters for each"


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
    assert figure.layout.yaxis.ticktext[0] == f"{report['labels'][0]} (0 texts)"
    (student,) = (trace for trace in figure.data if trace.name == "Distilled")
    assert np.isnan(student.x[0])
    assert not np.isnan(student.x[1:]).any()
