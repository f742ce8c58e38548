"""The database made anew from the run folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kd_core.cli import main
from kd_core.errors import StoreError
from kd_core.jobs.deletion import delete_run
from kd_core.jobs.index import LOST, missing_runs, rebuild
from kd_core.jobs.store import Store
from kd_core.system import paths
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
    store.set_tags(SECOND, ["paper"])
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
        "1 run in the database. It lacks 2 folders; kd index --rebuild adds them.\n"
    )
    result = rebuild(store)
    assert (result.added, list(result.unreadable), result.old) == ([SECOND], [THIRD], None)
    assert {row.id: row.name for row in store.runs()} == {FIRST: "Mine", SECOND: ""}
    assert rebuild(store).added == []


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
