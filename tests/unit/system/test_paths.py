"""The data folder: its permissions, its id, and places where it cannot be."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import uploads
from kd_core.distillation import run_folder
from kd_core.jobs.room import check_room
from kd_core.jobs.runner_state import RunnerState
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.process import machine_lock

ROWS = "".join(f"Good film {i},pos\nBad film {i},neg\n" for i in range(10))
FILMS = {"name": uploads.Upload("films.csv", f"text,label\n{ROWS}".encode())}
CONFIG = DistillConfig()

FIRST: dict[str, Callable[[], object]] = {
    "a list of runs": lambda: Store().runs(),
    "a lock": machine_lock,
    "an upload": lambda: uploads.save(FILMS, TaskConfig()),
    "a run": lambda: run_folder.begin(paths.work() / "x", CONFIG, CONFIG),
    "a dashboard": lambda: RunnerState().set(""),
    "a look at the disk": check_room,
}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("what", FIRST)
def test_the_data_folder_is_private_whatever_creates_it(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    before = os.umask(0o022)
    try:
        FIRST[what]()
    finally:
        os.umask(before)
    assert stat.S_IMODE(kd_home.stat().st_mode) == 0o700


def test_a_data_folder_keeps_its_id_when_moved(
    kd_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.folder_id() == ""
    paths.make_home()
    first = paths.folder_id()
    assert len(first) == 16
    paths.make_home()
    assert paths.folder_id() == first
    assert os.listdir(kd_home) == [paths.ID]
    kd_home.rename(tmp_path / "moved")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "moved"))
    paths.make_home()
    assert paths.folder_id() == first
    monkeypatch.setenv("KD_HOME", str(tmp_path / "another"))
    paths.make_home()
    assert paths.folder_id() not in ("", first)


def test_the_first_of_two_ids_wins(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kd_home.mkdir()
    (kd_home / paths.ID).write_text("of the first")
    paths._give_id(kd_home / paths.ID)
    assert paths.folder_id() == "of the first"
    (kd_home / paths.ID).unlink()

    def no_links(*_: object) -> None:
        raise OSError("no links on this disk")

    monkeypatch.setattr(os, "link", no_links)
    paths.make_home()
    assert len(paths.folder_id()) == 16
    assert os.listdir(kd_home) == [paths.ID]


def test_paths_in_a_moved_data_folder(kd_home: Path) -> None:
    file = kd_home / "data" / "0a1b-films" / "films.csv"
    file.parent.mkdir(parents=True)
    file.write_text("text,label\n")
    for old in ("/old/home/data/0a1b-films/films.csv", "/data/kd/data/0a1b-films/films.csv"):
        assert paths.moved(Path(old)) == file
    for other in ("/old/data/other.csv", "/x/../data/0a1b-films/films.csv", "data/0a1b-films/films.csv"):
        assert paths.moved(Path(other)) == Path(other)
    assert paths.moved(file) == file


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_data_folder_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file", "link", "loop"):
        monkeypatch.setenv("KD_HOME", str(tmp_path / name))
        with pytest.raises(NotADirectoryError, match="It is a file, or a link that leads nowhere"):
            paths.make_home()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("file/x", "Not a directory"),
        ("x" * 250, "File name too long"),
        ("link", "It is a link that leads nowhere"),
        pytest.param(
            "/proc/x", "No such file", marks=pytest.mark.skipif(sys.platform != "linux", reason="/proc")
        ),
    ],
)
def test_places_that_cannot_be_created(tmp_path: Path, place: str, says: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(OSError, match=says):
        paths.try_place(tmp_path / place)


def test_a_missing_drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(OSError, match="There is no such drive"):
        paths.try_place(tmp_path / "x")


def test_try_place_leaves_nothing(tmp_path: Path) -> None:
    paths.try_place(tmp_path / "new" / "folder" / "x.csv")
    assert list(tmp_path.iterdir()) == []
