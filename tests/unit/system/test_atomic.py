"""Atomic folders and files: complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kd_core.system import atomic
from kd_core.system.atomic import (
    MANIFEST,
    fetch,
    is_abandoned,
    is_whole,
    new_folder,
    remove,
    seal,
    write_bytes,
    write_text,
)


def filled(place: Path) -> Path:
    with new_folder(place) as folder:
        (folder / "a.txt").write_text("alpha")
        (folder / "sub").mkdir()
        (folder / "sub" / "b.bin").write_bytes(b"\x00\x01")
    return place


def test_a_new_folder_appears_complete(tmp_path: Path) -> None:
    place = tmp_path / "new" / "run"
    with new_folder(place) as folder:
        (folder / "a.txt").write_text("alpha")
        assert not place.exists()
        assert folder.parent == place.parent  # a rename is atomic only within a file system
    assert (place / "a.txt").read_text() == "alpha"
    assert is_whole(place)
    assert os.listdir(place.parent) == ["run"]


def test_a_closed_fence_leaves_nothing(tmp_path: Path) -> None:
    @contextmanager
    def fence() -> Iterator[None]:
        raise PermissionError("taken by another process")
        yield

    with pytest.raises(PermissionError, match="taken"), new_folder(tmp_path / "run", fence) as folder:
        (folder / "a.txt").write_text("alpha")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_abandoned_folders(tmp_path: Path) -> None:
    with new_folder(tmp_path / "run") as folder:
        assert not is_abandoned(folder)
    (tmp_path / ".run-0000").mkdir()
    assert is_abandoned(tmp_path / ".run-0000")
    assert not is_abandoned(tmp_path / "gone")


def test_remove_renames_first(tmp_path: Path, monkeypatch) -> None:
    place, found = filled(tmp_path / "run"), []
    rmtree = shutil.rmtree
    monkeypatch.setattr(
        atomic.shutil, "rmtree", lambda *a, **b: (found.append(place.exists()), rmtree(*a, **b))
    )
    assert remove(place)
    assert found == [False]
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="see test_platforms")
def test_a_sealed_folder_is_flushed(tmp_path: Path, monkeypatch) -> None:
    flushed: set[int] = set()
    monkeypatch.setattr(atomic.os, "fsync", lambda handle: flushed.add(os.fstat(handle).st_ino))
    place = filled(tmp_path / "run")
    written = [place, *place.rglob("*"), tmp_path]  # the parent folder holds its name
    assert {path.stat().st_ino for path in written} == flushed


def test_manifest(tmp_path: Path) -> None:
    place = filled(tmp_path / "run")
    assert json.loads((place / MANIFEST).read_text()) == {
        "a.txt": {"bytes": 5, "sha256": hashlib.sha256(b"alpha").hexdigest()},
        "sub/b.bin": {"bytes": 2, "sha256": hashlib.sha256(b"\x00\x01").hexdigest()},
    }


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_keeps_the_older_folder(tmp_path: Path, error: type[BaseException]) -> None:
    place = filled(tmp_path / "run")

    def fail() -> None:
        with new_folder(place) as folder:
            (folder / "a.txt").write_text("other")
            raise error("half way")

    with pytest.raises(error, match="half way"):
        fail()
    assert (place / "a.txt").read_text() == "alpha"
    assert is_whole(place)
    assert os.listdir(tmp_path) == ["run"]


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    place = tmp_path / "run"
    with new_folder(place) as slow:
        (slow / "who").write_text("slow")
        with new_folder(place) as quick:
            (quick / "who").write_text("quick")
    assert (place / "who").read_text() == "quick"
    assert is_whole(place)
    assert os.listdir(tmp_path) == ["run"]


def test_a_file_in_its_place_is_kept(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(NotADirectoryError), new_folder(tmp_path / "run") as folder:
        (folder / "a.txt").write_text("alpha")
    assert (tmp_path / "run").read_text() == "mine"
    assert os.listdir(tmp_path) == ["run"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "marks.csv"
    write_bytes(file, b"old")

    def full_disk(half: Path, content: bytes) -> None:
        half.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    for write, content in ((write_bytes, b"new"), (write_text, "new")):
        with pytest.raises(OSError, match="No space"):
            write(file, content)
        assert file.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["marks.csv"]


def flip(folder: Path) -> None:
    path = folder / "sub" / "b.bin"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def swap(folder: Path) -> None:
    (folder / "a.txt").rename(folder / "c.txt")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flip,
    "a byte more": lambda folder: (folder / "a.txt").write_text("alpha!"),
    "an emptied file": lambda folder: (folder / "a.txt").write_text(""),
    "a missing file": lambda folder: (folder / "a.txt").unlink(),
    "a renamed file": swap,
    "a manifest that is a list": lambda folder: (folder / MANIFEST).write_text('["a.txt"]'),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "half a manifest": lambda folder: (folder / MANIFEST).write_text('{"a.txt": {"by'),
    "a manifest of bytes": lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"),
    "an empty manifest": lambda folder: (folder / MANIFEST).write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_detected(tmp_path: Path, damage: str) -> None:
    place = filled(tmp_path / "run")
    assert is_whole(place)
    DAMAGE[damage](place)
    assert not is_whole(place)


def test_additional_files_are_ignored(tmp_path: Path) -> None:
    place = filled(tmp_path / "run")
    for name in (".DS_Store", "notes of mine.txt", "sub/Thumbs.db"):
        (place / name).write_text("x")
    assert is_whole(place)


def test_links_count_by_their_targets(tmp_path: Path) -> None:
    place = filled(tmp_path / "run")
    outside = tmp_path / "outside"
    (place / "a.txt").rename(outside)
    (place / "a.txt").symlink_to(outside)
    assert is_whole(place)
    outside.write_text("other")
    assert not is_whole(place)
    outside.unlink()
    assert not is_whole(place)


class Maker:
    """Fills a folder and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "result").write_text(f"made {self.calls}")


def test_fetch_builds_once(tmp_path: Path) -> None:
    make, place = Maker(), tmp_path / "teachers" / "one"
    assert fetch(place, make) is False
    assert fetch(place, make) is True
    assert (place / "result").read_text() == "made 1"
    assert fetch(tmp_path / "teachers" / "two", make) is False
    assert make.calls == 2


def test_fetch_rebuilds_a_damaged_folder(tmp_path: Path) -> None:
    make, place = Maker(), tmp_path / "one"
    fetch(place, make)
    (place / "result").write_text("made 9")
    (place / "extra").write_text("left over")
    assert fetch(place, make) is False
    assert (place / "result").read_text() == "made 2"
    assert not (place / "extra").exists()
    assert fetch(place, make) is True


def test_fetch_rebuilds_a_folder_that_another_process_removes(tmp_path: Path, monkeypatch) -> None:
    place = filled(tmp_path / "run")
    monkeypatch.setattr(atomic, "is_whole", lambda folder: shutil.rmtree(folder))
    assert not fetch(place, lambda folder: write_text(folder / "a.txt", "again"))
    assert (place / "a.txt").read_text() == "again"


def test_later_files_count_after_a_seal(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "run")
    place = filled(tmp_path / "run")
    (place / "more.txt").write_text("more")
    assert is_whole(place)
    seal(place)
    (place / "more.txt").write_text("less")
    assert not is_whole(place)
