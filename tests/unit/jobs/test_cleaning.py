"""What takes space, and what may go."""

import json
import os
import shutil

import pytest

from kd_core.deployment.predict import predict_texts
from kd_core.errors import DiskFullError, RunError
from kd_core.jobs.cleaning import Item, clean, inventory
from kd_core.jobs.deletion import delete_run
from kd_core.system import cache, paths
from kd_core.system.atomic import new_folder
from kd_core.system.process import machine_lock
from tests.unit.jobs.told import CONFIG, OTHER, RUN, THIRD, folder, found, report


def test_cache_is_kept_for_runs(store, monkeypatch):
    folder("runs", RUN, caches="teachers/a\nalone/b\nalone/b\n")
    folder("work", OTHER, caches="knowledge/c\n")
    store.create_run(OTHER, CONFIG, status="interrupted")
    folder("work", THIRD, caches="")
    folder("work", THIRD, "2 epochs, seed 0", caches="teachers/early\n")  # of a lab
    store.create_run(THIRD, {"lab": "cho2019"}, kind="lab", status="interrupted")
    unnoted = folder("runs", "20260101-120003-dddd")
    (unnoted / "report.json").write_text(json.dumps(report(teacher_key="d")))
    used = ("teachers/a", "alone/b", "knowledge/c", "teachers/early", "teachers/d")
    spare = ("teachers/x", "alone/y", "scores/z", "onnx/a")
    for place in (*used, *spare):
        folder("cache", *place.split("/"))
    folder("exports", RUN)
    expected = {f"cache/{place}": (False, "a run refers to it") for place in used}
    expected |= {f"cache/{place}": (True, "no run refers to it") for place in spare}
    expected |= {f"exports/{RUN}": (True, "can be made again"), f"runs/{RUN}": (False, "")}
    assert found(store).items() >= expected.items()
    assert [item.kind for item in inventory(store)][-3:] == ["exports", "work", "work"]
    with machine_lock(), pytest.raises(RunError, match=r"^A run is under way on this machine; clean when"):
        clean(inventory(store), store)
    with monkeypatch.context() as patch:
        patch.setattr(store, "forget_deleted", lambda **_: os.stat("/nowhere"))
        with pytest.raises(RunError, match=r"cannot be cleaned: No such file or directory\.$"):
            clean([], store)
    assert clean(inventory(store), store) == 5000
    assert sorted(path.name for path in paths.caches().glob("*/*")) == ["a", "b", "c", "d", "early"]


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
    folder("cache", "alone", ".abc-12345678", days=0.5)
    folder("runs", f".{RUN}-12345678", days=2)
    folder("data", ".mine.csv-12345678", days=0)
    with new_folder(paths.caches() / "onnx" / "b") as under_way:
        folder("cache", "onnx", under_way.name, days=0.5)
        assert found(store) == {
            f"runs/.{RUN}-12345678": (True, "older than a day"),
            "cache/alone/.abc-12345678": (True, "its process is gone"),
            "data/.mine.csv-12345678": (False, "may still be written"),
            f"cache/onnx/{under_way.name}": (False, "may still be written"),
        }


def test_real_run_keeps_what_it_uses(finished_run, store, kd_home):
    shutil.copytree(finished_run.home, kd_home, dirs_exist_ok=True)
    shutil.rmtree(kd_home / "cache" / "onnx", ignore_errors=True)  # of other tests that share the run
    folder("cache", "teachers", "x", size=700)
    assert {item.kind for item in inventory(store)} >= {"teachers", "knowledge", "alone", "scores"}
    assert clean(inventory(store), store) == 700
    answers = predict_texts(finished_run.report.run_id, ["goal"])["predictions"][0]
    assert sum(answers["teacher"].values()) == pytest.approx(1)


def test_space_is_freed_where_the_database_has_no_room(store, monkeypatch):
    for run_id in (RUN, OTHER):
        store.create_run(run_id, CONFIG, status="stopped")
    folder("work", OTHER, days=9)
    folder("runs", RUN)
    delete_run(store, RUN)
    forget = store.forget_deleted

    def full(**_) -> None:
        if any((paths.deleted() / "runs").iterdir()):
            raise DiskFullError("The database is full.")
        forget()

    monkeypatch.setattr(store, "forget_deleted", full)
    with monkeypatch.context() as patch:
        patch.setattr(store, "runs", full)
        items = inventory(store)
    assert [(item.kind, item.why) for item in items if not item.removable] == [
        ("work", "may be needed to resume")
    ]
    assert clean(items, store) == 1000
    assert [row.id for row in store.runs(status=("stopped", "deleted"))] == [OTHER]


def test_damaged_files_keep_nobody_from_cleaning(store, monkeypatch):
    run = folder("runs", RUN, size=1500, config="12345")
    folder("runs", RUN, "students", "student-0", size=500)
    assert inventory(store) == [Item("runs", run, 2005, False, "")]
    (run / cache.USED).write_bytes(b"\xff")
    (run / "loop").symlink_to(run / "loop")
    (paths.home() / "jobs").write_text("a file in the way")
    real = os.stat

    def stat(path, *args, **options):  # a checkpoint is listed, and gone when it is looked at
        if str(path).endswith("model.safetensors"):
            raise FileNotFoundError(path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert inventory(store) == [Item("runs", run, 6, False, "")]
