"""What takes space, and what may go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kd_core.cli import main
from kd_core.errors import RunError
from kd_core.jobs import cleaning
from kd_core.jobs.cleaning import Item, clean, inventory
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.store import Store
from kd_core.system import cache, paths
from kd_core.system.atomic import new_folder
from kd_core.system.process import machine_lock
from tests.unit.distillation.reported import report
from tests.unit.jobs.space.folders import CONFIG, OTHER, RUN, folder, found


def test_an_exported_bundle_may_go(store):
    place = folder("exports", f"{RUN}-0a1b2c3d")
    folder("cache", "onnx", "a")
    assert found(store) == {
        "cache/onnx/a": (True, "no run refers to it"),
        f"exports/{RUN}-0a1b2c3d": (True, "can be made again"),
    }
    assert [item.kind for item in inventory(store)] == ["onnx", "exports"]
    assert clean(inventory(store), store) == 2000
    assert not place.exists()


def test_the_cache_is_kept_for_runs(store):
    folder("runs", RUN, caches="teachers/a\nalone/b\nalone/b\n")
    folder("work", OTHER, caches="knowledge/c\n")
    store.create_run(OTHER, CONFIG, status="interrupted")
    for place in ("teachers/a", "teachers/x", "alone/b", "alone/y", "knowledge/c", "scores/z"):
        folder("cache", *place.split("/"))
    needed, spare = (False, "a run refers to it"), (True, "no run refers to it")
    assert found(store) == {
        f"runs/{RUN}": (False, ""),
        "cache/teachers/a": needed,
        "cache/teachers/x": spare,
        "cache/knowledge/c": needed,
        "cache/alone/b": needed,
        "cache/alone/y": spare,
        "cache/scores/z": spare,
        f"work/{OTHER}": (False, "the run can be resumed"),
    }


def test_what_each_teacher_of_a_lab_is_made_of_is_kept_until_the_lab_is_done(store):
    folder("work", RUN, caches="teachers/own\n")
    folder("work", RUN, "2 epochs, seed 0", caches="teachers/early\n")
    store.create_run(RUN, {"lab": "cho2019"}, kind="lab", status="interrupted")
    for name in ("own", "early", "x"):
        folder("cache", "teachers", name)
    kept = [item.path.name for item in inventory(store) if item.kind == "teachers" and not item.removable]
    assert kept == ["early", "own"]


def test_a_run_that_did_not_note_it_still_has_its_teacher(store):
    report().write(folder("runs", RUN))
    folder("cache", "teachers", report().teacher_key)
    assert found(store)[f"cache/teachers/{report().teacher_key}"] == (False, "a run refers to it")


@pytest.mark.parametrize(
    ("status", "days", "expected"),
    [
        ("done", 0, (True, "the run is done")),
        ("running", 9, (False, "the run is under way")),
        ("paused", 9, (False, "the run is under way")),
        ("stopped", 9, (False, "the run can be resumed")),
        ("failed", 9, (False, "the run can be resumed")),
        (None, 2, (True, "no such run")),
        (None, 0.5, (False, "may be in use")),
    ],
)
def test_checkpoints(store, status, days, expected):
    if status:
        store.create_run(RUN, CONFIG, status=status)
    folder("work", RUN, days=days)
    assert found(store) == {f"work/{RUN}": expected}


def test_half_written_folders_go_when_their_process_is_gone_or_after_a_day(store):
    folder("cache", "teachers", ".abc-12345678", days=2)
    folder("cache", "alone", ".abc-12345678", days=0.5)
    folder("runs", f".{RUN}-12345678", days=2)
    folder("data", ".mine.csv-12345678", days=0)
    with new_folder(paths.caches() / "onnx" / "b") as under_way:
        folder("cache", "onnx", under_way.name, days=0.5)
        assert found(store) == {
            f"runs/.{RUN}-12345678": (True, "older than a day"),
            "cache/teachers/.abc-12345678": (True, "older than a day"),
            "cache/alone/.abc-12345678": (True, "its process is gone"),
            "data/.mine.csv-12345678": (False, "may still be written"),
            f"cache/onnx/{under_way.name}": (False, "may still be written"),
        }


def test_a_process_that_dies_while_it_cleans_leaves_no_half_run_that_comes_back(store, monkeypatch):
    store.create_run(RUN, CONFIG, status="done")
    folder("runs", RUN, more="1")
    delete_run(store, RUN)
    unlink, calls = os.unlink, iter([False, True])

    def dies_at_the_second(*path, **options):
        if next(calls):
            raise KeyboardInterrupt
        unlink(*path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            clean(inventory(store), store)
    with pytest.raises(RunError, match=f"^There is no deleted run {RUN}"):
        restore_run(store, RUN)
    monkeypatch.setattr(cleaning, "JUST_MADE", 0.0)
    assert [(item.kind, item.removable) for item in inventory(store)] == [("half-written", True)]
    clean(inventory(store), store)
    assert inventory(store) == []


def test_clean_removes_what_may_go_and_nothing_else(store):
    kept = folder("runs", RUN, caches="teachers/a\n"), folder("cache", "teachers", "a")
    spare = folder("cache", "teachers", "x", size=700), folder("cache", "alone", "y", size=300)
    assert clean(inventory(store), store) == 1000
    assert all(place.is_dir() for place in kept)
    assert not any(place.exists() for place in spare)


def test_clean_waits_for_no_run(store):
    spare = folder("cache", "alone", "y")
    with machine_lock(), pytest.raises(RunError, match=r"^A run is under way on this machine; clean when"):
        clean(inventory(store), store)
    assert spare.is_dir()


def test_sizes_are_of_all_files(store):
    folder("runs", RUN, size=1500, config="12345")
    folder("runs", RUN, "students", "student-0", size=500)
    assert inventory(store) == [Item("runs", paths.runs() / RUN, 2005, False, "")]


def test_what_a_real_run_used_is_kept_and_its_models_answer_after_that(finished_run, store, kd_home):
    from kd_core.deployment.predict import predict_texts

    shutil.copytree(finished_run.home, kd_home, dirs_exist_ok=True)
    shutil.rmtree(kd_home / "cache" / "onnx", ignore_errors=True)  # of other tests that share the run
    folder("cache", "teachers", "x", size=700)
    caches = {
        item.kind for item in inventory(store) if item.kind in ("teachers", "knowledge", "alone", "scores")
    }
    assert caches == {"teachers", "knowledge", "alone", "scores"}
    assert clean(inventory(store), store) == 700
    answers = predict_texts(finished_run.report.run_id, ["goal"])["predictions"][0]
    assert sum(answers["teacher"].values()) == pytest.approx(1)


@pytest.fixture
def small_disk(kd_home) -> Iterator[Path]:
    """``KD_HOME`` on a disk of 2 MB."""
    kd_home.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(kd_home)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk, on Linux")
    yield kd_home
    subprocess.run(["umount", "-l", str(kd_home)], check=True)


@pytest.mark.parametrize("server", [False, True], ids=["", "beside a server"])
@pytest.mark.parametrize("spare", ["a cache", "a deleted run"])
def test_space_is_freed_on_a_disk_without_a_free_byte(small_disk, store, spare, server):
    """SQLite itself needs some there."""
    store.create_run(RUN, CONFIG, status="stopped")
    store.create_run(OTHER, CONFIG, status="stopped")
    folder("work", OTHER, days=9)
    parts = ("runs", RUN) if spare == "a deleted run" else ("cache", "alone", "x")
    place = folder(*parts, size=300_000)
    if spare == "a deleted run":
        delete_run(store, RUN)
    if not server:
        store.close()
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    assert shutil.disk_usage(small_disk).free == 0
    other = Store() if server else store
    assert main(["clean"]) == 0
    assert not place.exists()
    assert not (paths.deleted() / "runs" / RUN).exists()
    assert (paths.work() / OTHER).is_dir(), "it can be resumed"
    (small_disk / "filler").unlink()
    ids = [row.id for row in other.runs(status=("stopped", "deleted"))]
    assert ids == ([OTHER] if spare == "a deleted run" else [OTHER, RUN])


def test_what_is_damaged_or_in_the_way_keeps_nobody_from_cleaning(store):
    (folder("runs", RUN) / cache.USED).write_bytes(b"\xff")
    (paths.runs() / RUN / "loop").symlink_to(paths.runs() / RUN / "loop")
    (paths.home() / "jobs").write_text("a file in the way")
    assert found(store)[f"runs/{RUN}"] == (False, "")


def test_files_that_a_run_removes_meanwhile_are_no_error(store, monkeypatch):
    """Beside a training: a checkpoint is listed, and gone when it is looked at."""
    folder("work", RUN)
    folder("cache", "teachers", ".a-half")
    real, gone = os.stat, []

    def stat(path: str, *args: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("model.safetensors"):
            gone.append(path)
            raise FileNotFoundError(path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert [(item.kind, item.bytes) for item in inventory(store)] == [("work", 0), ("half-written", 0)]
    assert gone
