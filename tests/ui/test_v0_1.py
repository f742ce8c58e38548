"""Runs that version 0.1 has left, on the pages of today."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.run_form import plan
from tests.ui.runs.listed import choose, names, words
from tests.v0_1 import DONE, STOPPED, restore

App = Callable[..., AppTest]
TABS = ("Quality", "Fidelity", "Speed", "Curves", "Reproduce")


@pytest.fixture(autouse=True)
def _left(home: Path) -> None:
    shutil.rmtree(home)
    restore(home)


def test_runs_are_listed_and_compared(app: App) -> None:
    page = app("review/runs/page.py")
    assert names(page) == ["stopped", "search: chosen", "done"]
    settings = choose(page, "stopped", "done").dataframe[1].value
    assert settings.to_dict("index") == {"objective.temperature": {"done": "4.0", "stopped": "2.0"}}


@pytest.mark.parametrize("tab", TABS)
def test_the_report_opens(app: App, tab: str) -> None:
    page = app("review/report/page.py", run=DONE)
    assert "done" in [heading.value for heading in page.title]
    page.session_state["report.tab"] = tab
    assert not page.run().exception


def test_the_report_says_what_it_said(app: App) -> None:
    page = app("review/report/page.py", run=DONE)
    assert any("made no difference that these 15 test texts can show" in word for word in words(page))


def test_the_stopped_run_can_be_resumed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    page = app("build/distill/page.py", run=STOPPED)
    assert not page.exception
    assert page.button(key="live.resume").label == "Resume from the last checkpoint"
