"""The database made anew from the folders of runs and other jobs."""

import json
from pathlib import Path

import pytest

from kd_core.cli import main
from kd_core.distillation.events import StageFinished, StageStarted
from kd_core.distillation.report import Report
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.index import LOST, missing_runs, rebuild
from kd_core.jobs.runner import Job
from kd_core.jobs.store import Store
from kd_core.system import paths
from tests.unit.jobs.told import CONFIG, OTHER, RUN, SAMPLE, THIRD, look, step

SAME = ("id", "kind", "name", "tags", "status", "task", "accuracy", "verdict", "delta", "size_mb", "forms")
SAME += ("sparkline", "progress")


def folder(run_id: str, **changes: object) -> Path:
    """Make the folder of a done run."""
    place = paths.runs() / run_id
    place.mkdir(parents=True)
    (place / "report.json").write_text(json.dumps(SAMPLE | {"run_id": run_id} | changes), encoding="utf-8")
    return place


def distil(row, on_event, control) -> Report:
    """Leave what a run leaves, without its training."""
    report = Report.read(folder(row.id, seconds={"teach": 2.5}, cached={"teach": True}))
    on_event(StageStarted("teach"))
    for number in range(1, 501):
        on_event(step(number, seed=7, steps=500))
        if number % 100 == 0:
            on_event(look(number, number / 2000, seed=7))
    on_event(StageFinished("teach", 2.5, cached=True))
    return report


def values(store) -> list[list[object]]:
    return [[getattr(row, name) for name in SAME] for row in store.runs()]


def finish_two(store, handler, config=CONFIG, kind="distil") -> list[list[object]]:
    """Finish two jobs, of which one is deleted; return the row of the other."""
    for run_id in (RUN, OTHER):
        store.create_run(run_id, config, kind=kind, name="Mine")
        Job(store, run_id, handler).run()
    delete_run(store, OTHER)
    store.rename(RUN, "Better")
    store.change_tags(RUN, add=["paper"])
    return values(store)


def test_broken_database_is_made_anew_with_names_tags_and_curves(store, quick, kd_home, capsys):
    before = finish_two(store, distil)
    curve, evaluations = store.curve(RUN), store.evaluations(RUN)
    assert (len(curve), len(evaluations)) == (398, 5), "thinned, as pages show it"
    folder(THIRD)  # of Python code
    store.close()
    for end in ("-wal", "-shm"):
        (kd_home / f"kd.sqlite{end}").unlink(missing_ok=True)
    (kd_home / "kd.sqlite").write_bytes(b"no database at all, but a text that is long enough to be looked at")
    assert main(["runs"]) == 2
    assert "kd index --rebuild makes it anew" in capsys.readouterr().err
    assert main(["index", "--rebuild", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert Path(said["old"]).read_bytes().startswith(b"no database at all")
    assert (said["added"], said["unreadable"], said["lost"]) == ([RUN, THIRD], {}, LOST)
    assert said["without_curves"] == [THIRD]
    anew = Store()
    assert values(anew)[1:] == before
    assert anew.curve(RUN).equals(curve)
    assert anew.evaluations(RUN).equals(evaluations)
    teach = anew.stages(RUN)[0]
    assert (teach.stage, teach.seconds, teach.cached) == ("teach", 2.5, True)


def test_what_a_database_lacks_is_said_and_added(store, capsys):
    store.create_run(RUN, CONFIG, name="Mine", status="done")
    folder(OTHER)
    folder(THIRD, created="last week")
    (paths.runs() / "notes").mkdir()
    for command, said in (
        (["index"], "1 job in the database, deleted ones among them. It lacks 2 folders; kd index --rebuild"),
        (["runs"], "2 folders of finished work not listed; kd index --rebuild adds them.\n"),
        (["show", OTHER], f"Run {OTHER} has a folder, but is not in the list; kd index --rebuild adds it.\n"),
        (["index", "--rebuild"], f"\nWithout their curves: {OTHER}.\n"),
    ):
        main(command)
        shown = capsys.readouterr()
        assert said in shown.out + shown.err
    assert "last week" in rebuild(store).unreadable[THIRD]
    assert {row.id: row.name for row in store.runs()} == {RUN: "Mine", OTHER: ""}
    assert rebuild(store).added == []
    # The data folder may have been moved since.
    assert store.report_json(OTHER)["folder"] == str(paths.runs() / OTHER) != SAMPLE["folder"]


BENCH = {"forms": [], "note": "é"}


@pytest.mark.parametrize(("kind", "report"), [("bench", BENCH), ("lab", {"cells": [{"accuracy": 0.5}]})])
def test_what_other_jobs_found_comes_back_unless_it_was_deleted(store, quick, kd_home, kind, report):
    before = finish_two(store, lambda *_: report, {"distill": CONFIG}, kind)
    created = store.run(RUN).created
    store.create_run(THIRD, {"distill": CONFIG}, kind=kind)  # not done
    store.close()
    (kd_home / "kd.sqlite").unlink()
    anew = Store()
    assert missing_runs(anew) == [RUN]
    result = rebuild(anew)
    assert (result.added, result.without_curves, result.unreadable) == ([RUN], [], {})
    assert values(anew) == before
    assert (anew.run(RUN).created, anew.run(RUN).config) == (created, {"distill": CONFIG})
    assert anew.report_json(RUN) == report
    restore_run(anew, OTHER)
    assert rebuild(anew).added == [OTHER]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read; it may be from another version."),
        ("[]", "cannot be read; it may be from another version."),
        ('{"kind": "bench"}', "cannot be read; it may be from another version."),
        ('{"kind": "bench", "created": 1, "config": {}, "report": {}}', "cannot be read; it may be"),
        ('{"kind": "bench", "created": "2026-01-31", "config": {}, "report": {}}', "lacks something; it may"),
        (None, "is not there: No such file or directory."),
    ],
)
def test_result_that_cannot_be_read_is_named(store, text, says):
    (paths.jobs() / RUN).mkdir(parents=True)
    if text is not None:
        (paths.jobs() / RUN / "job.json").write_text(text)
    assert rebuild(store).unreadable[RUN].startswith(f"The result of {RUN} {says}")
