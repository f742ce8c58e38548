"""``kd`` as a whole, and its small commands."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kd_core.deployment import ask
from kd_core.errors import ConfigError, DataError, Stopped
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.process import machine_lock
from tests import SAMPLES
from tests.unit.cli.conftest import RUN, make_run


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("The file 'x.csv' has no rows."), 2, "kd: The file 'x.csv' has no rows.\n"),
        (ConfigError("first", "second"), 2, "kd: first\nkd: second\n"),
        (Stopped("Stopped on request."), 130, "kd: Stopped on request. To go on: kd resume {run}\n"),
        (KeyboardInterrupt(), 130, "\nkd: interrupted\n"),
        (OSError(28, "No space left", "x.bin"), 2, "kd: x.bin: No space left. Check the disk and who may "),
    ],
)
def test_errors_of_a_user_are_a_line_and_a_status(kd, use_engine, error, status, message) -> None:
    def engine(*_: Any) -> Any:
        raise error

    use_engine(engine)
    found = kd("distill")
    (row,) = Store().runs()
    assert (found.status, found.out) == (status, "")
    assert found.err.startswith(message.format(run=row.id))
    assert message.endswith(" ") or found.err == message.format(run=row.id)


def test_fault_of_ours_is_not_hidden(kd, use_engine) -> None:
    use_engine(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kd("distill")


@pytest.mark.parametrize(
    "command", ["predict last", "cascade last", "bench last", "suspects last", "export last --to x"]
)
def test_models_that_are_not_there(kd, monkeypatch, pipe, command: str) -> None:
    make_run(RUN, "failed")
    pipe(b"a text\n")
    problem = f"kd: Run {RUN} is failed, so it has no models yet. Go on with it: kd resume {RUN}\n"
    assert kd(command) == (2, "", problem)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(paths, "folder_id", lambda: "another")
        elsewhere.setattr(socket, "gethostname", lambda: "node7")
        make_run("20260131-150000-c3d4")
    pipe(b"a text\n")
    problem = (
        "kd: The models of run 20260131-150000-c3d4 are in another data folder, on node7; use them there.\n"
    )
    assert kd(command) == (2, "", problem)


@pytest.mark.parametrize("command", ["distill --task reviews.csv", "show nothing"])
@pytest.mark.skipif(sys.platform == "win32", reason="keeps a folder that somebody is in")
def test_working_directory_that_was_deleted(kd, monkeypatch, tmp_path: Path, command: str) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    problem = "kd: The folder that you are in was deleted or moved. Change to another, for example cd.\n"
    assert kd(command) == (2, "", problem)


def test_without_arguments_the_commands_are_shown(kd) -> None:
    status, out, err = kd("")
    assert (status, out) == (2, "")
    for command in ("distill", "models", "predict", "tasks"):
        assert f"\n  {command}" in err


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from kd_core.cli import main; main(['--help']); "
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'pydantic', 'sqlalchemy', 'streamlit'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [("tasks >&- 2>&- <&-", 0, ""), (f"predict {RUN} <&-", 2, "kd: The standard input has no text")],
)
def test_closed_streams(own_environment, command: str, status: int, said: str) -> None:
    started = f"{shlex.quote(sys.executable)} -m kd_core.cli {command}"
    result = subprocess.run(["sh", "-c", started], capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    assert result.stderr.startswith(said)
    assert "Traceback" not in result.stderr


def test_output_of_another_encoding(own_environment) -> None:
    make_run().rename(RUN, "Größe ±1")
    result = subprocess.run(
        [sys.executable, "-m", "kd_core.cli", "runs"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert b"Gr??e ?1" in result.stdout


# Small commands


@pytest.mark.parametrize("command", ["suspects run", "suspects run --marks m.csv", "ask run pool.csv"])
def test_place_that_takes_no_file_is_told_at_once(kd, monkeypatch, tmp_path: Path, command: str) -> None:
    monkeypatch.setattr(sys.modules["kd_core.cli.ask"], "find_finished", lambda run: run)
    for name in ("suspects", "unanswered"):
        monkeypatch.setattr(ask, name, lambda *_: pytest.fail("it began"))
    (filled_in := tmp_path / "marks.csv").write_text("text,mark\na,drop\n")
    below = filled_in / "x"
    assert f"--to {below} cannot be written: Not a directory." in kd(f"{command} --to {below}").err
    assert f"--to {filled_in} exists already; choose a new " in kd(f"{command} --to {filled_in}").err
    assert filled_in.read_text() == "text,mark\na,drop\n"


def test_benchmark_as_tables(kd) -> None:
    store = Store()
    store.create_run(RUN, {"run": RUN}, kind="bench")
    store.save_report(RUN, json.loads((SAMPLES / "bench.json").read_text("utf-8")))
    store.set_status(RUN, "done")
    out = kd(f"show {RUN}").out
    assert "Latency p50 and p95 in ms" in out
    assert "{" not in out


@pytest.mark.parametrize(("command", "said"), [("bench", "Benchmark of"), ("curve", "More texts for")])
def test_measurement_has_the_name_of_its_run(kd, monkeypatch, command: str, said: str) -> None:
    names = []

    def start(*_: Any, kind: str, name: str) -> Any:
        names.append(name)
        raise DataError("That is enough.")

    monkeypatch.setattr(sys.modules[f"kd_core.cli.{command}"], "start", start)
    make_run()
    assert kd(f"{command} {RUN}") == (2, "", "kd: That is enough.\n")
    assert names == [f"{said} about a1b2"]


def test_clean(kd, kd_home: Path) -> None:
    assert kd("clean").out == f"{kd_home}\nNothing takes space yet.\n"
    place = kd_home / "cache" / "plain_start" / "abc"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(bytes(2_500_000))
    lines = ["Students alone, random start 1 2.5 MB 2.5 MB", "kd clean would free 2.5 MB."]
    assert kd("clean --dry-run").lines[-2:] == lines
    with machine_lock():
        refused = kd("clean")
    assert refused == (2, "", "kd: A run is under way on this machine; clean when it has ended.\n")
    assert place.is_dir()
    found = json.loads(kd("clean --json").out)
    assert (found["freed_bytes"], found["items"][0]["path"]) == (2_500_000, str(place))
    assert not place.exists()


@pytest.mark.parametrize(("command", "name"), [("tasks", "bbc-headlines"), ("models", "minilm-l6")])
def test_tasks_and_models(kd, command: str, name: str) -> None:
    found = json.loads(kd(f"{command} --json").out)
    listed = found if command == "tasks" else [*found["teachers"], *found["students"]]
    about = next(one for one in listed if one["name"] == name)
    shown = next(line for line in kd(command).lines if line.startswith(f"{name} "))
    assert about["description"].split()[0] in shown.split()
