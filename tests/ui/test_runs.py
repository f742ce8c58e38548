"""The Runs page: its table and filters, what is done with chosen runs, and runs side by side."""

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
import streamlit as st
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON
from kd_core.distillation.events import Evaluated
from kd_core.jobs import deletion
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from kd_core.search.ladder import NEVER
from kd_core.system.formatting import percent
from pages.review.runs import actions, table
from pages.shared import written
from tests import without_gold
from tests.ui.charts import alts, charts
from tests.ui.finished import EVIL, App, finish, inert, keys, links, numbers, read, sample

PAGE = "review/runs/page.py"
FIRST, SECOND, THIRD = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"
FOURTH = "20260131-170000-0000"


@pytest.fixture
def runs(store: Store) -> Store:
    """Adds "Demo", done; "Warm", done at T = 8 without a difference; and a failed run with an evil name."""
    finish(store, FIRST, name="Demo", objective__temperature=4.0)
    verdict = sample()["verdict"] | {"kind": "no_difference", "delta": -0.004, "low": -0.03, "high": 0.02}
    report = sample() | {"verdict": verdict}
    finish(store, SECOND, report, "Warm", objective__temperature=8.0, training__seeds=[0, 1])
    own = LESSON.change({"task.name": "/data/mine.csv"})
    store.create_run(THIRD, own.model_dump(mode="json"), name=EVIL)
    store.set_status(THIRD, "failed", "The loss became NaN.")
    return store


def looked_at(runs: Store, run_id: str, *looks: tuple[int, float]) -> None:
    """Records the distilled student's validation accuracy at some steps."""
    recorder = Recorder(runs, run_id)
    for step, accuracy in looks:
        recorder(Evaluated("student", 0, step, accuracy, 1.0))
    recorder.close()


def names(page: AppTest) -> list[str]:
    assert not page.exception
    return page.dataframe[0].value["name"].tolist()


def choose(page: AppTest, *wanted: str) -> AppTest:
    """Ticks the rows of these names, as a click does."""
    rows = [row for row, name in enumerate(names(page)) if name in wanted]
    key = page.dataframe[0].proto.id.rpartition("-")[2]
    page.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    page.run()
    assert not page.exception
    return page


def side_by_side(app: App, *wanted: str) -> tuple[AppTest, pd.DataFrame, pd.DataFrame | None]:
    """Returns the page, the settings that differ, and the results."""
    page = choose(app(PAGE), *wanted)
    _, settings, *results = (frame.value for frame in page.dataframe)
    return page, settings, results[0] if results else None


def row(page: AppTest, name: str) -> pd.Series[Any]:
    return page.dataframe[0].value.set_index("name").loc[name]


def dialog(name: str, *ids: str) -> AppTest:
    """Opens a dialog by itself: AppTest reruns whole pages, which closes it."""

    def script(name: str, ids: tuple[str, ...]) -> None:
        import streamlit as st

        from pages.review.runs import actions
        from pages.shared.state import store

        if "rows" not in st.session_state:  # a dialog keeps those with which it was opened
            there = {run.id: run for run in store().runs()}  # which holds those that cannot be read, too
            st.session_state["rows"] = [there[run_id] for run_id in ids]
        if rows := st.session_state["rows"]:
            actions.edit(rows[0]) if name == "edit" else actions.ask_delete(rows)

    page = AppTest.from_function(script, args=(name, ids), default_timeout=30).run()
    assert not page.exception
    return page


# The table


def test_without_runs(app: App) -> None:
    page = app(PAGE)
    assert page.markdown[0].value.startswith("All distillations: find them")
    assert page.info[0].value.startswith("No runs yet. Set up a distillation")
    assert "Set up a distillation" in links(page)


