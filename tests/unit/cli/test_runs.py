from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kd_core.cli import output
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
from tests.unit.cli.conftest import RUN, make_run

pytestmark = pytest.mark.usefixtures("own_environment")

LATER = "20260131-150000-c3d4"


def spoil(run_id: str, **values: str) -> None:
    """Write raw values into a row of the database, as a tool may have left them."""
    changes = ", ".join(f"{name} = ?" for name in values)
    with closing(sqlite3.connect(paths.home() / "kd.sqlite")) as database:
        database.execute(f"UPDATE runs SET {changes} WHERE id = ?", (*values.values(), run_id))
        database.commit()


def test_list_of_runs(kd, monkeypatch) -> None:
    assert kd("runs") == (0, "", "No runs yet. kd distill makes one.\n")
    make_run()
    make_run(LATER, "failed")
    headings, first, second = kd("runs").lines
    assert headings == "Run Status Name Task Student Accuracy Gain Verdict Created"
    assert first.startswith(f"{LATER} Failed about c3d4 bbc-headlines cnn 20")
    assert second.startswith(f"{RUN} Done about a1b2 bbc-headlines cnn 89.5 % +5.0 points Better 20")
    # A narrow terminal has no room for the time, which the id says, nor for the names of runs without one.
    module = sys.modules["kd_core.cli.runs"]
    monkeypatch.setattr(module, "console", lambda stream, piped: output.console(stream, piped=80))
    spoil(RUN, name="")
    spoil(LATER, name="")
    assert kd("runs").lines[0] == "Run Status Task Student Accuracy Gain Verdict"
    (listed,) = json.loads(kd("runs --json --status done --status queued").out)
    assert (listed["id"], listed["status"], listed["accuracy"]["teacher"]) == (RUN, "done", 0.9)


def test_newest_of_many_runs(kd, monkeypatch) -> None:
    for number in range(4):
        name = "/of/" + 300 * "x" + ".csv"
        make_run(f"20260131-14300{number}-a1b2", **{"task.name": name})
    monkeypatch.setattr(sys.modules["kd_core.cli.runs"], "LISTED", 3)
    for flags, numbers, said in (
        ("", ["3", "2", "1"], "The newest 3 of 4 runs; --limit 4 lists all.\n"),
        ("--limit 1", ["3"], "The newest 1 of 4 runs; --limit 4 lists all.\n"),
        ("--limit 4", ["3", "2", "1", "0"], ""),
    ):
        _, out, err = kd(f"runs {flags}")
        # However long a task's name is, an id that one has to type is whole.
        assert re.findall(r"^20260131-14300(\d)-a1b2 ", out, re.MULTILINE) == numbers
        assert err == said
    assert [len(json.loads(kd(f"runs --json {flags}").out)) for flags in ("", "--limit 2")] == [4, 2]


def test_show(kd) -> None:
    make_run(**{"objective.alpha": 0.5, "training.seeds": (3, 4)})
    lines = kd("show 2026").lines
    assert lines[:2] == [f"Run {RUN} (about a1b2)", "Done."]
    assert lines[3:6] == ["Setting Value", "objective.alpha 0.5", "training.seeds 3,4"]
    assert "Distillation helped: +5.0 points." in lines
    shown = json.loads(kd(f"show {RUN} --json").out)
    assert shown["run"]["id"] == RUN
    assert shown["report"]["sentence"] == "Distillation helped: +5.0 points."


def test_show_a_run_that_is_under_way_or_failed(kd) -> None:
    store = make_run(RUN, "running")
    with closing(Recorder(store, RUN)) as record:
        record(StageStarted("distil"))
        record(Step("student", 0, 300, 1200, 0.5, 0.5, 0.5, 0.0, 1e-4, 100.0))
    assert "\nRunning: 3 Distill, distilled student, 300 of 1,200; " in kd("show last").out
    store.set_status(RUN, "failed", "The file 'x.csv' has no rows.")
    assert f"\nFailed: The file 'x.csv' has no rows. To go on: kd resume {RUN}\n" in kd("show last").out


@pytest.mark.parametrize(
    ("kind", "config", "label", "shown"),
    [
        ("export", {"run": RUN}, "timing", "\nRunning: timing, 3 of 10; 40.0 % of all."),
        (
            "search",
            SearchConfig(study="mine").model_dump(mode="json"),
            "T 1, alpha 0.1: fold 1 of 3",  # its last step is the run of the choice
            "\nRunning: T 1, alpha 0.1: fold 1 of 3, 3 of 9 trainings; 40.0 % of all.",
        ),
    ],
)
def test_show_a_job_that_is_under_way(kd, kind, config, label, shown) -> None:
    store = Store()
    store.create_run(RUN, config, kind=kind, status="running", owner=owner())
    store.write(RUN, [], {"label": label, "step": 3, "steps": 10, "progress": 0.4})
    assert f"kd show {RUN} says how far it is." in kd("runs").err
    assert shown in kd(f"show {'mine' if kind == 'search' else RUN}").out


