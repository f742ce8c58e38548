"""The database made anew from the run folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.distillation.events import Evaluated, OnEvent, StageFinished, StageStarted, Step
from kd_core.distillation.report import Report
from kd_core.errors import StoreError
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.index import LOST, missing_runs, rebuild
from kd_core.jobs.runner import Job
from kd_core.jobs.states import JobKind
from kd_core.jobs.store import RunRow, Store
from kd_core.system import paths
from kd_core.system.control import Control
from tests import SAMPLES

FIRST, SECOND, THIRD = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"


@pytest.fixture(autouse=True)
def _home(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)


def folder(run_id: str, **changes: object) -> Path:
    place = paths.runs() / run_id
    place.mkdir(parents=True)
    report = json.loads((SAMPLES / "report.json").read_text("utf-8")) | {"run_id": run_id} | changes
    (place / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return place


def recorded(store: Store, run_id: str, name: str) -> None:
    report = json.loads((folder(run_id) / "report.json").read_text("utf-8"))
    store.create_run(run_id, report["config"], name=name)
    store.save_report(run_id, report)
    store.set_status(run_id, "done")


def test_a_broken_database_is_made_anew_with_names_and_tags(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    recorded(store, FIRST, "Mine")
    recorded(store, SECOND, "")
    store.rename(SECOND, "Better")
    store.change_tags(SECOND, add=["paper"])
    recorded(store, THIRD, "Gone")
    delete_run(store, THIRD)
    before = store.runs()
    store.close()
    file = paths.home() / "kd.sqlite"
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    file.write_bytes(b"no database at all, but a text that is long enough to be looked at")

    assert main(["runs"]) == 2
    assert "kd index --rebuild makes it anew" in capsys.readouterr().err
    assert main(["index", "--rebuild", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["added"], said["unreadable"], said["lost"]) == ([FIRST, SECOND], {}, LOST)
    assert Path(said["old"]).read_bytes().startswith(b"no database at all")
    after = Store().runs()
    same = ("id", "name", "tags", "status", "task", "accuracy", "verdict", "delta", "size_mb", "forms")
    assert [[getattr(row, name) for name in same] for row in after] == [
        [getattr(row, name) for name in same] for row in before
    ]


def test_a_database_that_is_missing_or_lacks_some_is_filled(capsys: pytest.CaptureFixture[str]) -> None:
    recorded(Store(), FIRST, "Mine")
    folder(SECOND)
    (folder(THIRD) / "report.json").write_text("{}")
    (paths.runs() / "notes").mkdir()
    store = Store()
    assert missing_runs(store) == [SECOND, THIRD]
    assert main(["index"]) == 0
    assert capsys.readouterr().out == (
        "1 job in the database, deleted ones among them. It lacks 2 folders; kd index --rebuild adds them.\n"
    )
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == "2 folders of finished work not listed; kd index --rebuild adds them.\n"
    assert main(["show", SECOND]) == 2  # a run of Python code
    assert capsys.readouterr().err == (
        f"kd: Run {SECOND} has a folder, but is not in the list; kd index --rebuild adds it.\n"
    )
    result = rebuild(store)
    assert (result.added, list(result.unreadable), result.old) == ([SECOND], [THIRD], None)
    assert {row.id: row.name for row in store.runs()} == {FIRST: "Mine", SECOND: ""}
    assert rebuild(store).added == []
    assert main(["runs"]) == 0
    assert "1 folder of finished work not listed" in capsys.readouterr().err  # the one that cannot be read


def distil(row: RunRow, on_event: OnEvent, control: Control) -> Report:
    """What a run leaves, without its training."""
    report = Report.read(folder(row.id, seconds={"teach": 2.5}, cached={"teach": True}))
    on_event(StageStarted("teach"))
    for step in range(1, 1001):
        on_event(Step("student", 7, step, 1000, 1 / step, 0.5, 0.25, 0.0, 1e-3, 100.0))
        if step % 100 == 0:
            on_event(Evaluated("student", 7, step, step / 2000, 1.5))
    on_event(StageFinished("teach", 2.5, cached=True))
    return report


def test_the_curves_of_a_run_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.create_run(FIRST, DistillConfig().model_dump(mode="json"))
    Job(store, FIRST, distil).run()
    folder(SECOND)  # of an older KD Studio
    curve, evaluations, row = store.curve(FIRST), store.evaluations(FIRST), store.run(FIRST)
    assert (len(curve), len(evaluations)) == (398, 10)  # thinned, as pages show it
    store.close()
    (paths.home() / "kd.sqlite").unlink()

    assert main(["index", "--rebuild"]) == 0
    said = capsys.readouterr().out
    assert said == f"2 folders added.\nWithout their curves: {SECOND}.\n{LOST}\n"
    store = Store()
    assert store.curve(FIRST).equals(curve)
    assert store.evaluations(FIRST).equals(evaluations)
    assert store.run(FIRST).sparkline == row.sparkline == tuple(step / 20 for step in range(1, 11))
    teach = store.stages(FIRST)[0]
    assert (teach.stage, teach.seconds, teach.cached) == ("teach", 2.5, True)
    assert store.curve(SECOND).empty


def test_looks_of_before_come_back_without_a_score() -> None:
    store = Store()
    store.create_run(FIRST, DistillConfig().model_dump(mode="json"))
    Job(store, FIRST, distil).run()
    evaluations = store.evaluations(FIRST)
    store.close()
    (paths.home() / "kd.sqlite").unlink()
    file = paths.runs() / FIRST / "curves" / "evaluations.parquet"
    pd.read_parquet(file).drop(columns="score").to_parquet(file, index=False)
    assert main(["index", "--rebuild"]) == 0
    assert Store().evaluations(FIRST).equals(evaluations)
    assert evaluations["score"].isna().all()


def test_a_damaged_report_is_named_and_the_others_are_added() -> None:
    for run_id in (FIRST, SECOND):
        folder(run_id)
    place = paths.runs() / FIRST / "report.json"
    place.write_text(json.dumps(json.loads(place.read_text("utf-8")) | {"created": "last week"}))
    found = rebuild(Store())
    assert found.added == [SECOND]
    assert list(found.unreadable) == [FIRST]
    assert "last week" in found.unreadable[FIRST]


REPORTS = {
    "bench": json.loads((SAMPLES / "bench.json").read_text("utf-8")),
    "export": {"forms": [], "folder": "x"},
    "search": {"study": "s", "cells": []},
    "lab": {"cells": [{"accuracy": 0.5}]},
    "ladder": {"rungs": [], "note": "\u00e9"},
}


@pytest.mark.parametrize("kind", REPORTS)
def test_what_other_jobs_found_comes_back_unless_it_was_deleted(kind: JobKind) -> None:
    store, config = Store(), {"distill": DistillConfig().model_dump(mode="json")}
    for run_id in (FIRST, SECOND):
        store.create_run(run_id, config, kind=kind, name="Mine")
        Job(store, run_id, lambda *_: REPORTS[kind]).run()
    store.rename(FIRST, "Better")
    store.change_tags(FIRST, add=["paper"])
    store.create_run(THIRD, config, kind=kind)  # not done
    before = store.run(FIRST)
    delete_run(store, SECOND)
    store.close()
    (paths.home() / "kd.sqlite").unlink()

    store = Store()
    assert missing_runs(store) == [FIRST]
    result = rebuild(store)
    assert (result.added, result.without_curves, result.unreadable) == ([FIRST], [], {})
    (after,) = store.runs()
    same = ("id", "kind", "name", "tags", "status", "task", "config", "created", "forms", "progress")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert store.report_json(FIRST) == REPORTS[kind]
    restore_run(store, SECOND)
    assert rebuild(store).added == [SECOND]


def test_a_result_that_cannot_be_read_is_named() -> None:
    place = paths.jobs() / FIRST
    place.mkdir(parents=True)
    for text in (
        "",
        "[]",
        '{"kind": "bench"}',
        '{"kind": "bench", "created": 1, "config": {}, "report": {}}',
    ):
        (place / "job.json").write_text(text)
        assert rebuild(Store()).unreadable == {
            FIRST: f"The result of {FIRST} cannot be read; it may be from another version."
        }
    (place / "job.json").write_text(
        '{"kind": "bench", "created": "2026-01-31T14:30:00+00:00", "config": {}, "report": {}}'
    )
    assert rebuild(Store()).unreadable == {
        FIRST: f"The result of {FIRST} lacks something; it may be from another version."
    }
    (place / "job.json").unlink()
    assert rebuild(Store()).unreadable == {
        FIRST: f"The result of {FIRST} is not there: No such file or directory."
    }


def test_a_locked_database_is_not_taken_for_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    store = Store()
    recorded(store, FIRST, "Mine")
    shutil.copy(paths.home() / "kd.sqlite", paths.home() / "copy")

    def locked(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(sqlite3, "connect", locked)
    with pytest.raises(StoreError, match="database is locked"):
        store.set_aside_if_broken()
    assert (paths.home() / "kd.sqlite").is_file()


def test_a_database_that_another_one_replaces_is_the_one_that_counts() -> None:
    """Pages and runner of a server see the one that is there, not the one that they had opened."""
    store = Store()
    store.create_run(FIRST, {})
    away = paths.home() / "away"
    away.mkdir()
    files = [paths.home() / f"kd.sqlite{end}" for end in ("", "-wal", "-shm")]
    for file in files:
        file.rename(away / file.name)
    with pytest.raises(StoreError, match=r"kd\.sqlite is gone\. Put it back, or restart KD Studio"):
        store.runs()
    other = Store()
    other.create_run(SECOND, {})
    assert [row.id for row in store.runs()] == [SECOND]
    for file in files:
        file.unlink(missing_ok=True)
        (away / file.name).rename(file)
    store.create_run(THIRD, {})
    assert [row.id for row in store.runs()] == [row.id for row in other.runs()] == [THIRD, FIRST]


def test_after_the_data_folder_was_moved_a_run_says_where_it_lies_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded(Store(), FIRST, "Mine")
    here = str(paths.runs() / FIRST)
    report = Store().report_json(FIRST)
    assert report["folder"] == here
    assert json.loads((paths.runs() / FIRST / "report.json").read_text("utf-8"))["folder"] != here
    assert main(["show", FIRST]) == 0
    assert capsys.readouterr().out.endswith(f"Run {report['run_id']}: {here}\n")