def test_table_newest_first(app: App, runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at(runs, SECOND, (10, 0.5), (20, 0.75))
    page = app(PAGE)
    assert names(page) == [EVIL, "Warm", "Demo"]
    inert(page)
    shown = page.dataframe[0].value
    assert not {"metric", "measures"} & set(shown), "all are judged by accuracy"
    assert shown["status"].str[0].tolist() == ["Failed", "Done", "Done"]
    verdicts = [list(verdict) for verdict in shown["verdict"]]
    assert verdicts == [[], ["No difference shown"], ["Better"]], "better: of one seed"
    assert shown["open"].tolist() == ["Open", "Report", "Report"]
    assert shown["task"].tolist() == ["mine.csv", "bbc-headlines", "bbc-headlines"]
    demo = shown.iloc[2]
    assert [round(demo[who], 1) for who in ("student", "teacher", "alone", "gain")] == [87.6, 87.6, 84.0, 3.6]
    assert demo[["interval", "temperature", "alpha", "model"]].tolist() == ["+0.6 to +6.7", 4, 0.3, "tiny"]
    assert demo["took"] == pytest.approx(sum(sample()["seconds"].values()) / 60)
    assert unquote(demo["picture"]).startswith("data:image/svg+xml,<svg ")
    assert pd.isna(shown["picture"][0]), "it has no result"
    assert list(shown["curve"][1]) == [0.5, 0.75]
    said = pa.ipc.open_stream(page.dataframe[0].proto.arrow_data.styler.display_values).read_pandas()
    assert said["gain"].tolist() == ["–", "−0.4", "+3.6"], "with a real minus sign"
    assert [round(gain, 1) for gain in shown["gain"].dropna()] == [-0.4, 3.6]
    monkeypatch.setattr(written, "MOST", 2)
    assert not app(PAGE).dataframe[0].proto.arrow_data.HasField("styler"), "too many would take seconds"


def test_runs_that_are_judged_by_something_else(app: App, runs: Store, home: Path) -> None:
    report = sample()
    report["config"]["training"]["metric"] = "macro_f1"
    runs.save_report(SECOND, report)
    page = app(PAGE)
    warm, demo = row(page, "Warm"), row(page, "Demo")
    assert (warm["measures"], demo["measures"]) == ("macro-F1", "accuracy")
    assert pd.isna(row(page, EVIL)["measures"])
    assert warm["student"] == round(100 * report["student"]["macro_f1"], 1)
    assert demo["student"] == round(100 * report["student"]["accuracy"], 1)
    assert any("Warm, in macro-F1: +3.6 points" in alt for alt in alts(choose(page, "Warm", "Demo")))
    runs.save_report(SECOND, without_gold(sample()))
    page = choose(app(PAGE), "Warm", "Demo")
    assert row(page, "Warm")["measures"] == "agreement"
    warm = "Warm, in agreement over hard answers: +3.6 points"
    assert any(warm in alt and "Demo: +3.6" in alt for alt in alts(page))


def test_temperature_that_was_left_open_is_the_reports(app: App, runs: Store) -> None:
    report = sample()
    report["config"]["objective"]["temperature"] = 1.0
    finish(runs, FOURTH, report, "Found", objective__temperature="auto")
    runs.create_run("20260131-180000-0000", runs.run(FOURTH).config, name="Under way")
    page = app(PAGE)
    assert pd.isna(row(page, "Under way")["temperature"])
    assert row(page, "Found")["temperature"] == 1
    choose(page, "Found").button(key="runs.duplicate").click().run()
    assert not page.exception
    assert page.slider(key="distill.temperature").value == 1


def test_filters(app: App, runs: Store) -> None:
    page = app(PAGE, **{"runs.text": "warm"})
    assert names(page) == ["Warm"]
    page.text_input(key="runs.text").set_value("").run()
    page.multiselect(key="runs.status").set_value(["failed"]).run()
    assert names(page) == [EVIL]
    page.selectbox(key="runs.task").set_value("bbc-headlines").run()
    assert "No run matches these filters. Clear one of them to see more." in read(page)
    page.multiselect(key="runs.status").set_value([]).run()
    assert names(page) == ["Warm", "Demo"]
    page.multiselect(key="runs.verdict").set_value(["Better"]).run()
    assert names(page) == ["Demo"]
    page.multiselect(key="runs.verdict").set_value(["Helped", "Hurt"]).run()
    assert "No run matches these filters." in read(page)


def test_choice_stays_and_is_in_the_link(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo", "Warm")
    assert page.query_params["chosen"] == [SECOND, FIRST]
    other = app(PAGE, chosen=[SECOND, FIRST])
    assert "2 of 3 runs chosen" in read(other)
    assert other.subheader[0].value == "Side by side"
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="New")
    assert names(other.run())[0] == "New"
    assert other.session_state["runs.chosen"] == [SECOND, FIRST]
    assert "chosen" not in choose(other).query_params


def test_row_opens_its_run_though_others_came_meanwhile(app: App, runs: Store) -> None:
    page = app(PAGE)
    place = names(page).index("Warm")
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="Newer")
    page.session_state[table.OPENED] = {"row": place}
    assert page.run().title[0].value == "Warm"


