"""What all figures have: labels, a height, no markup of a user's, and no need of torch."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from kd_core import figures
from tests.unit.figures.sampled import read

EVIL = '<img src="http://127.0.0.1:9/x"> %{y} a name that is too long to be shown'
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
    assert classes[0].endswith("…e shown (125)")


def test_no_torch_comes_with_the_pictures() -> None:
    code = "import sys, kd_core.figures.html_report, kd_core.config; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
