"""Runs side by side: what differs, whose student is better, and their curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kd_core.config import LESSON
from kd_core.jobs.store import Store
from kd_core.search.ladder import LadderConfig
from kd_core.system.formatting import percent
from pages.review.runs import compare
from tests.ui.charts import alts, charts
from tests.ui.runs.listed import (
    EVIL,
    FIRST,
    FOURTH,
    PAGE,
    SECOND,
    App,
    choose,
    dialog,
    looked_at,
    names,
    words,
)
from tests.ui.speed.benched import keep, sample


def test_two_runs_side_by_side_fit_on_a_phone(app: App, runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "on_a_phone", lambda: True)
    results = choose(app(PAGE), "Demo", "Warm").dataframe[2]
    columns = json.loads(results.proto.columns)
    assert sum(columns[name]["width"] for name in ("_index", "Demo", "Warm")) <= 390 - 2 * 16
    assert [columns[name]["pinned"] for name in ("Demo", "Warm")] == [True, False]
    assert results.proto.row_height > 64, "from there on Streamlit breaks lines"


def test_side_by_side_says_what_auto_has_become(app: App, runs: Store, report: dict[str, Any]) -> None:
    own = LESSON.change({"objective.temperature": "auto"})
    runs.create_run(FOURTH, own.model_dump(mode="json"), name="Left open")
    made = report["config"]["objective"] | {"temperature": 2.0}
    runs.save_report(FOURTH, report | {"config": report["config"] | {"objective": made}})
    runs.set_status(FOURTH, "done")
    settings = choose(app(PAGE), "Demo", "Left open").dataframe[1].value
    assert settings.loc["objective.temperature"].tolist() == ["4.0", "2.0 (auto)"]


def test_side_by_side_has_the_sizes_of_a_preset_and_names_as_in_the_list(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    own = LESSON.change({"task.name": "/data/sixty.csv", "task.train_texts": 200, "teacher.layers": 9})
    runs.create_run(FOURTH, own.model_dump(mode="json"), name="Sixty")
    made = report["config"]["teacher"] | {"layers": 6}
    runs.save_report(FOURTH, report | {"config": report["config"] | {"teacher": made}})
    runs.set_status(FOURTH, "done")
    settings = choose(app(PAGE), "Demo", "Sixty").dataframe[1].value
    assert settings.loc["teacher.layers", "Sixty"] == "6"
    assert settings.loc["task.name", "Sixty"] == "sixty.csv"
    assert settings.loc["task.train_texts"].tolist() == ["all", "200"]


def test_side_by_side_a_setting_of_a_ladder_is_no_number_with_seven_zeros(app: App, runs: Store) -> None:
    rung = LadderConfig(distill=LESSON.change({"training.steps": 1_000})).rung("tiny")
    runs.create_run(FOURTH, rung.model_dump(mode="json"), name="Keep 98 %: tiny")
    settings = choose(app(PAGE), "Demo", "Keep 98 %: tiny").dataframe[1].value
    assert settings.loc["training.evaluate_every", "Keep 98 %: tiny"] == "at its end alone"
    assert settings.loc["training.steps", "Keep 98 %: tiny"] == "1,000"


def test_side_by_side_only_what_differs(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND):
        looked_at(runs, run_id, (10, 0.5))
    page = choose(app(PAGE), "Demo", "Warm")
    assert page.subheader[0].value == "Side by side"
    settings, results = (page.dataframe[index].value for index in (1, 2))
    assert list(settings.columns) == ["Demo", "Warm"]  # the baseline first
    assert settings.loc["objective.temperature"].tolist() == ["4.0", "8.0"]
    assert settings.loc["training.seeds"].tolist() == ["0", "0, 1"]
    assert len(settings) == 2
    assert results["Demo"]["Accuracy, distilled student"] == "87.6 % ± 2.8"
    assert "Accuracy, distilled on hard answers" not in results.index, "which none of them has"
    assert results["Demo"]["Gain over its control"] == "+3.6 points (+0.6 to +6.7)"
    assert results["Warm"]["Gain over its control"] == "−0.4 points (−3.0 to +2.0)"
    assert alts(page) == [
        "Demo: +3.6 points; Warm: −0.4 points",
        "Accuracy of the distilled students over the training steps",
    ]


def test_side_by_side_says_whose_time_was_taken_beside_other_work(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    times = report["student"]["latency_ms"] | {"p50": 1.5, "busy": 0.3}
    runs.save_report(SECOND, report | {"student": report["student"] | {"latency_ms": times}})
    latency = choose(app(PAGE), "Demo", "Warm").dataframe[2].value.loc["Latency, p50"]
    assert latency["Warm"] == "1.50 ms, timed beside other work"
    assert "other work" not in latency["Demo"]
    keep(runs, "20260131-170000-a7b8", sample("bench.json"), run_id=SECOND)
    latency = choose(app(PAGE), "Demo", "Warm").dataframe[2].value.loc["Latency, p50"]
    assert latency["Warm"] == "1.57 ms", "it was measured again"


def test_side_by_side_says_what_a_gain_is_in(app: App, runs: Store, report: dict[str, Any]) -> None:
    report["config"]["training"]["metric"] = "macro_f1"
    runs.save_report(FIRST, report)
    results = choose(app(PAGE), "Demo", "Warm").dataframe[2].value
    assert results["Demo"]["Gain over its control"] == "+3.6 points of macro-F1 (+0.6 to +6.7)"
    assert results["Warm"]["Gain over its control"] == "−0.4 points (−3.0 to +2.0)"
    student = report["student"]
    assert results["Demo"]["Macro-F1, distilled student"] == percent(student["macro_f1"])
    assert results["Warm"]["Macro-F1, distilled student"] == "–", "which is not judged by it"
    assert results["Demo"]["Accuracy, distilled student"] == "87.6 % ± 2.8"


def test_of_one_metric_the_axis_says_what_gains_are_in(app: App, runs: Store, report: dict[str, Any]) -> None:
    report["config"]["training"]["metric"] = "macro_f1"
    for run_id in (FIRST, SECOND):
        runs.save_report(run_id, report)
    page = choose(app(PAGE), "Demo", "Warm")
    assert alts(page)[0] == "Demo: +3.6 points; Warm: +3.6 points"
    assert "Points of macro-F1" in json.dumps(charts(page)[0]["figure"])


def recorded(home: Path, run_id: str, right: list[bool], text: str = "text") -> None:
    """A run's answers to its test texts, of one seed."""
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    answers = [[1.0, 0.0] if correct else [0.0, 1.0] for correct in right]
    texts = [f"{text} {number}" for number in range(len(right))]
    rows = pd.DataFrame({"text": texts, "label": [0] * len(right), "student-0": answers})
    rows.to_parquet(folder / "predictions.parquet")


