from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit.config

from tests import ROOT

Launch = Callable[[str], list[str]]
# Streamlit reads its settings once, from the current folder: here, because tests change the folder.
KNOWN = set(streamlit.config.get_config_options())


@pytest.fixture
def launched(kd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Launch:
    """``launched("--port 1")``: what the process becomes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("WORD", "SEATS"):
        monkeypatch.setenv(f"KD_CLASSROOM_{name}", "")  # taken back at the end
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append(command))

    def launch(flags: str) -> list[str]:
        assert kd(f"app {flags}").status == 0
        return commands[-1]

    return launch


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_app_on_this_machine(launched: Launch, host: str) -> None:
    flags = "" if host == "127.0.0.1" else f" --host {host}"
    command = launched(f"--port 8600{flags}")
    assert command[:5] == [sys.executable, "-P", "-m", "streamlit", "run"]  # no file of this folder is run
    assert Path(command[5]).name == "app.py"
    assert Path(command[5]).is_file()
    assert command[6:] == ["--server.port", "8600", "--server.address", host]


OPEN = "would open the dashboard to everybody on the network"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        *((f"--host {host}", OPEN) for host in ("0.0.0.0", "192.168.1.5", "::", "example.org", "''")),
        *((f"--classroom --host {host}", " is no address to type") for host in ("0.0.0.0", "::", "''")),
        ("--classroom", "this machine is in no network that others could reach it by"),
    ],
)
def test_refused_addresses(kd, monkeypatch, tmp_path, flags: str, problem: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["kd_core.cli.app"], "local_address", lambda: None)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    status, _, err = kd(f"app {flags}")
    assert (status, problem in err) == (2, True)


def test_classroom_has_a_random_address_and_a_word_for_the_presenter(launched: Launch, kd) -> None:
    seen = set()
    for _ in range(3):
        command = launched("--classroom --seats 30 --host 127.0.0.1")
        assert Path(command[5]).name == "classroom.py"
        assert Path(command[5]).is_file()
        option = dict(zip(command[6::2], command[7::2], strict=True))
        path, word = option["--server.baseUrlPath"], os.environ["KD_CLASSROOM_WORD"]
        assert option["--server.allowedHosts"] == option["--server.address"] == "127.0.0.1"
        assert option["--client.showErrorDetails"] == "none"
        assert option["--logger.hideWelcomeMessage"] == "true", "the address is said once"
        assert word not in " ".join(command)  # which everybody on this machine can list
        assert os.environ["KD_CLASSROOM_SEATS"] == "30"
        assert (len(path), len(word)) == (10, 22)
        seen |= {path, word}
    assert len(seen) == 6
    said = kd("app --classroom --host 127.0.0.1").out
    word = os.environ["KD_CLASSROOM_WORD"]
    address = said.partition("For everybody: ")[2].splitlines()[0]
    assert address.startswith("http://127.0.0.1:8501/")
    assert f"For you:       {address}/present/{word}\n" in said


def test_app_is_opened_where_people_log_in(launched: Launch, tmp_path: Path) -> None:
    """Streamlit only warns of an option that it does not know, and would ignore who may reach the server."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text('[auth]\nclient_id = "x"\n')
    command = launched("--host 0.0.0.0")
    assert command[command.index("--client.showErrorDetails") + 1] == "none"
    started = [*command, *launched("--classroom --host 127.0.0.1")]
    flags = [part[2:] for part in started if part.startswith("--")]
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert "server.allowedHosts" in flags
    assert [option for option in [*flags, *option_names(settings)] if option not in KNOWN] == []


def option_names(table: dict[str, Any]) -> Iterator[str]:
    """Yield "theme.light.textColor" for each value of a table of tables."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in option_names(value))
        else:
            yield name
