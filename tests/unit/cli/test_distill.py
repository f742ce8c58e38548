from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.events import OnEvent, TrainingStarted
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from kd_core.system.process import owner
from tests.unit.cli.conftest import REPORT, RUN, make_run


def test_json_is_all_there_is_on_stdout(kd, use_engine) -> None:
    seen = use_engine()
    status, out, err = kd("distill --json --temperature 2")
    assert (status, json.loads(out)) == (0, REPORT)
    assert err == "1 Teach\n  21 s\na library's remark\n"
    assert [config.objective.temperature for config in seen] == [2.0]


NO_FILE = "There is no file"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--alpha 1.4", "--alpha must be between 0 and 1, got '1.4'\n"),
        ("--task nosuch.csv", f"--task: {NO_FILE}"),
        ("--task nosuch", "There is no task or file 'nosuch'"),
        ("--knowledge nosuch.csv", f"--knowledge: {NO_FILE}"),
        ("--test-file nosuch.csv", f"--test-file: {NO_FILE}"),
        ("--transfer-file nosuch.csv", f"--transfer-file: {NO_FILE}"),
        ("--task a.csv --knowledge b.csv", "--task a.csv would say nothing: the task is the file"),
        ("--int8", "--int8 and --no-int8 go with --keep"),
        ("--keep 98 --student half", "--student half says nothing here; give --students half"),
        ("--metric f1:nope", "--metric names 'nope', not a class of this task; its classes are "),
        ("--class-weights nope=3", "--class-weights names 'nope', not a class of this task; its classes"),
        ("--config nowhere.yaml", "cannot read the config 'nowhere.yaml': No such file or directory\n"),
    ],
)
def test_mistakes_leave_no_run(kd, flags: str, problem: str) -> None:
    status, _, err = kd(f"distill {flags}")
    assert (status, problem in err, err[:4], Store().runs()) == (2, True, "kd: ", [])


@pytest.mark.parametrize("flag", ["--teacher", "--student"])
@pytest.mark.parametrize("command", ["distill", "distill --keep 98", "search --name first"])
def test_name_that_is_no_model_leaves_no_run(kd, command: str, flag: str) -> None:
    absent = "'nope' is not on this disk and the Hugging Face Hub cannot be reached"
    assert absent in kd(f"{command} {flag} nope").err
    assert "Did you mean minilm-l6? Without a network there are" in kd(f"{command} {flag} minilm-l5").err
    assert Store().runs() == []


def test_run_is_in_the_store_while_and_after(kd, use_engine) -> None:
    rows = []

    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> Any:
        rows.extend(Store().runs())
        on_event(TrainingStarted("alone", 0, 3, cached=True))
        return REPORT

    use_engine(engine)
    assert kd("distill --name 'first try' --temperature 2").status == 0
    (during,), (after,) = rows, Store().runs()
    assert (during.status, during.name, during.owner) == ("running", "first try", owner())
    assert during.config["objective"]["temperature"] == 2.0
    assert (after.status, after.accuracy["student"], after.verdict) == ("done", 0.895, "helped")
    assert TrainingStarted("alone", 0, 3, cached=True) in [row.event for row in Store().events(after.id)]


def test_paths_are_absolute(kd, use_engine, tmp_path: Path, monkeypatch) -> None:
    """A run may be resumed in another folder."""
    use_engine()
    (tmp_path / "mine.csv").write_text("text,label\n")
    (tmp_path / "bbc-sentences").write_text("not the bundled task\n")
    monkeypatch.chdir(tmp_path)
    assert kd("distill --task mine.csv --test-file mine.csv").status == 0
    assert kd("distill --task bbc-sentences").status == 0
    tasks = [row.config["task"] for row in Store().runs()]
    assert [task["name"] for task in tasks] == ["bbc-sentences", str(tmp_path / "mine.csv")]
    assert tasks[1]["test_file"] == str(tmp_path / "mine.csv")


ENDED_EARLY = "only one that is paused or ended early can be resumed.\n"


def test_resume(kd, use_engine) -> None:
    seen = use_engine()
    store = make_run(RUN, "interrupted", **{"objective.temperature": 3.0})
    assert json.loads(kd("resume last --json").out) == REPORT
    assert [config.objective.temperature for config in seen] == [3.0]
    assert store.run(RUN).status == "done"
    assert kd(f"resume {RUN}") == (2, "", f"kd: Run {RUN} is done; {ENDED_EARLY}")
    assert kd("resume last --add-seeds 2").status == 0
    assert seen[-1].training.seeds == (0, 1, 2)
    assert store.runs()[0].name == "about a1b2, 3 seeds"


def test_job_of_a_newer_version_is_not_resumed(kd) -> None:
    newer: Any = "pruning"
    Store().create_run(RUN, {}, kind=newer, status="stopped")
    problem = f"kd: Run {RUN} is a job of the kind 'pruning', of a newer KD Studio; resume it there.\n"
    assert kd(f"resume {RUN}") == (2, "", problem)


@pytest.mark.parametrize("rebooted", [False, True])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an owner names no boot")
def test_run_of_a_process_that_is_gone_can_be_resumed(kd, use_engine, monkeypatch, rebooted: bool) -> None:
    use_engine()
    store = make_run(RUN, "queued")
    host, pid, started = owner().rsplit(":", 2)
    ticks, _, realm = started.partition("@")
    gone = f"{ticks}@boot-of-yesterday/1" if rebooted else f"{int(ticks) - 1}@{realm}"
    assert store.claim(f"{host}:{pid}:{gone}", RUN)
    if rebooted:
        monkeypatch.setattr(psutil, "boot_time", lambda: time.time() + 1)
    assert kd(f"resume {RUN}").status == 0
    assert store.run(RUN).status == "done"


def test_paused_run_goes_on_where_it_is(kd) -> None:
    store = make_run(RUN, "queued")
    store.claim(owner(), RUN)
    assert kd(f"resume {RUN}") == (2, "", f"kd: Run {RUN} is running; {ENDED_EARLY}")
    assert kd(f"pause {RUN}").status == 0
    assert kd(f"resume {RUN}") == (0, "", f"Run {RUN} goes on, in the process that has it.\n")
    assert (store.command(RUN), store.run(RUN).status) == ("run", "running")
