"""``kd`` as a whole: exit statuses, streams, and what all its commands have in common."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.distillation.events import OnEvent
from kd_core.errors import ConfigError, DataError, Stopped
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.control import Control
from tests.unit.cli.scripted import RUN, Engine, FakeReport, make_run, pipe, use_engine

pytestmark = pytest.mark.usefixtures("own_environment")


def raises(error: BaseException) -> Engine:
    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        raise error

    return engine


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("The file 'x.csv' has no rows."), 2, "kd: The file 'x.csv' has no rows.\n"),
        (ConfigError("first", "second"), 2, "kd: first\nkd: second\n"),
        (Stopped("Stopped on request."), 130, "kd: Stopped on request. To go on: kd resume {run}\n"),
        (KeyboardInterrupt(), 130, "\nkd: interrupted\n"),
    ],
)
def test_what_went_wrong_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    use_engine(monkeypatch, raises(error))
    assert main(["distill"]) == status
    captured = capsys.readouterr()
    (row,) = Store().runs()
    assert (captured.out, captured.err) == ("", message.format(run=row.id))


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch, raises(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["distill"])


@pytest.mark.parametrize(
    "command", [["predict"], ["cascade"], ["bench"], ["suspects"], ["export", "--to", "x"]]
)
def test_the_models_of_a_run_that_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    store = Store()
    store.create_run(RUN, {}, status="running")
    store.set_status(RUN, "failed")
    pipe(monkeypatch, b"a text\n")
    assert main([command[0], "last", *command[1:]]) == 2
    expected = f"kd: Run {RUN} is failed, so it has no models yet. Go on with it: kd resume {RUN}\n"
    assert capsys.readouterr().err == expected
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(paths, "folder_id", lambda: "another")
        elsewhere.setattr(socket, "gethostname", lambda: "node7")
        make_run(store, "20260131-150000-c3d4")
    pipe(monkeypatch, b"a text\n")
    assert main([command[0], "last", *command[1:]]) == 2
    expected = (
        "kd: The models of run 20260131-150000-c3d4 are in another data folder, on node7; use them there.\n"
    )
    assert capsys.readouterr().err == expected


@pytest.mark.skipif(sys.platform == "win32", reason="keeps a folder that somebody is in")
def test_the_folder_that_one_is_in_was_deleted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for arguments in (["distill", "--task", "reviews.csv"], ["show", "nothing"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == (
            "kd: The folder that you are in was deleted or moved. Change to another, for example cd.\n"
        )


def test_alone_it_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for command in ("distill", "models", "predict", "tasks"):
        assert f"\n  {command}" in captured.err


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from kd_core.cli import main; main(['--help']); "
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'pydantic', 'sqlalchemy', 'streamlit'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "kd_core.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("kd, version ")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("tasks >&-", 0, ""),
        ("tasks 2>&- <&-", 0, ""),
        ("delete 20260131-143000-a1b2 <&-", 2, "kd: Nobody is there to ask"),
        ("predict 20260131-143000-a1b2 <&-", 2, "kd: The standard input has no text"),
    ],
)
def test_it_may_be_started_with_closed_streams(kd_home: Path, command: str, status: int, said: str) -> None:
    started = f"{shlex.quote(sys.executable)} -m kd_core.cli {command}"
    result = subprocess.run(["sh", "-c", started], capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    assert result.stderr.startswith(said)
    assert "Traceback" not in result.stderr


def test_an_output_of_another_encoding_gets_what_it_can_show(kd_home: Path) -> None:
    make_run(store := Store(), "20260131-143000-a1b2")
    store.rename("20260131-143000-a1b2", "Größe ±1")
    result = subprocess.run(
        [sys.executable, "-m", "kd_core.cli", "runs"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert b"Gr??e ?1" in result.stdout
