"""What takes space, what may go, and what is said when there is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from kd_core import job_kinds
from kd_core.cli import main
from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import uploads
from kd_core.data.uploads import Upload
from kd_core.distillation.events import TrainingStarted
from kd_core.errors import DataError, RunError
from kd_core.jobs import cleaning, room
from kd_core.jobs.cleaning import Item, clean, inventory
from kd_core.jobs.deletion import delete_run, delete_task, restore_run, settle
from kd_core.jobs.states import RESUMABLE
from kd_core.jobs.store import Store
from kd_core.system import cache, paths
from kd_core.system.atomic import new_folder
from kd_core.system.control import Control
from kd_core.system.process import machine_lock
from tests import SAMPLES
from tests.unit.distillation.test_report import report

RUN, OTHER = "20260131-143000-a1b2", "20260131-150000-c3d4"
CONFIG = DistillConfig().model_dump(mode="json")


@pytest.fixture(autouse=True)
def _home(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)


@pytest.fixture
def store() -> Store:
    return Store()


def folder(*parts: str, size: int = 1000, days: float = 0, **texts: str) -> Path:
    place = paths.home().joinpath(*parts)
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.safetensors").write_bytes(bytes(size))
    for name, text in texts.items():
        (place / f"{name}.txt").write_text(text)
    then = time.time() - days * cleaning.DAY
    for path in (*place.iterdir(), place):
        os.utime(path, (then, then))
    return place


def found(store: Store) -> dict[str, tuple[bool, str]]:
    """Path under the home: whether it may go, and why."""
    return {
        item.path.relative_to(paths.home()).as_posix(): (item.removable, item.why)
        for item in inventory(store)
    }


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


# Deleting


def test_delete_a_run(store):
    store.create_run(RUN, CONFIG, status="done")
    places = folder("runs", RUN), folder("work", RUN)
    teacher = folder("cache", "teachers", "a")
    delete_run(store, RUN)
    assert store.runs() == []
    assert not any(place.exists() for place in places)
    assert teacher.is_dir()
    with pytest.raises(RunError, match=f"^There is no run {RUN}"):
        store.run(RUN)
    assert [row.id for row in store.runs(status=("deleted",))] == [RUN]


def test_a_deleted_run_comes_back_as_it_was_until_space_is_freed(store):
    store.create_run(RUN, CONFIG, name="Mine", status="done")
    store.save_report(RUN, json.loads((SAMPLES / "report.json").read_text("utf-8")))
    store.create_run(OTHER, CONFIG)
    places = folder("runs", RUN, notes="mine"), folder("work", OTHER)
    before = store.run(RUN)
    for run_id in (RUN, OTHER):
        delete_run(store, run_id)
        restore_run(store, run_id)
    assert store.run(RUN) == before
    assert store.run(OTHER).status == "stopped", "a queued one does not start by itself"
    assert [(place / "model.safetensors").stat().st_size for place in places] == [1000, 1000]
    with pytest.raises(RunError, match=f"^There is no deleted run {RUN}"):
        restore_run(store, RUN)
    delete_run(store, RUN)
    assert found(store)[f"deleted/runs/{RUN}"] == (True, "can be brought back until then")
    assert clean(inventory(store), store) > 0
    assert [row.id for row in store.runs(status=("deleted", "stopped"))] == [OTHER]
    with pytest.raises(RunError, match=f"^There is no deleted run {RUN}"):
        restore_run(store, RUN)


def test_a_job_that_was_stopped_half_way_comes_back_as_one_to_go_on_with(store):
    """A ladder, a curve and a lab keep what they have found so far."""
    store.create_run(RUN, {"distill": CONFIG}, kind="ladder", status="running", owner="me")
    store.save_report(RUN, {"rungs": []}, owner="me")
    store.set_status(RUN, "stopped")
    delete_run(store, RUN)
    restore_run(store, RUN)
    assert store.run(RUN).status == "stopped"
    assert store.set_status(RUN, "queued", only=RESUMABLE)


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


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs another disk")
def test_runs_that_lie_on_another_disk_are_deleted_and_come_back(store):
    store.create_run(RUN, CONFIG)
    with TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == os.stat(paths.home()).st_dev:
            pytest.skip("it is the same disk")
        paths.runs().symlink_to(other)
        place = folder("runs", RUN)
        delete_run(store, RUN)
        assert not place.exists()
        assert (paths.deleted() / "runs" / RUN / "model.safetensors").stat().st_size == 1000
        restore_run(store, RUN)
        assert (place / "model.safetensors").stat().st_size == 1000


def test_a_run_that_cannot_be_put_away_keeps_nobody_from_the_others(store):
    for run_id in (RUN, OTHER):
        store.create_run(run_id, CONFIG)
    folder("runs", RUN)
    paths.deleted().mkdir()
    (paths.deleted() / "runs").write_text("in the way")
    with pytest.raises(RunError, match=f"^The folders of run {RUN} cannot be moved: "):
        delete_run(store, RUN)
    place = folder("work", OTHER)
    store.delete_run(OTHER)  # whoever did so went away
    settle(store)
    assert not place.exists()
    (paths.deleted() / "runs").unlink()
    settle(store)
    assert not (paths.runs() / RUN).exists()


def test_a_run_that_is_deleted_and_brought_back_elsewhere_comes_back_here(kd_home, tmp_path, monkeypatch):
    """Two data folders, one database: nothing of it is freed, though it lay among the deleted ones."""
    store = Store(f"sqlite:///{tmp_path / 'shared.sqlite'}")
    store.create_run(RUN, CONFIG, status="done")
    place, other = folder("runs", RUN), tmp_path / "elsewhere"
    for do in (delete_run, restore_run):
        monkeypatch.setenv("KD_HOME", str(other))
        do(store, RUN)
        monkeypatch.setenv("KD_HOME", str(kd_home))
        if do is delete_run:
            settle(store)
            assert not place.exists()
    items = inventory(store)
    assert [item.kind for item in items] == ["deleted"]
    assert clean(items, store) == 0
    assert (place / "model.safetensors").stat().st_size == 1000


def test_what_is_damaged_or_in_the_way_keeps_nobody_from_cleaning(store):
    (folder("runs", RUN) / cache.USED).write_bytes(b"\xff")
    (paths.runs() / RUN / "loop").symlink_to(paths.runs() / RUN / "loop")
    (paths.home() / "jobs").write_text("a file in the way")
    assert found(store)[f"runs/{RUN}"] == (False, "")


@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_run_that_is_under_way_is_not_deleted(store, status):
    store.create_run(RUN, CONFIG, status=status)
    place = folder("work", RUN)
    with pytest.raises(RunError, match=rf"^Run {RUN} is {status}; stop it before you delete it\.$"):
        delete_run(store, RUN)
    assert place.is_dir()


@pytest.mark.parametrize("kind", ["export", "bench"])
def test_a_run_that_a_job_reads_is_not_deleted(store, kind):
    """In another tab, its bundle is being made."""
    store.create_run(RUN, CONFIG, status="done")
    place = folder("runs", RUN)
    store.create_run(OTHER, {"run": RUN}, kind=kind, name="Export of Demo", status="running")
    with pytest.raises(RunError, match=rf"^Export of Demo is running and needs run {RUN}\. Wait until it is"):
        delete_run(store, RUN)
    assert place.is_dir()
    store.set_status(OTHER, "stopped")
    delete_run(store, RUN)
    assert not place.exists()


def test_a_run_that_only_its_folder_knows_is_deleted(store):
    place = folder("runs", RUN)
    delete_run(store, RUN)
    assert not place.exists()
    with pytest.raises(RunError, match=f"^There is no run {RUN}"):
        delete_run(store, RUN)


@pytest.mark.parametrize("name", ["", "..", "../runs", f"../runs/{RUN}", "students"])
def test_nothing_else_is_deleted(store, name):
    place = folder("runs", RUN)
    with pytest.raises(RunError, match="is not a run"):
        delete_run(store, name)
    assert place.is_dir()


# Room


def only(monkeypatch, *, disk: float = 1e12, memory: float = 1e12) -> None:
    """So many bytes are free."""
    Usage, Memory = namedtuple("Usage", "free"), namedtuple("Memory", "available")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(disk))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(memory))


def test_room_for_any_run(monkeypatch):
    only(monkeypatch, disk=500e6)
    room.check_room()
    only(monkeypatch, disk=312e6)
    with pytest.raises(
        RunError, match=r"has 312 MB free, and this needs about 500 MB\. Free some space, for"
    ):
        room.check_room()


def test_room_for_a_model(monkeypatch, tiny_config):
    config = tiny_config.change({"student.hidden": 64, "student.layers": 4})
    teacher, student = (room._size(config.teacher, one).params for one in (None, config.student))
    assert student > 2 * teacher > 0
    copies = room.DISK_COPIES * 4
    only(monkeypatch, disk=500e6 + copies * teacher)
    room.check_training(config, "teacher")
    for who in ("student", "alone", "labelled_only"):
        with pytest.raises(RunError, match="MB free, and this needs about"):
            room.check_training(config, who)
    # 4 layers, 16 texts of 64 tokens, hidden 32, 2 heads.
    step = 4 * 16 * 64 * (68 * 32 + 10 * 2 * 64)
    only(monkeypatch, memory=room.MEMORY_COPIES * 4 * teacher + step)
    room.check_training(config, "teacher")
    for change in ({"teacher.batch_size": 17}, {"task.max_length": 65}):
        with pytest.raises(RunError, match=r"^Training the teacher needs about \d+ MB of memory, and \d+ MB"):
            room.check_training(config.change(change), "teacher")
    with pytest.raises(RunError, match=r"^Training the student needs about \d+ MB of memory, and \d+ MB are"):
        room.check_training(config, "alone")


def test_transfer_texts_take_memory_with_whoever_learns_from_them(tiny_config):
    size = room._size(tiny_config.teacher, tiny_config.student)

    def rows(who: str, **task: int) -> float:
        config = tiny_config.change({f"task.{name}": value for name, value in task.items()})
        alone = room._activations(config, size, "alone")
        return room._activations(config, size, who) / alone * config.training.batch_size

    own = tiny_config.training.batch_size
    both = own + tiny_config.training.transfer_batch_size
    for who in ("student", "hard_answers"):
        assert rows(who, transfer_texts=10, augment=0) == rows(who, transfer_texts=0, augment=4) == both
        assert rows(who, transfer_texts=0, augment=0) == own
    assert rows("labelled_only", transfer_texts=10) == own


def test_a_student_is_not_expected_to_keep_a_huge_vocabulary(monkeypatch):
    sizes: list[int] = []
    config = DistillConfig()
    monkeypatch.setattr(room, "TRIMMED", 1000)
    for trim in (True, False):
        student = config.student.model_copy(update={"trim_vocabulary": trim})
        sizes.append(room._size.__wrapped__(config.teacher, student).params)
    assert sizes[1] - sizes[0] == (30_522 - 1000) * 128


def test_a_run_starts_only_where_there_is_room(monkeypatch, store, tiny_config):
    store.create_run(RUN, tiny_config.model_dump(mode="json"))
    only(monkeypatch, disk=100e6)
    with pytest.raises(RunError, match="has 100 MB free"):
        job_kinds.distil_handler(store.run(RUN), print, Control())


def test_each_training_starts_only_where_there_is_room(monkeypatch, store, tiny_config):
    store.create_run(RUN, tiny_config.model_dump(mode="json"))
    only(monkeypatch)
    told = []

    def on_event(event) -> None:
        told.append(event)
        if isinstance(event, TrainingStarted) and event.who == "student":
            pytest.fail("it started")
        if isinstance(event, TrainingStarted):
            only(monkeypatch, disk=500e6)

    with pytest.raises(RunError, match="has 500 MB free, and this needs about"):
        job_kinds.distil_handler(store.run(RUN), on_event, Control())
    assert [event.who for event in told if isinstance(event, TrainingStarted)] == ["teacher"]


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


def test_a_task_is_not_deleted_while_a_job_trains_further_students_of_its_run(store):
    rows = "".join(f"Good film {i},pos\nBad film {i},neg\n" for i in range(10))
    task = uploads.save({"name": Upload("films.csv", f"text,label\n{rows}".encode())}, TaskConfig())
    store.create_run(RUN, DistillConfig(task=task.config).model_dump(mode="json"))
    store.set_status(RUN, "done")
    more = "20260131-143000-b2c3"
    store.create_run(more, {"run": RUN}, kind="curve", name="More texts")
    with pytest.raises(DataError, match=r"^The run More texts is queued and needs this task\."):
        delete_task(store, task)
    store.set_status(more, "done")
    delete_task(store, task)
    assert uploads.saved() == []


def test_a_job_about_a_run_that_was_deleted_keeps_no_task_from_being_deleted(store):
    rows = "".join(f"Good film {i},pos\nBad film {i},neg\n" for i in range(10))
    task = uploads.save({"name": Upload("films.csv", f"text,label\n{rows}".encode())}, TaskConfig())
    store.create_run(RUN, CONFIG, status="done")
    store.create_run(OTHER, {"run": RUN}, kind="curve", status="interrupted")
    delete_run(store, RUN)
    delete_task(store, task)
    assert uploads.saved() == []


@pytest.mark.parametrize("kind", ["distil", "search", "lab"])
def test_a_task_that_a_job_needs_is_not_deleted(store, kind):
    rows = "".join(f"Good film {i},pos\nBad film {i},neg\n" for i in range(10))
    task = uploads.save({"name": Upload("films.csv", f"text,label\n{rows}".encode())}, TaskConfig())
    config = DistillConfig(task=task.config).model_dump(mode="json")
    inside = {"distil": config, "search": {"study": "x", "distill": config}, "lab": {"distil": config}}[kind]
    store.create_run(RUN, inside, kind=kind, name="Films")
    noun = "run" if kind == "distil" else kind
    with pytest.raises(DataError, match=rf"^The {noun} Films is queued and needs this task\. Wait until"):
        delete_task(store, task)
    assert uploads.saved() == [task]
    store.set_status(RUN, "stopped")
    delete_task(store, task)
    assert uploads.saved() == []
