"""A link opens no file and asks no Hub; a server with log-in keeps to the folders that it shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.data import uploads
from kd_core.errors import ConfigError
from pages.shared.run_form import consent, plan
from tests import ROOT
from tests.ui.finished import App, read

DISTILL, SEARCH = "build/distill/page.py", "build/search/page.py"
FILMS = ROOT / "assets" / "samples" / "support-messages.csv"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the list of the tasks that are read."""
    names: list[str] = []
    real = plan.load_task
    monkeypatch.setattr(plan, "load_task", lambda config: (names.append(config.name), real(config))[1])
    return names


@pytest.mark.parametrize("page", [DISTILL, SEARCH])
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("distill.task", "/etc/passwd"),
        ("distill.task", "hub:owner/name"),
        ("distill.teacher", "bert-base-uncased"),
        ("distill.student", "/srv/models/secret"),
        ("distill.test_file", "/etc/hosts"),
        ("distill.transfer_file", "/etc/hosts"),
    ],
)
def test_link_alone_opens_nothing(app: App, opened: list[str], page: str, parameter: str, value: str) -> None:
    beside = {"distill.task": str(FILMS)} if parameter.endswith("_file") else {}  # only beside a file
    test = app(page, **{parameter: value}, **beside)
    assert "This link asks to open" in read(test)
    assert value in test.code[0].value.splitlines()
    assert opened == []
    start = next(button for button in test.button if button.key in ("distill.start", "search.start"))
    assert start.disabled


def test_what_was_agreed_to_is_opened(home: Path) -> None:
    def script() -> None:
        import streamlit as st

        from kd_core.config import DistillConfig
        from pages.shared.run_form.consent import consent

        config = DistillConfig().change({"task.name": "/srv/films.csv", "teacher.model": "some/model"})
        st.text("opened" if consent(config, ["some/student"]) else "asked")

    test = AppTest.from_function(script, default_timeout=30).run()
    assert test.code[0].value.splitlines() == ["/srv/films.csv", "some/model", "some/student"]
    assert test.text[0].value == "asked"
    test.button(key="form.agree").click().run()
    assert test.text[0].value == "opened"
    assert not test.warning


def test_typed_name_is_agreed_to(home: Path) -> None:
    def script() -> None:
        from pages.shared.run_form.objective import choose_rest

        choose_rest({"name": "films.csv"})

    test = AppTest.from_function(script, default_timeout=30)
    test.query_params["distill.transfer_file"] = "/of/the/link"
    test.run()
    assert test.text_input(key="distill.transfer_file").value == "/of/the/link"
    assert consent.AGREED not in test.session_state
    test.text_input(key="distill.test_file").set_value("/typed/in").run()
    assert test.session_state[consent.AGREED] == {"/typed/in"}


def test_bundled_and_uploaded_files_need_no_consent() -> None:
    assert consent.outside(DistillConfig()) == []
    root = uploads.root()
    ours = DistillConfig().change({"task.name": str(root / "x" / "a.csv"), "teacher.model": "scratch"})
    assert consent.outside(ours) == []
    above = ours.change({"task.name": str(root / ".." / "a.csv")})
    assert consent.outside(above) == [above.task.name]


def test_server_with_log_in_keeps_to_its_folders(
    app: App, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, other = tmp_path / "shared", tmp_path / "other"
    for folder in (shared, other):
        folder.mkdir()
    (shared / "out").symlink_to(other)
    monkeypatch.setenv("KD_FILES", os.pathsep.join([str(shared), str(tmp_path / "more")]))
    monkeypatch.chdir(tmp_path)
    consent.confine(["hub:owner/name", "some/model", str(shared / "a.csv")])
    outside = ("/etc/passwd", "../x.csv", str(other / "a.csv"), str(shared / "out" / "a.csv"), "other")
    for name in (*outside, "~/x", "hub:/etc"):
        with pytest.raises(ConfigError, match="outside of the folders that it shares"):
            consent.confine([name])
    monkeypatch.setattr(consent, "has_log_in", lambda: True)
    test = app(DISTILL, **{"distill.task": "/etc/passwd"})
    assert "is on this server, outside of the folders that it shares" in read(test)
    assert "/etc/passwd" not in opened
