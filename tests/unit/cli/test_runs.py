"""The runs that there are: listed, shown, stopped, paused and deleted, and how one of them is named."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kd_core.cli import main, output
from kd_core.cli.runs import find_finished, find_run
from kd_core.config import DistillConfig
from kd_core.distillation.events import StageStarted, Step
from kd_core.errors import RunError
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.runner_state import RunnerState
from kd_core.jobs.store import Store
from kd_core.search import SearchConfig
from kd_core.system import paths
from kd_core.system.process import owner
from tests.unit.cli.scripted import RUN, make_run, pipe

pytestmark = pytest.mark.usefixtures("own_environment")


def test_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert capsys.readouterr() == ("", "No runs yet. kd distill makes one.\n")
    make_run(Store(), "20260131-143000-a1b2")
    make_run(Store(), "20260131-150000-c3d4", "failed")
    assert main(["runs"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Run Status Name Task Student Accuracy Gain Verdict Created"
    assert lines[1].startswith("20260131-150000-c3d4 Failed about c3d4 bbc-headlines cnn 20")
    assert lines[2].startswith(
        "20260131-143000-a1b2 Done about a1b2 bbc-headlines cnn 89.5 % +5.0 points Better 20"
    )
    assert main(["runs", "--json", "--status", "done", "--status", "queued"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["status"], listed["accuracy"]["teacher"]) == (RUN, "done", 0.9)


@pytest.mark.parametrize(("width", "headings"), [(80, 7), (120, 8)])
def test_on_a_narrow_terminal_runs_are_listed_without_what_their_ids_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, headings: int
) -> None:
    make_run(Store(), RUN)
    spoil(RUN, name="")
    module = sys.modules["kd_core.cli.runs"]
    monkeypatch.setattr(module, "console", lambda stream, piped: output.console(stream, piped=width))
    assert main(["runs"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (
        first.split()
        == ["Run", "Status", "Task", "Student", "Accuracy", "Gain", "Verdict", "Created"][:headings]
    )
    assert second.split()[:2] == [RUN, "Done"]
    assert "+5.0 points" in second


def test_of_many_runs_the_newest_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        name = "/of/" + 300 * "x" + ".csv"
        make_run(Store(), f"20260131-14300{number}-a1b2", **{"task.name": name})
    monkeypatch.setattr(sys.modules["kd_core.cli.runs"], "LISTED", 3)
    listed = {
        (): (["3", "2", "1"], "The newest 3 of 4 runs; --limit 4 lists all.\n"),
        ("--limit", "1"): (["3"], "The newest 1 of 4 runs; --limit 4 lists all.\n"),
        ("--limit", "4"): (["3", "2", "1", "0"], ""),
    }
    for flags, (numbers, said) in listed.items():
        assert main(["runs", *flags]) == 0
        out, err = capsys.readouterr()
        # However long a task's name is, an id that one has to type is whole.
        assert re.findall(r"^20260131-14300(\d)-a1b2 ", out, re.MULTILINE) == numbers
        assert err == said
    for flags, count in (((), 4), (("--limit", "2"), 2)):
        assert main(["runs", "--json", *flags]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN, **{"objective.alpha": 0.5, "training.seeds": (3, 4)})
    assert main(["show", "2026"]) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == [f"Run {RUN} (about a1b2)", "Done."]
    assert lines[4:7] == ["Setting Value", "objective.alpha 0.5", "training.seeds 3,4"]
    assert "Distillation helped: +5.0 points." in lines
    assert main(["show", RUN, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["run"]["id"] == RUN
    assert shown["report"]["sentence"] == "Distillation helped: +5.0 points."


def test_show_a_run_that_is_under_way(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    make_run(store, RUN, "running")
    with closing(Recorder(store, RUN)) as record:
        record(StageStarted("distil"))
        record(Step("student", 0, 300, 1200, 0.5, 0.5, 0.5, 0.0, 1e-4, 100.0))
    assert main(["show", "last"]) == 0
    assert "\nRunning: 3 Distill, distilled student, 300 of 1,200; " in capsys.readouterr().out


def test_show_a_job_that_is_under_way(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no stage, as a run has."""
    store = Store()
    store.create_run(RUN, {"run": RUN}, kind="export", status="running", owner=owner())
    store.write(RUN, [], {"label": "timing", "step": 30, "steps": 100, "progress": 0.3})
    assert main(["show", RUN]) == 0
    assert "\nRunning: timing, 30 of 100; 30.0 % of all." in capsys.readouterr().out


def test_a_search_under_way_is_told_of_and_found_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    config = SearchConfig(study="mine").model_dump(mode="json")
    store.create_run(RUN, config, kind="search", status="running", owner=owner())
    store.write(RUN, [], {"label": "T 1, alpha 0.1: fold 1 of 3", "step": 2, "steps": 5, "progress": 0.4})
    assert main(["runs"]) == 0
    assert f"kd show {RUN} says how far it is." in capsys.readouterr().err
    assert main(["show", "mine"]) == 0
    assert "alpha 0.1: fold 1 of 3, 2 of 4 trainings; 40.0 % of all." in capsys.readouterr().out


def test_show_a_run_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN, "running")
    Store().set_status(RUN, "failed", "The file 'x.csv' has no rows.")
    assert main(["show", "last"]) == 0
    assert f"\nFailed: The file 'x.csv' has no rows. To go on: kd resume {RUN}\n" in capsys.readouterr().out


