"""The list of runs: filters, what is chosen, side by side, names and tags, deletion, disk space."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DEMO
from kd_core.distillation.events import Evaluated, StageStarted
from kd_core.jobs import deletion
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from kd_core.search.ladder import LadderConfig
from pages.review.runs import actions, compare, table
from tests import SAMPLES, without_gold
from tests.ui.charts import alts, charts

App = Callable[..., AppTest]
PAGE = "review/runs/page.py"
FIRST, SECOND, THIRD = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"
FOURTH = "20260131-170000-0000"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ :material/home:"


@pytest.fixture
def report() -> dict[str, Any]:
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))


@pytest.fixture
def runs(store: Store, report: dict[str, Any]) -> Store:
    """Oldest first: "Demo", done; "Warm", done at T = 8, no difference; a failed one with an evil name."""
    demo = DEMO.change({"objective.temperature": 4.0})
    store.create_run(FIRST, demo.model_dump(mode="json"), name="Demo")
    store.save_report(FIRST, report)
    store.set_status(FIRST, "done")
    warm = DEMO.change({"objective.temperature": 8.0, "training.seeds": [0, 1]})
    store.create_run(SECOND, warm.model_dump(mode="json"), name="Warm")
    verdict = report["verdict"] | {"kind": "no_difference", "delta": -0.004, "low": -0.03, "high": 0.02}
    store.save_report(SECOND, report | {"verdict": verdict})
    store.set_status(SECOND, "done")
    own = DEMO.change({"task.name": "/data/mine.csv"})
    store.create_run(THIRD, own.model_dump(mode="json"), name=EVIL)
    store.set_status(THIRD, "failed", "The loss became NaN.")
    return store


def looked_at(runs: Store, run_id: str, *looks: tuple[int, float]) -> None:
    """The distilled student's validation accuracy at some steps."""
    recorder = Recorder(runs, run_id)
    for step, accuracy in looks:
        recorder(Evaluated("student", 0, step, accuracy, 1.0))
    recorder.close()


def choose(app: AppTest, *wanted: str) -> AppTest:
    """What a click on the boxes of these rows leaves behind."""
    key = app.dataframe[0].proto.id.rpartition("-")[2]
    rows = [names(app).index(name) for name in wanted]
    app.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    app.run()
    assert not app.exception
    return app


def names(app: AppTest) -> list[str]:
    assert not app.exception
    return app.dataframe[0].value["name"].tolist()


def words(app: AppTest) -> list[str]:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error)
    return [element.value for kind in kinds for element in kind]


def test_without_runs_it_says_what_to_do(app: App) -> None:
    page = app(PAGE)
    assert page.info[0].value.startswith("No runs yet. Set up a distillation")
    assert "Set up a distillation" in [link.proto.label for link in page.get("page_link")]


def test_a_row_opens_its_own_run_though_others_came_meanwhile(app: App, runs: Store) -> None:
    page = app(PAGE)
    place = names(page).index("Warm")
    runs.create_run(FOURTH, DEMO.model_dump(mode="json"), name="Newer")
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
    assert table.loc["Warm", "student"] == pytest.approx(100 * student["macro_f1"])
    assert table.loc["Demo", "student"] == pytest.approx(100 * student["accuracy"])
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
    assert table.loc["Demo", "student"] == pytest.approx(100 * runs.run(FIRST).accuracy["student"])


def test_a_gain_over_hard_answers_is_called_so(app: App, runs: Store, report) -> None:
    runs.save_report(SECOND, without_gold(report))
    page = choose(app(PAGE), "Warm", "Demo")
    assert any("Warm over hard answers: +3.6 points" in alt and "Demo: +3.6" in alt for alt in alts(page))


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
    assert table["verdict"][1][0] == "No difference"
    assert (table["status"][0][0], len(table["verdict"][0]), table["task"][0]) == ("Failed", 0, "mine.csv")
    assert "0 of 3 runs chosen" in words(page)