def test_row_that_cannot_be_read(app: App, runs: Store, home: Path) -> None:
    with closing(sqlite3.connect(home / "kd.sqlite")) as database:
        database.execute("UPDATE runs SET config = '[]' WHERE id = ?", (SECOND,))
        database.commit()
    page = app(PAGE)
    assert names(page) == [EVIL, "Warm", "Demo"]
    assert row(page, "Warm")["status"] == ["Cannot be read"]
    page = choose(page, "Warm")
    assert page.warning[0].value.startswith(f"Run {SECOND} cannot be read: ")
    assert page.button(key="runs.duplicate").disabled
    dialog("delete", SECOND).button(key="runs.delete_yes").click().run()
    assert [run.id for run in runs.runs()] == [THIRD, FIRST]


def test_disk_space_is_freed(app: App, runs: Store, home: Path) -> None:
    spare = home / "cache" / "knowledge" / ("0" * 32)
    spare.mkdir(parents=True)
    (spare / "data").write_bytes(b"0" * 1_500_000)
    page = app(PAGE)
    page.session_state["runs.disk"] = True
    button = page.run().button(key="runs.clean")
    assert button.label == "Free 1.5 MB"
    button.click().run()
    assert not spare.exists()
    assert page.button(key="runs.clean").label == "Nothing to free"


def test_folders_without_a_row_are_offered(app: App, runs: Store, home: Path) -> None:
    folder = home / "runs" / FOURTH
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(sample() | {"run_id": FOURTH}), encoding="utf-8")
    page = app(PAGE)
    assert "1 folder of finished work in" in read(page)
    page.button(key="runs.index").click().run()
    assert not page.exception
    assert FOURTH in [run.id for run in runs.runs()]
    assert "runs.index" not in keys(page)


# What is done with chosen runs


@pytest.mark.parametrize(
    ("chosen", "disabled", "label"),
    [
        ([], ["open", "name", "duplicate", "resume", "delete"], "Open report"),
        (["Demo"], ["resume"], "Open report"),
        ([EVIL], [], "Open live view"),
        (["Demo", "Warm"], ["open", "name", "duplicate", "resume"], "Open report"),
    ],
    ids=["none", "done", "failed", "two"],
)
def test_buttons_fit_the_choice(
    app: App, runs: Store, chosen: list[str], disabled: list[str], label: str
) -> None:
    page = choose(app(PAGE), *chosen)
    buttons = ("open", "name", "duplicate", "resume", "delete")
    assert [key for key in buttons if page.button(key=f"runs.{key}").disabled] == disabled
    assert page.button(key="runs.open").label == label
    assert f"{len(chosen)} of 3 runs chosen" in read(page)


