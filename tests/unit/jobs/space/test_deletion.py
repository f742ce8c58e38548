"""Deleting runs and tasks, bringing them back, and what needs them meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import uploads
from kd_core.data.uploads import Upload
from kd_core.errors import DataError, RunError
from kd_core.jobs.cleaning import clean, inventory
from kd_core.jobs.deletion import delete_run, delete_task, restore_run, settle
from kd_core.jobs.states import RESUMABLE
from kd_core.jobs.store import Store
from kd_core.system import paths
from tests import SAMPLES
from tests.unit.jobs.space.folders import CONFIG, OTHER, RUN, folder, found


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


def test_a_run_that_is_deleted_after_the_list_was_made_can_come_back(store):
    """Another tab deleted it while a person read what would be freed."""
    store.create_run(RUN, CONFIG, status="stopped")
    store.create_run(OTHER, CONFIG, status="stopped")
    place = folder("work", RUN)
    folder("work", OTHER)
    delete_run(store, OTHER)
    items = inventory(store)
    delete_run(store, RUN)
    assert clean(items, store) > 0
    assert not store.has(OTHER)
    restore_run(store, RUN)
    assert place.is_dir()
    assert store.run(RUN).status == "stopped"


def test_a_job_that_was_stopped_half_way_comes_back_as_one_to_go_on_with(store):
    """A ladder, a curve and a lab keep what they have found so far."""
    store.create_run(RUN, {"distill": CONFIG}, kind="ladder", status="running", owner="me")
    store.save_report(RUN, {"rungs": []}, owner="me")
    store.set_status(RUN, "stopped")
    delete_run(store, RUN)
    restore_run(store, RUN)
    assert store.run(RUN).status == "stopped"
    assert store.set_status(RUN, "queued", only=RESUMABLE)


def test_a_run_that_failed_comes_back_as_one_that_failed(store):
    store.create_run(RUN, CONFIG)
    store.set_status(RUN, "failed", error="the disk is full")
    delete_run(store, RUN)
    restore_run(store, RUN)
    assert (store.run(RUN).status, store.run(RUN).error) == ("failed", "the disk is full")


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
