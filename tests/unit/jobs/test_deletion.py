"""Deleting runs and tasks, bringing runs back, and what needs them meanwhile."""

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kd_core.config import TaskConfig
from kd_core.data import uploads
from kd_core.data.uploads import Upload
from kd_core.errors import DataError, RunError
from kd_core.jobs.cleaning import clean, inventory
from kd_core.jobs.deletion import delete_run, delete_task, restore_run, settle
from kd_core.jobs.store import Store
from kd_core.system import paths
from tests.unit.jobs.told import CONFIG, OTHER, RUN, folder, found, report


def size(place: Path) -> int:
    return (place / "model.safetensors").stat().st_size


def test_deleted_run_comes_back_as_it_was_until_space_is_freed(store):
    store.create_run(RUN, CONFIG, name="Mine", status="done")
    store.save_report(RUN, report())
    places = folder("runs", RUN), folder("work", RUN)
    teacher, before = folder("cache", "teachers", "a"), store.run(RUN)
    delete_run(store, RUN)
    assert (store.runs(), [place.exists() for place in (*places, teacher)]) == ([], [False, False, True])
    with pytest.raises(RunError, match=f"^There is no run {RUN}"):
        store.run(RUN)
    restore_run(store, RUN)
    assert (store.run(RUN), [size(place) for place in places]) == (before, [1000, 1000])
    store.create_run(OTHER, CONFIG, status="stopped")
    folder("work", OTHER)
    delete_run(store, RUN)
    assert found(store)[f"deleted/runs/{RUN}"] == (True, "can be brought back until then")
    items = inventory(store)
    delete_run(store, OTHER)  # in another tab, after the list was made
    assert clean(items, store) > 0
    assert not store.has(RUN)
    with pytest.raises(RunError, match=f"^There is no deleted run {RUN}"):
        restore_run(store, RUN)
    restore_run(store, OTHER)
    assert (store.run(OTHER).status, size(paths.work() / OTHER)) == ("stopped", 1000)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs another disk")
def test_runs_on_another_disk_are_deleted_and_come_back(store, run):
    with TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == os.stat(paths.home()).st_dev:
            pytest.skip("it is the same disk")
        paths.runs().symlink_to(other)
        place = folder("runs", RUN)
        delete_run(store, RUN)
        assert (place.exists(), size(paths.deleted() / "runs" / RUN)) == (False, 1000)
        restore_run(store, RUN)
        assert size(place) == 1000


def test_run_that_cannot_be_put_away_keeps_nobody_from_the_others(store, run):
    store.create_run(OTHER, CONFIG)
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


def test_run_that_another_data_folder_deletes_and_brings_back(kd_home, tmp_path, monkeypatch):
    with closing(Store(f"sqlite:///{tmp_path / 'shared.sqlite'}")) as store:
        store.create_run(RUN, CONFIG, status="done")
        place = folder("runs", RUN)
        for do in (delete_run, restore_run):
            monkeypatch.setenv("KD_HOME", str(tmp_path / "elsewhere"))
            do(store, RUN)
            monkeypatch.setenv("KD_HOME", str(kd_home))
            if do is delete_run:
                settle(store)
                assert not place.exists()
        items = inventory(store)
        assert [item.kind for item in items] == ["deleted"]
        assert (clean(items, store), size(place)) == (0, 1000)


@pytest.mark.parametrize(
    ("run_id", "status", "kind", "says"),
    [
        (RUN, "paused", "distil", rf"^Run {RUN} is paused; stop it before you delete it\.$"),
        (OTHER, "running", "export", rf"^Mine is running and needs run {RUN}\. Wait until it is"),
        (OTHER, "queued", "bench", rf"^Mine is queued and needs run {RUN}\. Wait until it is"),
    ],
)
def test_run_that_is_needed_is_not_deleted(store, run_id, status, kind, says):
    store.create_run(
        run_id, {"run": RUN} if run_id == OTHER else CONFIG, kind=kind, name="Mine", status=status
    )
    place = folder("runs", RUN)  # which has no row where it is one of Python code
    with pytest.raises(RunError, match=says):
        delete_run(store, RUN)
    assert place.is_dir()
    store.set_status(run_id, "stopped")
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


@pytest.mark.parametrize(
    ("kind", "inside", "status", "says"),
    [
        ("distil", None, "queued", r"^The run Films is queued and needs this task\. Wait until"),
        ("search", "distill", "interrupted", r"^The search Films is interrupted and needs"),
        ("lab", "distill", "running", r"^The lab Films is running and needs this task"),
        ("curve", RUN, "queued", r"^The run Films is queued and needs this task\."),
        ("curve", OTHER, "interrupted", None),  # of a run that was deleted
    ],
)
def test_task_that_a_job_needs_is_not_deleted(store, kind, inside, status, says):
    rows = "".join(f"Good film {i},pos\nBad film {i},neg\n" for i in range(10))
    task = uploads.save({"name": Upload("films.csv", f"text,label\n{rows}".encode())}, TaskConfig())
    config = CONFIG | {"task": task.config.model_dump(mode="json")}
    store.create_run(RUN, config, status="done")
    of_job = {None: config, "distill": {"distill": config}}.get(inside, {"run": inside})
    store.create_run("job", of_job, kind=kind, name="Films", status=status)
    if says:
        with pytest.raises(DataError, match=says):
            delete_task(store, task)
        assert uploads.saved() == [task]
        store.set_status("job", "stopped")
    delete_task(store, task)
    assert uploads.saved() == []
