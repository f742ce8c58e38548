"""``kd distill`` and ``kd resume``: what a run leaves in the store, and what goes on from there."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.distillation.events import OnEvent, TrainingStarted
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from kd_core.system.process import owner
from tests.unit.cli.scripted import REPORT, RUN, FakeReport, finishes, make_run, use_engine

pytestmark = pytest.mark.usefixtures("own_environment")


def test_json_is_all_there_is_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = use_engine(monkeypatch, finishes)
    assert main(["distill", "--json", "--temperature", "2"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == REPORT
    assert captured.err == "1 Teach\n  21 s\na library's remark\n"
    assert [config.objective.temperature for config in seen] == [2.0]


def test_wrong_settings_stop_before_the_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = use_engine(monkeypatch, finishes)
    assert main(["distill", "--alpha", "1.4"]) == 2
    assert capsys.readouterr().err == "kd: --alpha must be between 0 and 1, got '1.4'\n"
    assert seen == []


@pytest.mark.parametrize("flag", ["--teacher", "--student"])
@pytest.mark.parametrize("command", [["distill"], ["distill", "--keep", "98"], ["search", "--name", "first"]])
def test_a_name_that_is_no_model_is_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], flag: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main([*command, flag, "nope"]) == 2
    assert "'nope' is not on this disk and the Hugging Face Hub cannot be reached" in capsys.readouterr().err
    assert main([*command, flag, "minilm-l5"]) == 2
    assert "Did you mean minilm-l6? Without a network there are" in capsys.readouterr().err
    assert Store().runs() == []


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--task", "nosuch.csv"], "--task: There is no file"),
        (["--task", "nosuch"], "There is no task or file 'nosuch'"),
        (["--knowledge", "nosuch.csv"], "--knowledge: There is no file"),
        (["--test-file", "nosuch.csv"], "--test-file: There is no file"),
        (["--transfer-file", "nosuch.csv"], "--transfer-file: There is no file"),
        (["--task", "a.csv", "--knowledge", "b.csv"], "--task a.csv would say nothing: the task is the file"),
        (["--int8"], "--int8 and --no-int8 go with --keep"),
        (["--keep", "98", "--student", "half"], "--student half says nothing here; give --students half"),
    ],
)
def test_what_cannot_be_meant_is_no_run(
    capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert main(["distill", *flags]) == 2
    assert says in capsys.readouterr().err
    assert Store().runs() == []


def test_answers_that_a_file_names_can_be_taken_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("task: {knowledge: answers.csv}", encoding="utf-8")
    seen = use_engine(monkeypatch, finishes)
    taken_back = ["--knowledge", "", "--task", "bbc-sentences"]
    assert main(["distill", "--config", str(tmp_path / "run.yaml"), *taken_back, "--json"]) == 0
    assert [(config.task.name, config.task.knowledge) for config in seen] == [("bbc-sentences", None)]


@pytest.mark.parametrize("flags", [("--metric", "f1:nope"), ("--class-weights", "nope=3")])
def test_a_name_that_is_no_class_is_no_run(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, str]
) -> None:
    assert main(["distill", *flags]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"kd: {flags[0]} names 'nope', not a class of this task; its classes are ")
    assert Store().runs() == []


def test_a_run_is_in_the_store_while_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []

    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        rows.extend(Store().runs())
        on_event(TrainingStarted("alone", 0, 3, cached=True))
        return FakeReport(REPORT)

    use_engine(monkeypatch, engine)
    assert main(["distill", "--name", "first try", "--temperature", "2"]) == 0
    (during,), (after,) = rows, Store().runs()
    assert (during.status, during.name, during.owner) == ("running", "first try", owner())
    assert during.config["objective"]["temperature"] == 2.0
    assert (after.status, after.accuracy["student"], after.verdict) == ("done", 0.895, "helped")
    assert TrainingStarted("alone", 0, 3, cached=True) in [row.event for row in Store().events(after.id)]


def test_paths_are_kept_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run may be resumed in another folder."""
    use_engine(monkeypatch, finishes)
    (tmp_path / "mine.csv").write_text("text,label\n")
    (tmp_path / "bbc-sentences").write_text("not the bundled task\n")
    monkeypatch.chdir(tmp_path)
    assert main(["distill", "--task", "mine.csv", "--test-file", "mine.csv"]) == 0
    assert main(["distill", "--task", "bbc-sentences"]) == 0
    tasks = [row.config["task"] for row in Store().runs()]
    assert [task["name"] for task in tasks] == ["bbc-sentences", str(tmp_path / "mine.csv")]
    assert tasks[1]["test_file"] == str(tmp_path / "mine.csv")


def test_resume(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen = use_engine(monkeypatch, finishes)
    make_run(Store(), RUN, "interrupted", **{"objective.temperature": 3.0})
    assert main(["resume", "last", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == REPORT
    assert [config.objective.temperature for config in seen] == [3.0]
    assert Store().run(RUN).status == "done"
    assert main(["resume", RUN]) == 2
    assert capsys.readouterr().err == (
        f"kd: Run {RUN} is done; only one that is paused or ended early can be resumed.\n"
    )


def test_seeds_are_added_to_a_run_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = use_engine(monkeypatch, finishes)
    assert main(["distill", "--name", "first"]) == 0
    before = Store().report(Store().runs()[0].id).config["training"]["seeds"]
    assert main(["resume", "last", "--add-seeds", "2"]) == 0
    assert seen[-1].training.seeds == (*before, max(before) + 1, max(before) + 2)
    assert Store().runs()[0].name == f"first, {len(before) + 2} seeds"


def test_a_job_of_a_newer_version_is_not_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    newer: Any = "pruning"
    Store().create_run(RUN, {}, kind=newer, status="stopped")
    assert main(["resume", RUN]) == 2
    err = f"kd: Run {RUN} is a job of the kind 'pruning', of a newer KD Studio; resume it there.\n"
    assert capsys.readouterr().err == err


def test_a_run_whose_process_went_away_can_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch, finishes)
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    host, pid, started = owner().rsplit(":", 2)
    ticks, _, realm = started.partition("@")
    assert store.claim(f"{host}:{pid}:{int(ticks) - 1}@{realm}", RUN)
    assert main(["resume", RUN]) == 0
    assert store.run(RUN).status == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an owner names no boot")
def test_a_run_can_be_resumed_once_its_machine_was_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch, finishes)
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    host, pid, started = owner().rsplit(":", 2)
    assert store.claim(f"{host}:{pid}:{started.partition('@')[0]}@boot-of-yesterday/1", RUN)
    monkeypatch.setattr(psutil, "boot_time", lambda: time.time() + 1)
    assert main(["resume", RUN]) == 0
    assert store.run(RUN).status == "done"


def test_a_paused_run_goes_on_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    store.claim(owner(), RUN)
    assert main(["resume", RUN]) == 2
    assert capsys.readouterr().err == (
        f"kd: Run {RUN} is running; only one that is paused or ended early can be resumed.\n"
    )
    assert main(["pause", RUN]) == 0
    capsys.readouterr()
    assert main(["resume", RUN]) == 0
    assert capsys.readouterr().err == f"Run {RUN} goes on, in the process that has it.\n"
    assert (store.command(RUN), store.run(RUN).status) == ("run", "running")
