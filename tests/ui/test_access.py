"""A server that others can reach lets in only those who log in."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests import ROOT

CLIENT = {
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": "not a secret",
    "client_id": "kd",
    "client_secret": "not one either",
    "server_metadata_url": "http://127.0.0.1:9/.well-known/openid-configuration",
}


def visit(**secrets: object) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "main.py"), default_timeout=30)
    for name, value in secrets.items():
        test.secrets[name] = value
    return test.run()


@pytest.fixture
def on_every_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    get = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0" if name == "server.address" else get(name))


def test_a_server_of_this_machine_asks_for_nothing(home: Path) -> None:
    assert [button.label for button in visit().button if "Run the demo" in button.label]


@pytest.mark.usefixtures("home", "on_every_interface")
def test_without_a_log_in_nobody_gets_in() -> None:
    test = visit()
    assert "can be reached from the network, but no log-in is configured" in test.error[0].value
    assert not test.button


@pytest.mark.usefixtures("home")
def test_with_a_log_in_a_stranger_sees_only_its_button() -> None:
    test = visit(auth=CLIENT)
    assert [button.label for button in test.button] == ["Log in"]
    assert [title.value for title in test.title] == ["KD Studio"]
