"""The job and the command: ``kd search`` from its flags to the chosen run."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from kd_core import job_kinds
from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.distillation.events import Progress, StageStarted
from kd_core.errors import RunError
from kd_core.jobs.index import rebuild
from kd_core.jobs.store import Store
from kd_core.search import link, result
from kd_core.system import paths
from kd_core.system.control import Control
from tests.unit.search.in_process import run

pytestmark = pytest.mark.usefixtures("own_database")


def kd(*arguments: str) -> int:
    return main(["search", *arguments])


def flags(config: DistillConfig, tmp_path: Path) -> list[str]:
    file = tmp_path / "run.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8")
    return [
        "--config",
        str(file),
        "--temperatures",
        "1,4",
        "--alphas",
        "0.5",
        "--folds",
        "2",
        "--workers",
        "1",
    ]


def test_the_command_searches_then_runs_the_choice_once_on_all_training_data(
    short_config, tmp_path, capsys
) -> None:
    assert kd(*flags(short_config, tmp_path), "--name", "mine", "--json") == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["study"] == "mine"
    assert report["complete"] is True
    assert report["trainings_done"] == report["trainings"] == 8
    assert "T 4, alpha 0.5, custom: fold 2 of 2: 8 of 9" in printed.err
    assert " for 8 trainings of students, 2 teachers and the run of the chosen setting." in printed.err
    store = Store()
    row = store.run(report["run_id"])
    assert (row.status, row.kind, row.name) == ("done", "distil", "mine: chosen")
    chosen = report["cells"][report["choice"]]["setting"]
    assert row.config["objective"]["temperature"] == chosen["temperature"]
    assert store.report(row.id).rows["train"] == 65
    assert [job.status for job in store.runs(kind="search")] == ["done"]
    assert result("mine").run_id == row.id
    for score in result("mine").cells[0].scores:
        assert score.right.count("1") / len(score.right) == score.accuracy

    assert kd("--resume", "mine") == 0
    shown = capsys.readouterr().out
    assert "Search mine: 8 of 8 trainings, 2 folds." in shown
    assert "On the test texts, after training on all training data: accuracy " in shown
    assert re.search(r"Student alone: .*; best minus this [+−]?\d+\.\d \[", shown)
    assert re.search(r"Teachers, one a fold: \d+\.\d %", shown)
    assert len(store.runs(kind="distil")) == 1  # the test split was not touched again
    (job,) = store.runs(kind="search")
    assert main(["show", job.id]) == 0
    assert "Search mine: 8 of 8 trainings, 2 folds." in capsys.readouterr().out
    assert kd("--worker", "mine", "--json") == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == row.id

    store.close()
    for file in paths.home().glob("kd.sqlite*"):  # Optuna's tables are in it
        file.unlink()
    assert len(rebuild(Store()).added) == 2
    assert kd("--resume", "mine", "--json") == 0
    assert json.loads(capsys.readouterr().out) == report


def test_a_search_without_a_name_gives_its_run_one_that_says_what_it_is(
    short_config, tmp_path, monkeypatch
) -> None:
    heard: list[str] = []

    def progress(stage: None, label: str, done: int, total: int) -> Progress:
        heard.append(label)
        return Progress(stage, label, done, total)

    def run_inside(store: Store, run_id: str, on_event: Any, control: Control) -> None:
        heard.append(store.run(run_id).name)
        on_event(StageStarted("distil"))

    monkeypatch.setattr(job_kinds, "Progress", progress)
    monkeypatch.setattr(job_kinds, "_run_inside", run_inside)
    kd(*flags(short_config, tmp_path), "--json")
    assert heard == ["Chosen by a search", "the chosen setting on all training data: 3 distill"]


GONE = f"{socket.gethostname()}:{2**31 - 1}:0.0"  # a process that is no longer there


@pytest.mark.parametrize(("status", "owner"), [("stopped", None), ("queued", GONE)])
def test_a_search_that_ended_while_it_waited_for_its_turn_is_resumed(
    status, owner, search_config, monkeypatch, capsys
) -> None:
    taken: list[str] = []
    store = Store()
    config = search_config.model_dump(mode="json")
    store.create_run("20260101-000000-aaaa", config, kind="search", status=status, owner=owner)

    def carry_out(store: Store, run_id: str) -> None:
        taken.append(run_id)
        raise RunError("so far")

    monkeypatch.setattr(sys.modules["kd_core.cli.search"], "carry_out", carry_out)
    assert kd("--resume", "tiny") == 2
    assert (taken, capsys.readouterr().err) == (["20260101-000000-aaaa"], "kd: so far\n")


def test_a_helper_says_that_the_chosen_settings_run_is_not_done(search_config, counted, capsys) -> None:
    run(search_config)
    store, run_id = Store(), "20260101-000000-aaaa"
    store.create_run(run_id, search_config.distill.model_dump(mode="json"), status="running")
    link("tiny", run_id)
    assert kd("--worker", "tiny") == 0, "its own work is done"
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(
        f"The chosen setting on all training data: Run {run_id} has no report: it is running."
    )
    store.set_status(run_id, "stopped")
    store.delete_run(run_id)
    assert kd("--worker", "tiny") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(f"There is no run {run_id}; it may have been deleted.")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--alphas", ""], "--alphas must have a value at least, got none"),
        (["--temperatures", "0,1"], "--temperatures must be between 0.01 and 100, got '0,1'"),
        (["--folds", "1"], "--folds must be between 2 and 20, got '1'"),
        (["--worker", "none"], "There is no search named 'none'; kd search --name makes one."),
        (["--resume", "none"], "There is no search named 'none'; kd search --name makes one."),
        (
            ["--worker", "a", "--folds", "3"],
            "--worker takes the settings from the search; give no others with it.",
        ),
        (["--temperature", "2"], "No such option '--temperature'. Did you mean '--temperatures'?"),
    ],
)
def test_a_mistake_is_one_line(arguments, problem, capsys) -> None:
    assert kd(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"kd: {problem}")


def test_a_class_that_the_task_lacks_is_said_before_anything_is_queued(
    short_config, counted, tmp_path, capsys
) -> None:
    assert kd(*flags(short_config, tmp_path), "--metric", "f1:nothing") == 2
    assert "--metric names 'nothing', not a class of this task; its classes are " in capsys.readouterr().err
    assert (counted, Store().runs()) == ([], [])