def test_the_students_of_two_runs_are_compared_text_by_text(app: App, runs: Store, home: Path) -> None:
    recorded(home, FIRST, [True] * 60 + [False] * 40)
    recorded(home, SECOND, [True] * 80 + [False] * 20)
    page = choose(app(PAGE), "Demo", "Warm")
    assert alts(page)[1] == "Warm: +20.0 points (+10.9 to +30.9)"
    key = next(box.key for box in page.selectbox if box.label == "Baseline")
    page.selectbox(key=key).set_value("Warm").run()
    assert alts(page)[1] == "Demo: −20.0 points (−30.9 to −10.9)"
    assert list(page.dataframe[1].value.columns) == ["Warm", "Demo"]


def test_students_of_runs_that_are_judged_by_an_f1_are_compared_in_that(
    app: App, runs: Store, home: Path, report: dict[str, Any]
) -> None:
    """60 and 80 of 100 texts of one class found: F1 2 x 60 / (100 + 60) = 75.0 and 160 / 180 = 88.9 %."""
    report["config"]["training"]["metric"] = f"f1:{report['labels'][0]}"
    runs.save_report(FIRST, report)
    recorded(home, FIRST, [True] * 60 + [False] * 40)
    recorded(home, SECOND, [True] * 80 + [False] * 20)
    assert alts(choose(app(PAGE), "Demo", "Warm"))[1].startswith("Warm: +20.0 points"), "one has accuracy"
    runs.save_report(SECOND, report)
    page = choose(app(PAGE), "Demo", "Warm")
    assert alts(page)[1].startswith("Warm: +13.9 points")
    assert f"Points of F1 of {report['labels'][0]}, text by text" in json.dumps(charts(page)[1]["figure"])