def test_what_needs_models_takes_the_last_run_that_has_some() -> None:
    """Each typo in a file leaves a run that failed."""
    store = Store()
    for number, status in enumerate(("done", "done", "failed")):
        make_run(store, f"20260131-14300{number}-a1b2", status)
    assert find_run("last") == "20260131-143002-a1b2"
    assert find_finished("last") == "20260131-143001-a1b2"
    with pytest.raises(RunError, match="20260131-143002-a1b2 is failed, so it has no models yet"):
        find_finished("20260131-143002")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last", "There is no run yet; kd distill makes one."),
        ("2099", "No run starts with '2099'; kd runs lists them."),
        (RUN, f"There is no run {RUN}"),
    ],
)
def test_a_run_that_is_not_there(capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    assert main(["show", text]) == 2
    assert capsys.readouterr().err.startswith(f"kd: {message}")


def spoil(run_id: str, **values: str) -> None:
    """Raw values into a row of the database, as a tool may have left them."""
    changes = ", ".join(f"{name} = ?" for name in values)
    with closing(sqlite3.connect(paths.home() / "kd.sqlite")) as database:
        database.execute(f"UPDATE runs SET {changes} WHERE id = ?", (*values.values(), run_id))
        database.commit()


def test_a_row_that_cannot_be_read_is_listed_shown_and_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN)
    make_run(Store(), "20260131-150000-c3d4")
    spoil(RUN, config="[]")
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert {"Done", "Cannot"} <= set(out.split())
    assert err.startswith(f"Run {RUN} cannot be read: ")
    assert main(["runs", "--json"]) == 0
    listed = [(row["id"], row["status"]) for row in json.loads(capsys.readouterr().out)]
    assert listed == [("20260131-150000-c3d4", "done"), (RUN, "unreadable")]
    for command in ("show", "bench", "curve"):
        assert main([command, RUN]) == 2
        assert capsys.readouterr().err.startswith(f"kd: Run {RUN} cannot be read: ")
    assert main(["delete", RUN, "--yes"]) == 0
    assert [row.id for row in Store().runs()] == ["20260131-150000-c3d4"]


@pytest.mark.parametrize("command", [["runs", "--json"], ["show", RUN, "--json"], ["delete", RUN, "--yes"]])
def test_a_run_whose_process_is_gone_is_not_under_way(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    store.claim(owner().replace(f":{os.getpid()}:", f":{2**22 + 1}:"), RUN)
    assert main(command) == 0
    expected = [] if command[0] == "delete" else ["interrupted"]
    assert [row.status for row in store.runs()] == expected


def test_stop_and_pause_reach_the_process_that_has_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    store.claim(owner(), RUN)
    for command in ("pause", "stop"):
        assert main([command, RUN[:9]]) == 0
        assert capsys.readouterr().err == f"Run {RUN} will {command} after its current step.\n"
        assert store.command(RUN) == command
    store.set_status(RUN, "done")
    assert main(["stop", "last"]) == 2
    assert capsys.readouterr().err == f"kd: Cannot stop run {RUN}: it is done.\n"


def test_queued_runs_that_nobody_takes_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    Store().create_run(RUN, DistillConfig().model_dump(mode="json"))
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == (
        "Queued runs wait for a dashboard, and none is open. Start one: kd app\n"
    )
    RunnerState().set("The disk is full.")
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == (
        "Queued runs do not start: The disk is full. The dashboard tries again.\n"
    )
    RunnerState().set("")
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == ""


def test_a_name_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN)
    spoil(RUN, name="a\x1b]0;owned\x07b\x9b31m\u202ec")
    for command in (["runs"], ["show", RUN]):
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "a\ufffd]0;owned\ufffdb\ufffd31" in out
        assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert main(["show", "\x1b[31m"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_beginning_that_fits_several_runs(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), "20260131-143000-a1b2")
    make_run(Store(), "20260131-150000-c3d4")
    assert main(["show", "20260131"]) == 2
    assert capsys.readouterr().err == (
        "kd: '20260131' fits 2 runs: 20260131-150000-c3d4, 20260131-143000-a1b2; write more of it.\n"
    )


def test_delete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kd_home: Path) -> None:
    make_run(Store(), RUN)
    (kd_home / "runs" / RUN / "students").mkdir(parents=True)
    pipe(monkeypatch, b"")
    assert main(["delete", "last"]) == 2
    assert capsys.readouterr().err == f"kd: Nobody is there to ask; to delete run {RUN}, add --yes.\n"
    assert main(["delete", "last", "--yes"]) == 0
    assert Store().runs() == []
    assert list((kd_home / "runs").iterdir()) == []
    assert f"To have it back: kd delete {RUN} --undo" in capsys.readouterr().err
    assert main(["runs", "--status", "deleted", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [RUN]
    assert main(["delete", RUN, "--undo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"restored": RUN}
    assert [row.id for row in Store().runs()] == [RUN]
    assert [path.name for path in (kd_home / "runs").iterdir()] == [RUN]


@pytest.mark.parametrize("command", [["delete", "", "--yes"], ["show", ""]])
def test_no_text_means_no_run(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN)
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "kd: Which run? Give its id, a beginning of it, or last; kd runs lists them.\n"
    )
    assert len(Store().runs()) == 1


@pytest.mark.parametrize(("answer", "left", "status"), [(b"n\n", 1, 130), (b"y\n", 0, 0)])
def test_delete_asks_once(monkeypatch: pytest.MonkeyPatch, answer: bytes, left: int, status: int) -> None:
    make_run(Store(), RUN)
    pipe(monkeypatch, answer, terminal=True)
    assert main(["delete", RUN]) == status
    assert len(Store().runs()) == left
