"""What is done with chosen runs: they are opened, duplicated, named, tagged, deleted and brought back."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON
from kd_core.distillation.events import StageStarted
from kd_core.jobs import deletion
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from pages.review.runs import actions
from tests.ui.runs.listed import EVIL, FIRST, FOURTH, PAGE, SECOND, THIRD, App, choose, dialog, names, words


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
    runs.create_run(FOURTH, LESSON.model_dump(mode="json"), name="Busy", status="running")
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


def test_a_running_run_is_open_live(app: App, runs: Store) -> None:
    recorder = Recorder(runs, THIRD)
    recorder(StageStarted("teach"))
    recorder.close()
    page = choose(app(PAGE), EVIL)
    page.button(key="runs.open").click().run()
    assert page.query_params["run"] == THIRD
