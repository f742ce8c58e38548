"""The list of runs under test: which are in it, what the page says, ticking rows, and its dialogs."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.distillation.events import Evaluated
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store

App = Callable[..., AppTest]
PAGE = "review/runs/page.py"
FIRST, SECOND, THIRD = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"
FOURTH = "20260131-170000-0000"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ :material/home:"


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
