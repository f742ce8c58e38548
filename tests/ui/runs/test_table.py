"""The table of runs: what a row says, filters, what is chosen, and what else the page offers."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON
from kd_core.jobs.store import Store
from pages.review.runs import table
from pages.shared import written
from tests import without_gold
from tests.ui.charts import alts
from tests.ui.runs.listed import (
    EVIL,
    FIRST,
    FOURTH,
    PAGE,
    SECOND,
    THIRD,
    App,
    choose,
    dialog,
    looked_at,
    names,
    words,
)


def test_without_runs_it_says_what_to_do(app: App) -> None:
    page = app(PAGE)
    assert page.markdown[0].value.startswith("All distillations: find them")
    assert page.info[0].value.startswith("No runs yet. Set up a distillation")
    assert "Set up a distillation" in [link.proto.label for link in page.get("page_link")]


def test_a_row_opens_its_own_run_though_others_came_meanwhile(app: App, runs: Store) -> None:
    page = app(PAGE)
    place = names(page).index("Warm")
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="Newer")
    page.session_state[table.OPENED] = {"row": place}
    page.run()
    assert not page.exception
    assert page.title[0].value == "Warm"


def test_a_run_that_is_judged_by_macro_f1_is_not_shown_in_accuracy(app: App, runs: Store, report) -> None:
    assert not {"metric", "measures"} & set(app(PAGE).dataframe[0].value)
    training = {**report["config"]["training"], "metric": "macro_f1"}
    runs.save_report(SECOND, report | {"config": {**report["config"], "training": training}})
    page = app(PAGE)
    table = page.dataframe[0].value.set_index("name")
    assert table.loc[["Warm", "Demo"], "measures"].tolist() == ["macro-F1", "accuracy"]
    assert pd.isna(table.loc[EVIL, "measures"])
    student = report["student"]
    assert table.loc["Warm", "student"] == round(100 * student["macro_f1"], 1)
    assert table.loc["Demo", "student"] == round(100 * student["accuracy"], 1)
    choose(page, "Warm", "Demo")
    assert any("Warm, in macro-F1: +3.6 points" in alt for alt in alts(page))
    runs.save_report(FIRST, without_gold(report))
    assert app(PAGE).dataframe[0].value.set_index("name").loc["Demo", "measures"] == "agreement"


def test_a_row_of_before_has_accuracies_and_says_what_its_gain_is_in(
    app: App, runs: Store, home: Path
) -> None:
    older = """UPDATE runs SET summary = json_set(summary, '$.metric', 'macro_f1', '$.score', json('{}'))"""
    with closing(sqlite3.connect(home / "kd.sqlite")) as database:
        database.execute(f"{older} WHERE id = ?", (FIRST,))
        database.commit()
    table = app(PAGE).dataframe[0].value.set_index("name")
    assert table.loc["Demo", "metric"] == "macro-F1"
    assert table.loc["Demo", "student"] == round(100 * runs.run(FIRST).accuracy["student"], 1)


def test_a_gain_over_hard_answers_is_called_so(app: App, runs: Store, report) -> None:
    runs.save_report(SECOND, without_gold(report))
    page = choose(app(PAGE), "Warm", "Demo")
    warm = "Warm, in agreement over hard answers: +3.6 points"
    assert any(warm in alt and "Demo: +3.6" in alt for alt in alts(page))


def test_the_time_that_a_stopped_run_lay_is_not_its_time(app: App, runs: Store, report) -> None:
    took = app(PAGE).dataframe[0].value.set_index("name").loc["Demo", "took"]
    assert took == pytest.approx(sum(report["seconds"].values()) / 60)


def test_the_table_newest_first(app: App, runs: Store) -> None:
    page = app(PAGE)
    assert names(page) == [EVIL, "Warm", "Demo"]
    table = page.dataframe[0].value
    demo = table.iloc[2]
    assert (demo["status"][0], demo["verdict"][0]) == ("Done", "Better"), "of one seed"
    assert [round(demo[who], 1) for who in ("student", "teacher", "alone", "gain")] == [87.6, 87.6, 84.0, 3.6]
    assert demo["interval"] == "+0.6 to +6.7"
    assert table["open"].tolist() == ["Open", "Report", "Report"]
    assert unquote(demo["picture"]).startswith("data:image/svg+xml,<svg ")
    assert pd.isna(table["picture"][0])  # it has no result
    assert (demo["temperature"], demo["alpha"], demo["task"], demo["model"]) == (
        4,
        0.3,
        "bbc-headlines",
        "tiny",
    )
    assert table["verdict"][1][0] == "No difference shown"
    assert (table["status"][0][0], len(table["verdict"][0]), table["task"][0]) == ("Failed", 0, "mine.csv")
    assert "0 of 3 runs chosen" in words(page)


def test_a_temperature_that_was_left_open_is_the_reports(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    left_open = LESSON.change({"objective.temperature": "auto"}).model_dump(mode="json")
    for run_id in ("20260401-120000-abcd", "20260402-120000-abcd"):  # the second one is under way
        runs.create_run(run_id, left_open)
    runs.set_status("20260401-120000-abcd", "done")
    found = report["config"] | {"objective": report["config"]["objective"] | {"temperature": 1.0}}
    runs.save_report("20260401-120000-abcd", report | {"config": found})
    page = app(PAGE)
    shown = page.dataframe[0].value["temperature"]
    assert pd.isna(shown[0])
    assert shown[1] == 1
    key = page.dataframe[0].proto.id.rpartition("-")[2]
    page.session_state[key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run().button(key="runs.duplicate").click().run()
    assert not page.exception
    assert page.slider(key="distill.temperature").value == 1


def test_a_loss_has_a_real_minus_sign_and_is_sorted_as_a_number(
    app: App, runs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = app(PAGE).dataframe[0]
    said = pa.ipc.open_stream(shown.proto.arrow_data.styler.display_values).read_pandas()
    assert said["gain"].tolist() == ["–", "−0.4", "+3.6"]
    assert [round(gain, 1) for gain in shown.value["gain"].dropna()] == [-0.4, 3.6]
    monkeypatch.setattr(written, "MOST", 2)
    assert not app(PAGE).dataframe[0].proto.arrow_data.HasField("styler"), "too many would take seconds"


def test_on_a_phone_names_break_their_lines_and_the_gain_is_in_view(
    app: App, runs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = app(PAGE)
    monkeypatch.setattr(table, "on_a_phone", lambda: True)
    narrow = app(PAGE)

    def widths(page: AppTest) -> list[int]:
        columns = json.loads(page.dataframe[0].proto.columns)
        return [columns[name]["width"] for name in ("name", "open", "picture")]

    boxes, phone = 33, 390 - 2 * 16
    assert sum(widths(narrow)) + boxes <= phone < sum(widths(wide)) + boxes
    assert narrow.dataframe[0].proto.row_height > 64, "from there on Streamlit breaks lines"
    assert 'viewBox="0 0 150 75"' in unquote(narrow.dataframe[0].value["picture"][2])


def test_the_sparkline_is_the_students_validation_accuracy(app: App, runs: Store) -> None:
    looked_at(runs, SECOND, (10, 0.5), (20, 0.75))
    assert list(app(PAGE).dataframe[0].value["curve"][1]) == [0.5, 0.75]


def test_search_and_filters(app: App, runs: Store) -> None:
    page = app(PAGE)
    page.text_input(key="runs.text").set_value("warm").run()
    assert names(page) == ["Warm"]
    page.text_input(key="runs.text").set_value("").run()
    page.multiselect(key="runs.status").set_value(["failed"]).run()
    assert names(page) == [EVIL]
    page.selectbox(key="runs.task").set_value("bbc-headlines").run()
    assert page.info[0].value == "No run matches these filters. Clear one of them to see more."
    page.multiselect(key="runs.status").set_value([]).run()
    assert names(page) == ["Warm", "Demo"]
    page.multiselect(key="runs.verdict").set_value(["Better"]).run()
    assert names(page) == ["Demo"]
    page.multiselect(key="runs.verdict").set_value(["Helped", "Hurt"]).run()
    assert page.info[0].value == "No run matches these filters. Clear one of them to see more."


def test_a_search_is_in_the_link(app: App, runs: Store) -> None:
    assert names(app(PAGE, **{"runs.text": "demo"})) == ["Demo"]


def test_what_was_chosen_stays_chosen_when_the_list_changes(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo")
    assert "1 of 3 runs chosen" in words(page)
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="New")
    page.run()
    assert names(page)[0] == "New"
    assert page.session_state["runs.chosen"] == [FIRST]


def test_a_comparison_is_in_the_link(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo", "Warm")
    link = page.query_params["chosen"]
    assert link == [SECOND, FIRST]
    other = app(PAGE, chosen=link)
    assert "2 of 3 runs chosen" in words(other)
    assert other.subheader[0].value == "Side by side"
    assert "chosen" not in choose(other).query_params


def test_a_name_is_never_markdown(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo", EVIL)
    page.button(key="runs.delete").click().run()
    assert not [text for text in words(page) if "![" in text or "<b>" in text]


def test_disk_space_is_freed(app: App, runs: Store, home: Path) -> None:
    spare = home / "cache" / "knowledge" / ("0" * 32)
    spare.mkdir(parents=True)
    (spare / "data").write_bytes(b"0" * 1_500_000)
    page = app(PAGE)
    page.session_state["runs.disk"] = True
    page.run()
    assert not page.exception
    button = page.button(key="runs.clean")
    assert button.label == "Free 1.5 MB"
    button.click().run()
    assert not spare.exists()
    assert page.button(key="runs.clean").label == "Nothing to free"


def test_a_row_that_cannot_be_read_is_listed_and_can_be_deleted(app: App, runs: Store, home: Path) -> None:
    with closing(sqlite3.connect(home / "kd.sqlite")) as database:
        database.execute("UPDATE runs SET config = '[]' WHERE id = ?", (SECOND,))
        database.commit()
    page = app(PAGE)
    assert not page.exception
    assert page.dataframe[0].value[["name", "status"]].to_numpy().tolist() == [
        [EVIL, ["Failed"]],
        ["Warm", ["Cannot be read"]],
        ["Demo", ["Done"]],
    ]
    page = choose(page, "Warm")
    assert not page.exception
    assert page.warning[0].value.startswith(f"Run {SECOND} cannot be read: ")
    assert page.button(key="runs.duplicate").disabled
    dialog("delete", SECOND).button(key="runs.delete_yes").click().run()
    assert [run.id for run in runs.runs()] == [THIRD, FIRST]


def test_runs_that_only_their_folders_know_are_offered(
    app: App, runs: Store, home: Path, report: dict[str, Any]
) -> None:
    folder = home / "runs" / FOURTH
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report | {"run_id": FOURTH}), encoding="utf-8")
    page = app(PAGE)
    assert any("1 folder of finished work in" in said for said in words(page))
    page.button(key="runs.index").click().run()
    assert not page.exception
    assert FOURTH in [run.id for run in runs.runs()]
    assert "runs.index" not in [button.key for button in page.button]