def test_last_run_that_has_models() -> None:
    """Each typo in a file leaves a run that failed."""
    for number, status in enumerate(("done", "done", "failed")):
        make_run(f"20260131-14300{number}-a1b2", status)
    assert find_run("last") == "20260131-143002-a1b2"
    assert find_finished("last") == "20260131-143001-a1b2"
    with pytest.raises(RunError, match="20260131-143002-a1b2 is failed, so it has no models yet"):
        find_finished("20260131-143002")


WHICH = "Which run? Give its id, a beginning of it, or last; kd runs lists them.\n"


@pytest.mark.parametrize(
    ("runs", "text", "message"),
    [
        ((), "last", "There is no run yet; kd distill makes one.\n"),
        ((), "2099", "No run starts with '2099'; kd runs lists them.\n"),
        ((), RUN, f"There is no run {RUN}"),
        ((), "\x1b[31m", "No run starts with '\\x1b[31m'"),
        ((RUN,), "", WHICH),
        ((RUN, LATER), "20260131", f"'20260131' fits 2 runs: {LATER}, {RUN}; write more of it.\n"),
    ],
)
def test_text_that_means_no_run(kd, runs, text: str, message: str) -> None:
    for run_id in runs:
        make_run(run_id)
    for command in (("show", text), ("delete", text, "--yes")):
        status, _, err = kd(*command)
        assert (status, err.startswith(f"kd: {message}")) == (2, True)
    assert len(Store().runs()) == len(runs)


def test_unreadable_row_is_listed_and_deleted(kd) -> None:
    make_run()
    make_run(LATER)
    spoil(RUN, config="[]")
    _, out, err = kd("runs")
    assert {"Done", "Cannot"} <= set(out.split())
    assert err.startswith(f"Run {RUN} cannot be read: ")
    listed = [(row["id"], row["status"]) for row in json.loads(kd("runs --json").out)]
    assert listed == [(LATER, "done"), (RUN, "unreadable")]
    for command in ("show", "bench", "curve"):
        assert kd(f"{command} {RUN}").err.startswith(f"kd: Run {RUN} cannot be read: ")
    assert kd(f"delete {RUN} --yes").status == 0
    assert [row.id for row in Store().runs()] == [LATER]


@pytest.mark.parametrize("command", ["runs --json", f"show {RUN} --json", f"delete {RUN} --yes"])
def test_run_whose_process_is_gone_is_interrupted(kd, command: str) -> None:
    store = make_run(RUN, "queued")
    store.claim(owner().replace(f":{os.getpid()}:", f":{2**22 + 1}:"), RUN)
    assert kd(command).status == 0
    expected = [] if command.startswith("delete") else ["interrupted"]
    assert [row.status for row in store.runs()] == expected


def test_stop_and_pause_reach_the_process_that_has_the_run(kd) -> None:
    store = make_run(RUN, "queued")
    store.claim(owner(), RUN)
    for command in ("pause", "stop"):
        said = f"Run {RUN} will {command} after its current step.\n"
        assert kd(f"{command} {RUN[:9]}") == (0, "", said)
        assert store.command(RUN) == command
    store.set_status(RUN, "done")
    assert kd("stop last") == (2, "", f"kd: Cannot stop run {RUN}: it is done.\n")


def test_reason_why_queued_runs_wait(kd) -> None:
    Store().create_run(RUN, DistillConfig().model_dump(mode="json"))
    assert kd("runs").err == "Queued runs wait for a dashboard, and none is open. Start one: kd app\n"
    RunnerState().set("The disk is full.")
    assert kd("runs").err == "Queued runs do not start: The disk is full. The dashboard tries again.\n"
    RunnerState().set("")
    assert kd("runs").err == ""
    assert kd("stop last").err == f"Run {RUN} has left the queue.\n"


@pytest.mark.parametrize("command", ["runs", f"show {RUN}"])
def test_name_does_not_command_the_terminal(kd, command: str) -> None:
    make_run()
    spoil(RUN, name="a\x1b]0;owned\x07b\x9b31m\u202ec")
    out = kd(command).out
    assert "a\ufffd]0;owned\ufffdb\ufffd31" in out
    assert not set("\x1b\x07\x9b\u202e") & set(out)


def test_delete_and_undo(kd, pipe, kd_home: Path) -> None:
    store = make_run()
    (kd_home / "runs" / RUN / "students").mkdir(parents=True)
    pipe(b"")
    nobody = f"kd: Nobody is there to ask; to delete run {RUN}, add --yes.\n"
    assert kd("delete last") == (2, "", nobody)
    assert f"To have it back: kd delete {RUN} --undo" in kd("delete last --yes").err
    assert (store.runs(), list((kd_home / "runs").iterdir())) == ([], [])
    assert [row["id"] for row in json.loads(kd("runs --status deleted --json").out)] == [RUN]
    assert json.loads(kd(f"delete {RUN} --undo --json").out) == {"restored": RUN}
    assert [row.id for row in store.runs()] == [RUN]
    assert [path.name for path in (kd_home / "runs").iterdir()] == [RUN]


@pytest.mark.parametrize(("answer", "left", "status"), [(b"n\n", 1, 130), (b"y\n", 0, 0)])
def test_delete_asks_once(kd, pipe, answer: bytes, left: int, status: int) -> None:
    store = make_run()
    pipe(answer, terminal=True)
    assert (kd(f"delete {RUN}").status, len(store.runs())) == (status, left)