def test_open_and_resume(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo").button(key="runs.open").click().run()
    assert (page.title[0].value, page.query_params["run"]) == ("Demo", FIRST)
    page = choose(app(PAGE), EVIL).button(key="runs.open").click().run()
    assert (page.title[0].value, page.query_params["run"]) == ("Distill", THIRD)
    choose(app(PAGE), EVIL).button(key="runs.resume").click().run()
    assert runs.run(THIRD).status == "queued"


def test_tabs_that_name_and_tag_one_run_lose_nothing_of_each_other(app: App, runs: Store) -> None:
    page = choose(app(PAGE), "Demo").button(key="runs.name").click().run()
    assert page.text_input(key="runs.edit_name").value == "Demo"
    runs.change_tags(FIRST, add=["old", "kept"])
    tabs = [dialog("edit", FIRST) for _ in range(3)]
    edits = (("Better", ["old", "kept", "mine"]), ("Best", ["kept", "yours"]), ("Demo", ["old", "kept"]))
    for tab, (name, tags) in zip(tabs, edits, strict=True):
        tab.text_input(key="runs.edit_name").set_value(name)
        tab.multiselect(key="runs.edit_tags").set_value(tags)
        tab.button[0].click().run()
        assert not [*tab.exception, *tab.error]
    run = runs.run(FIRST)
    assert (run.name, run.tags) == ("Best", ("kept", "mine", "yours"))


def test_delete_asks_once_and_can_be_undone(app: App, runs: Store, home: Path) -> None:
    (home / "runs" / SECOND).mkdir(parents=True)
    page = choose(app(PAGE), "Warm", EVIL).button(key="runs.delete").click().run()
    inert(page)
    assert "These 2 runs will be deleted:" in read(page)
    evil, warm = page.text[0].value.split("\n")
    assert evil.startswith(f"{EVIL} · mine.csv: minilm-l6 → tiny · ")
    assert warm.startswith("Warm · bbc-headlines: minilm-l6 → tiny · ")
    assert "With their models and reports. They can be brought back" in read(page)
    assert len(runs.runs()) == 3
    assert "With its models and reports. It can be" in dialog("delete", SECOND).caption[0].value
    page = dialog("delete", SECOND, THIRD).button(key="runs.delete_yes").click().run()
    assert [run.id for run in runs.runs()] == [FIRST]
    assert not (home / "runs" / SECOND).exists()
    left = page.session_state[actions.DELETED]
    page = app(PAGE)
    page.session_state[actions.DELETED] = left
    assert "2 runs deleted." in read(page.run())
    page.button(key="runs.undo").click().run()
    assert [run.id for run in runs.runs()] == [THIRD, SECOND, FIRST]
    assert "runs.undo" not in keys(page)


def test_deleted_runs_are_brought_back_from_the_list(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND, THIRD):
        deletion.delete_run(runs, run_id)
    page = app(PAGE)
    assert "All runs are deleted. Tick one to bring it back." in read(page)
    page.text_input(key="runs.text").set_value("demo").run()
    assert names(page) == ["Demo"]
    page.text_input(key="runs.text").set_value("").run()
    choose(page, "Demo").button(key="runs.bring").click().run()
    assert names(page.run()) == ["Demo"]
    page.multiselect(key="runs.status").set_value(["deleted"]).run()
    choose(page, EVIL).button(key="runs.bring").click().run()
    assert [run.id for run in runs.runs()] == [THIRD, FIRST]


def test_other_tabs_delete_and_bring_back_meanwhile(app: App, runs: Store) -> None:
    page = dialog("delete", SECOND, THIRD)
    deletion.delete_run(runs, SECOND)
    page.button(key="runs.delete_yes").click().run()
    assert f"There is no run {SECOND}; it may have been deleted." in read(page)
    assert [run.id for run in runs.runs()] == [FIRST], "the other one was deleted all the same"
    assert page.session_state[actions.DELETED] == [THIRD]
    deletion.delete_run(runs, FIRST)
    page = app(PAGE)
    page.session_state[actions.DELETED] = [FIRST, SECOND, THIRD]
    page.run()
    deletion.restore_run(runs, FIRST)
    deletion.restore_run(runs, THIRD)
    runs.forget_deleted()
    deletion.delete_run(runs, THIRD)
    page.button(key="runs.undo").click().run()
    (error,) = page.error
    assert error.value.startswith(f"There is no deleted run {SECOND}; ")
    assert [run.id for run in runs.runs()] == [THIRD, FIRST]
    assert "runs.undo" not in keys(page.run())


def test_running_run_is_not_deleted(app: App, runs: Store) -> None:
    page = dialog("delete", THIRD)
    runs.set_status(THIRD, "running")
    page.button(key="runs.delete_yes").click().run()
    assert f"Run {THIRD} is running; stop it before you delete it." in read(page)
    assert len(runs.runs()) == 3
    page = choose(app(PAGE), EVIL, "Demo").button(key="runs.delete").click().run()
    assert f"{EVIL} is running. Stop it before you delete it." in read(page)
    assert "runs.delete_yes" not in keys(page)
    inert(page)


# Side by side


def test_settings_and_results_that_differ(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND):
        looked_at(runs, run_id, (10, 0.5))
    page, settings, results = side_by_side(app, "Demo", "Warm")
    assert settings.to_dict("index") == {
        "objective.temperature": {"Demo": "4.0", "Warm": "8.0"},
        "training.seeds": {"Demo": "0", "Warm": "0, 1"},
    }
    assert list(results) == ["Demo", "Warm"], "the baseline first"
    assert results["Demo"]["Accuracy, distilled student"] == "87.6 % ± 2.8"
    assert "Accuracy, distilled on hard answers" not in results.index, "which none of them has"
    assert results["Demo"]["Gain over its control"] == "+3.6 points (+0.6 to +6.7)"
    assert results["Warm"]["Gain over its control"] == "−0.4 points (−3.0 to +2.0)"
    curves = "Accuracy of the distilled students over the training steps"
    assert alts(page) == ["Demo: +3.6 points; Warm: −0.4 points", curves]


def test_settings_that_were_left_open_or_have_words(app: App, runs: Store) -> None:
    report = sample()
    report["config"]["objective"]["temperature"] = 2.0
    report["config"]["teacher"]["layers"] = 6
    changes = {"task__name": "/data/sixty.csv", "task__train_texts": 200, "teacher__layers": 9}
    changes |= {"training__evaluate_every": NEVER, "training__steps": 1_000, "controls__shifted": False}
    finish(runs, FOURTH, report, "Other", objective__temperature="auto", **changes)
    settings = side_by_side(app, "Demo", "Other")[1]
    assert settings.loc["objective.temperature"].tolist() == ["4.0", "2.0 (auto)"]
    assert settings.loc["task.train_texts"].tolist() == ["all", "200"]
    other = settings["Other"]
    assert (other["teacher.layers"], other["task.name"]) == ("6", "sixty.csv")
    assert (other["training.evaluate_every"], other["training.steps"]) == ("at its end alone", "1,000")
    assert other["controls.shifted"] == "off"


def test_gains_of_an_f1(app: App, runs: Store) -> None:
    report = sample()
    report["config"]["training"]["metric"] = "macro_f1"
    runs.save_report(FIRST, report)
    results = side_by_side(app, "Demo", "Warm")[2]
    assert results["Demo"]["Gain over its control"] == "+3.6 points of macro-F1 (+0.6 to +6.7)"
    assert results["Warm"]["Gain over its control"] == "−0.4 points (−3.0 to +2.0)"
    shown = results.loc["Macro-F1, distilled student"].tolist()
    assert shown == [percent(report["student"]["macro_f1"]), "–"], "the other is not judged by it"


def recorded(home: Path, run_id: str, right: list[bool], text: str = "text") -> None:
    """Writes a run's answers to its test texts, of one seed."""
    folder = home / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    answers = [[1.0, 0.0] if correct else [0.0, 1.0] for correct in right]
    texts = [f"{text} {number}" for number in range(len(right))]
    rows = pd.DataFrame({"text": texts, "label": [0] * len(right), "student-0": answers})
    rows.to_parquet(folder / "predictions.parquet")


def test_students_are_compared_text_by_text(app: App, runs: Store, home: Path) -> None:
    recorded(home, FIRST, [True] * 60 + [False] * 40)
    recorded(home, SECOND, [True] * 80 + [False] * 20)
    page = choose(app(PAGE), "Demo", "Warm")
    assert alts(page)[1] == "Warm: +20.0 points (+10.9 to +30.9)"
    fewer = "Seeds are compared in pairs. Warm has another number of seeds, so that only the first ones"
    assert fewer in read(page)
    (box,) = (box for box in page.selectbox if box.label == "Baseline")
    box.set_value("Warm").run()
    assert alts(page)[1] == "Demo: −20.0 points (−30.9 to −10.9)"
    assert list(page.dataframe[1].value.columns) == ["Warm", "Demo"]
    recorded(home, SECOND, [True] * 100, text="another")
    st.cache_data.clear()
    assert "Warm and Demo have different test texts" in read(choose(app(PAGE), "Demo", "Warm"))


def test_runs_of_one_name_are_told_apart(app: App, runs: Store) -> None:
    for run_id in (FIRST, SECOND):
        runs.rename(run_id, "")
    does = "bbc-headlines: minilm-l6 → tiny"
    page = app(PAGE)
    assert names(page) == [EVIL, does, does]
    choose(page, does)
    assert list(page.dataframe[1].value.columns) == [f"{does} (a1b2)", f"{does} (c3d4)"]


def test_runs_without_results_or_curves(app: App, runs: Store) -> None:
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="Other")
    page = choose(app(PAGE), EVIL, "Other")
    assert "None of these runs is done, so there are no results yet." in read(page)
    assert "None of these runs has a curve: their students have not begun to learn." in read(page)
    assert not charts(page)
    assert not numbers(page)
    looked_at(runs, SECOND, (10, 0.5))
    assert "Without a curve of its student: Demo." in read(choose(app(PAGE), "Demo", "Warm"))