def test_of_runs_with_different_numbers_of_seeds_it_is_said_which_are_compared(
    app: App, runs: Store, home: Path, report: dict[str, Any]
) -> None:
    runs.create_run(FOURTH, LESSON.change({"training.seeds": [0, 1]}).model_dump(mode="json"), name="Twice")
    runs.save_report(FOURTH, report)
    runs.set_status(FOURTH, "done")
    for run in (FIRST, SECOND, FOURTH):
        recorded(home, run, [True] * 60 + [False] * 40)
    said = words(choose(app(PAGE), "Demo", "Twice"))
    assert any(
        text == "Seeds are compared in pairs. Twice has another number of seeds, so that only the first ones "
        "of both count."
        for text in said
    )
    alike = words(choose(app(PAGE), "Warm", "Twice"))
    assert [text for text in alike if "compared in pairs" in text] == []


def test_students_of_different_test_texts_are_not_compared(app: App, runs: Store, home: Path) -> None:
    recorded(home, FIRST, [True, False])
    recorded(home, SECOND, [True, True], text="another")
    page = choose(app(PAGE), "Demo", "Warm")
    assert any(text.startswith("Warm and Demo have different test texts") for text in words(page))


def test_runs_of_one_name_can_be_told_apart(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo", "Warm")
    runs.rename(SECOND, "Demo")
    page.run()
    assert list(page.dataframe[1].value.columns) == ["Demo (a1b2)", "Demo (c3d4)"]


def test_a_run_without_a_name_is_called_by_what_it_does(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND):
        runs.rename(run_id, "")
    does = "bbc-headlines: minilm-l6 → tiny"
    page = app(PAGE)
    assert names(page) == [EVIL, does, does]
    key = page.dataframe[0].proto.id.rpartition("-")[2]
    page.session_state[key] = {"selection": {"rows": [1, 2], "columns": [], "cells": []}}
    page.run()
    assert list(page.dataframe[1].value.columns) == [f"{does} (a1b2)", f"{does} (c3d4)"]
    gains = json.loads(charts(page)[0]["figure"])["layout"]["yaxis"]["ticktext"]
    assert gains == ["bbc-headlin…iny (a1b2)", "bbc-headlin…iny (c3d4)"], "on pictures, too"
    page.button(key="runs.delete").click().run()
    assert [line.startswith(f"{does} · ") for line in page.text[0].value.split("\n")] == [True, True]
    runs.set_status(FIRST, "running")
    assert dialog("delete", FIRST).warning[0].value.startswith("bbc-headlines: minilm-l6 → tiny is running.")


def test_runs_without_results_side_by_side(app: App, runs: Store) -> None:
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="Other")
    page = choose(app(PAGE), EVIL, "Other")
    assert "None of these runs is done, so there are no results yet." in words(page)
    assert "None of these runs has a curve: their students have not begun to learn." in " ".join(words(page))
    assert not charts(page)


def test_a_run_without_a_curve_is_named(app: App, runs: Store) -> None:
    looked_at(runs, SECOND, (10, 0.5))
    page = choose(app(PAGE), "Demo", "Warm")
    assert "Without a curve of its student: Demo." in words(page)