def test_a_temperature_that_was_left_open_is_the_reports(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    left_open = DEMO.change({"objective.temperature": "auto"}).model_dump(mode="json")
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
    written = pa.ipc.open_stream(shown.proto.arrow_data.styler.display_values).read_pandas()
    assert written["gain"].tolist() == ["–", "−0.4", "+3.6"]
    assert [round(gain, 1) for gain in shown.value["gain"].dropna()] == [-0.4, 3.6]
    monkeypatch.setattr(table, "MOST_SIGNED", 2)
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


def test_a_search_is_in_the_link(app: App, runs: Store) -> None:
    assert names(app(PAGE, **{"runs.text": "demo"})) == ["Demo"]


def test_what_was_chosen_stays_chosen_when_the_list_changes(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo")
    assert "1 of 3 runs chosen" in words(page)
    runs.create_run(FOURTH, DEMO.model_dump(mode="json"), name="New")
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


def test_buttons_fit_what_is_chosen(app: App, runs: Store) -> None:
    page = app(PAGE)
    keys = ("runs.open", "runs.name", "runs.duplicate", "runs.resume", "runs.delete")
    assert [page.button(key=key).disabled for key in keys] == [True] * 5
    choose(page, "Demo")
    assert [page.button(key=key).disabled for key in keys] == [False, False, False, True, False]
    assert page.button(key="runs.open").label == "Open report"
    choose(page, EVIL)
    assert page.button(key="runs.open").label == "Open live view"
    assert page.button(key="runs.resume").disabled is False
    choose(page, "Demo", "Warm")
    assert [page.button(key=key).disabled for key in keys] == [True, True, True, True, False]


def test_open_leads_to_the_report(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo")
    page.button(key="runs.open").click().run()
    assert page.title[0].value == "Demo"
    assert page.query_params["run"] == FIRST


def test_duplicate_fills_the_form(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Warm")
    page.button(key="runs.duplicate").click().run()
    assert not page.exception
    assert page.slider(key="distill.temperature").value == 8


def test_resume_puts_a_run_into_the_queue(app: App, runs: Store) -> None:
    choose(app(PAGE), EVIL).button(key="runs.resume").click().run()
    assert runs.run(THIRD).status == "queued"


def dialog(name: str, *ids: str) -> AppTest:
    """A dialog by itself: a rerun of the page would close it, which in a browser only a fragment reruns."""

    def script(name: str, ids: tuple[str, ...]) -> None:
        from pages.review.runs import actions
        from pages.shared.state import store

        there = {run.id: run for run in store().runs()}
        runs = [there[run_id] for run_id in ids if run_id in there]
        if runs and name == "edit":
            actions.edit(runs[0])
        elif runs:
            actions.ask_delete(runs)

    app = AppTest.from_function(script, args=(name, ids), default_timeout=30).run()
    assert not app.exception
    return app


def test_rename_and_tag(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo")
    page.button(key="runs.name").click().run()
    assert page.text_input(key="runs.edit_name").value == "Demo"
    page = dialog("edit", FIRST)
    page.text_input(key="runs.edit_name").set_value("Better")
    page.multiselect(key="runs.edit_tags").set_value(["paper"])
    page.button[0].click().run()
    assert not page.exception
    run = runs.run(FIRST)
    assert (run.name, run.tags) == ("Better", ("paper",))


def test_two_tabs_that_name_and_tag_one_run_lose_nothing_of_each_other(runs: Store) -> None:
    def script(run_id: str) -> None:
        import streamlit as st

        from pages.review.runs import actions
        from pages.shared.state import store

        if "opened" not in st.session_state:  # a dialog keeps the row with which it was opened
            st.session_state.opened = store().run(run_id)
        actions.edit(st.session_state.opened)

    runs.change_tags(FIRST, add=["old", "kept"])
    tabs = [AppTest.from_function(script, args=(FIRST,), default_timeout=30).run() for _ in range(3)]
    for tab, name, tags in zip(
        tabs,
        ("Better", "Best", "Demo"),
        (["old", "kept", "mine"], ["kept", "yours"], ["old", "kept"]),
        strict=True,
    ):
        tab.text_input(key="runs.edit_name").set_value(name)
        tab.multiselect(key="runs.edit_tags").set_value(tags)
        tab.button[0].click().run()
        assert not tab.exception
        assert not tab.error
    run = runs.run(FIRST)
    assert (run.name, run.tags) == ("Best", ("kept", "mine", "yours"))


def test_delete_asks_once(app: App, runs: Store, home: Path) -> None:
    (home / "runs" / SECOND).mkdir(parents=True)
    page = choose(app(PAGE), "Warm", EVIL)
    page.button(key="runs.delete").click().run()
    assert "These 2 runs will be deleted:" in words(page)
    evil, warm = page.text[0].value.split("\n")
    assert evil.startswith(f"{EVIL} · mine.csv: minilm-l6 → tiny · ")
    assert warm.startswith("Warm · bbc-headlines: minilm-l6 → tiny · ")
    assert len(runs.runs()) == 3
    assert "With their models and reports. They can be brought back" in " ".join(words(page))
    assert "With its models and reports. It can be" in dialog("delete", SECOND).caption[0].value
    dialog("delete", SECOND, THIRD).button(key="runs.delete_yes").click().run()
    assert [run.id for run in runs.runs()] == [FIRST]
    assert not (home / "runs" / SECOND).exists()


def test_what_was_deleted_comes_back(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND, THIRD):
        deletion.delete_run(runs, run_id)
    page = app(PAGE)
    page.session_state[actions.DELETED] = [FIRST, SECOND]  # what the dialog leaves
    page.run()
    assert "2 runs deleted." in words(page)
    page.button(key="runs.undo").click().run()
    assert not page.exception
    assert [run.id for run in runs.runs()] == [SECOND, FIRST]
    assert "runs.undo" not in [button.key for button in page.button]
    page.multiselect(key="runs.status").set_value(["deleted"]).run()
    choose(page, EVIL).button(key="runs.bring").click().run()
    assert [run.id for run in runs.runs()] == [THIRD, SECOND, FIRST]


def test_where_all_runs_are_deleted_they_are_listed_to_be_brought_back(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND, THIRD):
        deletion.delete_run(runs, run_id)
    page = app(PAGE)
    assert "All runs are deleted. Tick one to bring it back." in words(page)
    page.text_input(key="runs.text").set_value("demo").run()
    assert names(page) == ["Demo"]
    page.text_input(key="runs.text").set_value("").run()
    choose(page, "Demo").button(key="runs.bring").click().run()
    assert [run.id for run in runs.runs()] == [FIRST]
    assert names(page.run()) == ["Demo"]


def test_undo_after_another_tab_brought_one_back_and_another_was_cleaned(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND, THIRD):
        deletion.delete_run(runs, run_id)
    page = app(PAGE)
    page.session_state[actions.DELETED] = [FIRST, SECOND, THIRD]
    page.run()
    deletion.restore_run(runs, FIRST)
    deletion.restore_run(runs, THIRD)
    runs.forget_deleted()
    deletion.delete_run(runs, THIRD)
    page.button(key="runs.undo").click().run()
    assert not page.exception
    (error,) = page.error
    assert error.value.startswith(f"There is no deleted run {SECOND}; ")
    assert [run.id for run in runs.runs()] == [THIRD, FIRST]
    assert "runs.undo" not in [button.key for button in page.run().button]


def test_what_another_tab_deleted_meanwhile_keeps_none_of_the_others(runs: Store) -> None:
    def script(*ids: str) -> None:
        import streamlit as st

        from pages.review.runs import actions
        from pages.shared.state import store

        if "rows" not in st.session_state:  # a dialog keeps those with which it was opened
            st.session_state["rows"] = [store().run(run_id) for run_id in ids]
        actions.ask_delete(st.session_state["rows"])

    page = AppTest.from_function(script, args=(SECOND, THIRD), default_timeout=30).run()
    deletion.delete_run(runs, SECOND)
    page.button(key="runs.delete_yes").click().run()
    assert [error.value for error in page.error] == [f"There is no run {SECOND}; it may have been deleted."]
    assert [run.id for run in runs.runs()] == [FIRST]
    assert page.session_state[actions.DELETED] == [THIRD]


def test_a_running_run_is_not_deleted(app: App, runs: Store) -> None:
    runs.create_run(FOURTH, DEMO.model_dump(mode="json"), name="Busy", status="running")
    page = choose(app(PAGE), "Busy", "Demo")
    page.button(key="runs.delete").click().run()
    assert page.warning[0].value == "Busy is running. Stop it before you delete it."
    assert "runs.delete_yes" not in [button.key for button in page.button]


def test_a_run_that_began_while_the_dialog_was_open(runs: Store) -> None:
    page = dialog("delete", THIRD)
    runs.set_status(THIRD, "running")
    page.button(key="runs.delete_yes").click().run()
    assert page.warning[0].value.endswith("is running. Stop it before you delete it.")
    assert len(runs.runs()) == 3


def test_two_runs_side_by_side_fit_on_a_phone(app: App, runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "on_a_phone", lambda: True)
    results = choose(app(PAGE), "Demo", "Warm").dataframe[2]
    columns = json.loads(results.proto.columns)
    assert sum(columns[name]["width"] for name in ("_index", "Demo", "Warm")) <= 390 - 2 * 16
    assert [columns[name]["pinned"] for name in ("Demo", "Warm")] == [True, False]
    assert results.proto.row_height > 64, "from there on Streamlit breaks lines"


def test_side_by_side_says_what_auto_has_become(app: App, runs: Store, report: dict[str, Any]) -> None:
    own = DEMO.change({"objective.temperature": "auto"})
    runs.create_run(FOURTH, own.model_dump(mode="json"), name="Left open")
    made = report["config"]["objective"] | {"temperature": 2.0}
    runs.save_report(FOURTH, report | {"config": report["config"] | {"objective": made}})
    runs.set_status(FOURTH, "done")
    settings = choose(app(PAGE), "Demo", "Left open").dataframe[1].value
    assert settings.loc["objective.temperature"].tolist() == ["4.0", "2.0 (auto)"]


def test_side_by_side_a_setting_of_a_ladder_is_no_number_with_seven_zeros(app: App, runs: Store) -> None:
    rung = LadderConfig(distill=DEMO.change({"training.steps": 1_000})).rung("tiny")
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


def test_side_by_side_says_what_a_gain_is_in(app: App, runs: Store, report: dict[str, Any]) -> None:
    report["config"]["training"]["metric"] = "macro_f1"
    runs.save_report(FIRST, report)
    results = choose(app(PAGE), "Demo", "Warm").dataframe[2].value
    assert results["Demo"]["Gain over its control"] == "+3.6 points of macro-F1 (+0.6 to +6.7)"
    assert results["Warm"]["Gain over its control"] == "−0.4 points (−3.0 to +2.0)"


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


def test_students_of_different_test_texts_are_not_compared(app: App, runs: Store, home: Path) -> None:
    recorded(home, FIRST, [True, False])
    recorded(home, SECOND, [True, True], text="another")
    page = choose(app(PAGE), "Demo", "Warm")
    assert any("have different test texts" in text for text in words(page))


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
    assert gains == ["bbc-headlines:…→ tiny (a1b2)", "bbc-headlines:…→ tiny (c3d4)"], "on pictures, too"
    page.button(key="runs.delete").click().run()
    assert [line.startswith(f"{does} · ") for line in page.text[0].value.split("\n")] == [True, True]
    runs.set_status(FIRST, "running")
    assert dialog("delete", FIRST).warning[0].value.startswith("bbc-headlines: minilm-l6 → tiny is running.")


def test_runs_without_results_side_by_side(app: App, runs: Store) -> None:
    runs.create_run(FOURTH, DEMO.model_dump(mode="json"), name="Other")
    page = choose(app(PAGE), EVIL, "Other")
    assert "None of these runs is done, so there are no results yet." in words(page)
    assert "None of these runs has a curve: their students have not begun to learn." in " ".join(words(page))
    assert not charts(page)


def test_a_run_without_a_curve_is_named(app: App, runs: Store) -> None:
    looked_at(runs, SECOND, (10, 0.5))
    page = choose(app(PAGE), "Demo", "Warm")
    assert "Without a curve of its student: Demo." in words(page)


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


def test_a_running_run_is_open_live(app: App, runs: Store) -> None:
    recorder = Recorder(runs, THIRD)
    recorder(StageStarted("teach"))
    recorder.close()
    page = choose(app(PAGE), EVIL)
    page.button(key="runs.open").click().run()
    assert page.query_params["run"] == THIRD


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
