"""Large files are read by another process, which may take so much memory and no more."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kd_core.config import TaskConfig
from kd_core.data import apart, load_task
from kd_core.data.apart import read_file
from kd_core.data.read import read_table
from kd_core.errors import DataError

ROWS = "".join(f"A good film {i};pos\nA bad film {i};neg\n" for i in range(30))
FILMS = f"text;label\n{ROWS}".encode()


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "FROM_BYTES", 1)


def test_it_gives_the_same_table() -> None:
    here, there = read_table(FILMS, "films.csv"), read_file(FILMS, "films.csv")
    pd.testing.assert_frame_equal(there.frame, here.frame)
    assert there.frame.index.name == "line"
    rest = [{key: value for key, value in asdict(one).items() if key != "frame"} for one in (here, there)]
    assert rest[0] == rest[1]
    assert there.notes == ("films.csv: columns are separated by semicolons, not commas.",)


def test_a_task_is_read_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "films.csv").write_bytes(FILMS)
    monkeypatch.setattr(apart, "read_table", lambda *_, **__: pytest.fail("it is read here"))
    assert load_task(TaskConfig(name=str(tmp_path / "films.csv"))).labels == ("neg", "pos")


def test_no_module_that_lies_in_the_working_directory_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("random.py").write_text("open('it-was-run', 'w'); raise SystemExit")
    assert len(read_file(FILMS, "films.csv").frame) == 60
    assert not Path("it-was-run").exists()


def test_its_errors_are_those_of_here() -> None:
    latin = FILMS.replace(b"good", "caf\u00e9".encode("latin-1"))
    with pytest.raises(DataError, match=r"^films\.csv is not utf-8 text: byte 0xe9") as error:
        read_file(latin, "films.csv")
    assert error.value.settings == ("encoding",)
    assert read_file(latin, "films.csv", encoding="latin-1").frame["text"].iloc[0] == "A caf\u00e9 film 0"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to a limit")
def test_a_file_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MOST_MEMORY", 20_000_000)
    # So it is the limit that acts.
    monkeypatch.setattr(apart, "_watch", lambda process, limit: process.wait(60))
    with pytest.raises(
        DataError, match=r"^films\.csv needs more than 20 MB of memory, or 5 minutes, to be read"
    ):
        read_file(b"text,label\n" + b"x" * 40_000_000 + b",y", "films.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to a limit")
def test_many_small_pieces_do_not_reach_the_limit_before_they_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where they do, Python 3.11 may raise MemoryError for ever: it has no room to handle it."""
    monkeypatch.setattr(apart, "MOST_MEMORY", 400_000_000)
    monkeypatch.setattr(apart, "LONGEST", 60.0)
    ends = []

    def watch(process: subprocess.Popen[bytes], limit: int, watch: Any = apart._watch) -> None:
        watch(process, limit)
        ends.append(process.returncode)

    monkeypatch.setattr(apart, "_watch", watch)
    with pytest.raises(DataError, match="needs more than 400 MB of memory"):
        read_file(b"text,label\n" + b"x,y\n" * 4_000_000, "films.csv")
    assert ends == [-signal.SIGKILL], "it is ended from outside, not by an error of its own"


def test_where_there_is_no_limit_a_watchdog_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows."""
    monkeypatch.setattr(sys, "platform", "darwin")
    apart._limit_memory(1)  # which would end this very process
    bytearray(100_000_000)
    eats = "import time; room = b'x' * 200_000_000; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", eats])
    apart._watch(process, 100_000_000)
    assert process.returncode not in (0, None), "0: it had its room, and slept to its end"


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "LONGEST", 0.2)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    apart._watch(process, 10**10)
    assert process.returncode not in (0, None), "0: it had its room, and slept to its end"


def test_a_process_that_was_killed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_watch", lambda process, limit: (process.kill(), process.wait()))
    with pytest.raises(DataError, match=r"^films\.csv needs more than [\d,]+ MB of memory"):
        read_file(FILMS, "films.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a disk that is always full")
def test_a_full_folder_for_temporary_files_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "DATA", "/dev/full")
    with pytest.raises(
        DataError,
        match=rf"^films\.csv cannot be read, since nothing can be written to {tempfile.gettempdir()}: "
        r"No space left on device\. Free some space there, or choose another folder with TMPDIR\.$",
    ):
        read_file(FILMS, "films.csv")
    with monkeypatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(apart, "DATA", "data")
        patch.setattr(apart, "ROWS", "/dev/full")
        (place := Path(folder)).joinpath("data").write_bytes(FILMS)
        asked = {"name": "films.csv", "limit": 10**9, "options": {}}
        place.joinpath(apart.ASKED).write_text(json.dumps(asked))
        patch.setattr(apart, "_limit_memory", lambda limit: None)
        apart._main(place)
        assert "No space left on device" in place.joinpath(apart.REST).read_text()
