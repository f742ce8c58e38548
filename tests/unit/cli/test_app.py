"""``kd app``: how the dashboard is started, and who on the network can reach it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit.config

from kd_core.cli import main
from tests import ROOT

pytestmark = pytest.mark.usefixtures("own_environment")


def launched(monkeypatch: pytest.MonkeyPatch, *args: str) -> list[str]:
    """What the process becomes."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append(command))
    assert main(["app", *args]) == 0
    return commands[0]


def test_app_starts_streamlit_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    command = launched(monkeypatch, "--port", "8600")
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert Path(command[4]).name == "app.py"
    assert Path(command[4]).is_file()
    assert command[5:] == ["--server.port", "8600", "--server.address", "127.0.0.1"]


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.2"])
def test_app_on_other_names_of_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert launched(monkeypatch, "--host", host)[-1] == host


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_app_is_not_opened_to_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert main(["app", "--host", host]) == 2
    assert "would open the dashboard to everybody on the network" in capsys.readouterr().err


REHEARSAL = ("--host", "127.0.0.1")


def test_a_classroom_has_a_random_address_and_a_word_for_the_presenter_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KD_CLASSROOM_WORD", "")  # taken back at the end
    monkeypatch.setenv("KD_CLASSROOM_SEATS", "")
    seen = set()
    for _ in range(3):
        command = launched(monkeypatch, "--classroom", "--seats", "30", *REHEARSAL)
        assert Path(command[4]).name == "classroom.py"
        assert Path(command[4]).is_file()
        option = dict(zip(command[5::2], command[6::2], strict=True))
        path, word = option["--server.baseUrlPath"], os.environ["KD_CLASSROOM_WORD"]
        assert option["--server.allowedHosts"] == option["--server.address"] == "127.0.0.1"
        assert option["--client.showErrorDetails"] == "none"
        assert option["--logger.hideWelcomeMessage"] == "true", "the address is said once"
        assert word not in " ".join(command)  # which everybody on this machine can list
        assert os.environ["KD_CLASSROOM_SEATS"] == "30"
        said = capsys.readouterr().out
        assert f"For you:       http://127.0.0.1:8501/{path}/present/{word}\n" in said
        assert f"For everybody: http://127.0.0.1:8501/{path}\n" in said
        assert (len(path), len(word)) == (10, 22)
        seen |= {path, word}
    assert len(seen) == 6


def test_a_classroom_without_a_network_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["kd_core.cli.app"], "local_address", lambda: None)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert main(["app", "--classroom"]) == 2
    assert "this machine is in no network that others could reach it by" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_classroom_is_in_one_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert main(["app", "--classroom", "--host", host]) == 2
    assert f"--host {host} is no address to type" in capsys.readouterr().err


def launched_for_a_team(monkeypatch: pytest.MonkeyPatch, home: Path) -> list[str]:
    (home / ".streamlit").mkdir()
    (home / ".streamlit" / "secrets.toml").write_text('[auth]\nclient_id = "x"\n')
    monkeypatch.setenv("HOME", str(home))
    return launched(monkeypatch, "--host", "0.0.0.0")


def test_app_is_opened_where_people_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = launched_for_a_team(monkeypatch, tmp_path)
    assert command[command.index("--client.showErrorDetails") + 1] == "none"


def test_streamlit_knows_every_option_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of one that it does not know it warns, and goes on: without the rule of who may talk to the server."""
    known = set(streamlit.config.get_config_options())
    started = [*launched_for_a_team(monkeypatch, tmp_path), *launched(monkeypatch, "--classroom", *REHEARSAL)]
    flags = [part[2:] for part in started if part.startswith("--")]
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert "server.allowedHosts" in flags
    assert [option for option in [*flags, *option_names(settings)] if option not in known] == []


def option_names(table: dict[str, Any]) -> Iterator[str]:
    """ "theme.light.textColor" for each value of a table of tables."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in option_names(value))
        else:
            yield name
