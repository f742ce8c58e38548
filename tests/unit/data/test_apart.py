"""Large files are read by another process, which may take so much memory and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from kd_core.config import TaskConfig
from kd_core.data import apart, load_task
from kd_core.data.apart import read_file
from kd_core.data.read import read_table
from kd_core.errors import DataError

ROWS = "".join(f"A good film {i};pos\nA bad film {i};neg\n" for i in range(30))
FILMS = f"text;label\n{ROWS}".encode()


@pytest.fixture(autouse=True)
def all_files_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "FROM_BYTES", 1)


def test_the_other_process_gives_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = read_table(FILMS, "films.csv")
    monkeypatch.chdir(tmp_path)
    Path("random.py").write_text("raise SystemExit")  # no module of the working directory is run
    there = read_file(FILMS, "films.csv")
    assert there.frame.equals(here.frame)
    assert there.frame.index.name == "line"
    assert replace(there, frame=None) == replace(here, frame=None)


def test_tasks_are_read_by_the_other_process_with_its_errors(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(apart, "read_table", lambda *_, **__: pytest.fail("it is read here"))
    (tmp_path / "films.csv").write_bytes(FILMS.replace(b"good", "café".encode("latin-1")))
    with pytest.raises(DataError, match=r"^films\.csv is not utf-8 text: byte 0xe9") as error:
        load_task(TaskConfig(name=str(tmp_path / "films.csv")))
    assert error.value.settings == ("encoding",)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to a limit")
def test_a_file_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the watch, it is the limit of the system that acts."""
    monkeypatch.setattr(apart, "MOST_MEMORY", 20_000_000)
    monkeypatch.setattr(apart, "_watch", lambda process, limit: process.wait(60))
    says = r"^films\.csv needs more than 20 MB of memory, or 5 minutes, to be read\. Give a sample"
    with pytest.raises(DataError, match=says):
        read_file(b"text,label\n" + b"x" * 40_000_000 + b",y", "films.csv")


@pytest.mark.parametrize(("memory", "seconds"), [(1_000_000, 60), (10**10, 0.1)])
def test_the_watch_ends_what_takes_too_much_memory_or_time(memory, seconds, monkeypatch) -> None:
    monkeypatch.setattr(apart, "LONGEST", seconds)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    apart._watch(process, memory)
    assert process.returncode not in (0, None), "0: it slept to its end"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says = (
        rf"^films\.csv cannot be read, since nothing can be written to {tempfile.gettempdir()}: "
        r"No space left on device\. Free some space there, or choose another folder with TMPDIR\.$"
    )
    with monkeypatch.context() as patch:
        patch.setattr(apart, "DATA", "/dev/full")
        with pytest.raises(DataError, match=says):
            read_file(FILMS, "films.csv")
    monkeypatch.setattr(apart, "ROWS", "/dev/full")
    monkeypatch.setattr(apart, "_limit_memory", lambda limit: None)
    (tmp_path / apart.DATA).write_bytes(FILMS)
    (tmp_path / apart.ASKED).write_text(json.dumps({"name": "films.csv", "limit": 10**9, "options": {}}))
    apart._main(tmp_path)
    assert "No space left on device" in (tmp_path / apart.REST).read_text()
