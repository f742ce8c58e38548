from __future__ import annotations

import json
import re
import shutil
import socket
import sys
from collections.abc import Callable

import pytest

from kd_core.cli import main
from kd_core.data.splits import normalised
from kd_core.distillation.events import ignore
from kd_core.errors import RunError
from kd_core.jobs.index import rebuild
from kd_core.jobs.store import Store
from kd_core.models import inference
from kd_core.search import link, result
from kd_core.system import paths
from kd_core.system.control import Control

pytestmark = pytest.mark.usefixtures("own_database")

RUN = "20260101-000000-aaaa"


@pytest.fixture
def kd(capsys) -> Callable[..., str]:
    """``kd("show", ...)``: what is printed, in one line."""

    def call(*arguments: str, status: int = 0) -> str:
        assert main([*arguments]) == status
        printed = capsys.readouterr()
        return " ".join((printed.err if status else printed.out).split())

    return call


def test_no_held_out_text_is_seen_by_a_training(searched) -> None:
    """Whatever else had read the guarded part would have failed the search."""
    for task in searched.tasks:
        outside = {normalised(text) for text in task.test["text"]}
        for split in (task.train, task.validation, task.transfer):
            assert not outside & {normalised(text) for text in split["text"]}
    # Each fold's texts in the teacher's pieces, and in the students'; a training learns from one fold.
    assert len(searched.held_out) == 4
    scored = [set(part) for part in searched.held_out]
    for part in searched.learned[:8]:
        assert any(not seen & set(part) for seen in scored)


def test_teacher_learns_once_for_all_cells_of_its_fold(searched) -> None:
    of_folds, of_choice = searched.taught[:8], searched.taught[8:]
    assert (of_folds.count("teacher"), sorted(of_choice)) == (2, ["alone", "student", "teacher"])
    assert [score.fold for score in searched.found.teacher] == [0, 1]
    assert searched.found.complete
    assert searched.found.trainings_done == searched.found.trainings == 8
    assert "teacher of fold 2 of 2, step 2 of 2" in searched.doing
    assert "T 4, alpha 0.5, custom: fold 2 of 2: 8 of 9" in searched.said
    assert " for 8 trainings of students, 2 teachers and the run of the chosen setting." in searched.said
    assert not list((searched.home / "work").iterdir())


def test_cell_is_what_the_ordinary_steps_give_on_its_fold(searched, search_config, kd_home) -> None:
    """The reuse of vocabulary, texts and initial weights changes no score."""
    from kd_core.distillation.distil import train_student
    from kd_core.distillation.record import record
    from kd_core.distillation.resolve import resolve, token_lengths
    from kd_core.distillation.roles import student_variants
    from kd_core.distillation.run import Run
    from kd_core.distillation.teach import teach
    from kd_core.models.loading import load_teacher
    from kd_core.search.worker import for_search

    cell, task = searched.found.cells[1], searched.tasks[0]
    config = search_config.apply(cell.setting)
    model, tokenizer = load_teacher(config.teacher, task)
    config = for_search(resolve(config, task, model.config, token_lengths(tokenizer, task)))
    run = Run(task, config, kd_home / "run", ignore, Control())
    teacher, _ = teach(run, model, tokenizer)
    knowledge, _ = record(run, teacher)
    lesson = student_variants(config, len(task.transfer))[0]
    student = train_student(run, lesson, 0, teacher, knowledge)
    encoded = inference.encode(student.tokenizer, task.test, run.max_length)
    logits = inference.predict_logits(student.model, encoded)
    assert cell.scores[0].accuracy == float((logits.argmax(axis=1) == encoded["label"]).mean())


def test_choice_is_one_run_on_all_training_data(searched, kd_home, kd) -> None:
    shutil.copytree(searched.home, kd_home)
    found, store = searched.found, Store()
    row = store.run(found.run_id)
    assert (row.status, row.kind, row.name) == ("done", "distil", "mine: chosen")
    assert row.config["objective"]["temperature"] == found.cells[found.choice].setting.temperature
    assert store.report(row.id).rows["train"] == 65
    [job] = store.runs(kind="search")
    assert (job.status, result("mine").run_id) == ("done", row.id)
    for cell in (*result("mine").cells, *result("mine").alone):
        right = [score.right for score in cell.scores]
        assert [len(one) for one in right] == [len(task.test) for task in searched.tasks]
        assert [one.count("1") / len(one) for one in right] == [score.accuracy for score in cell.scores]
        assert cell.params > 1_000
    assert (found.cells[0].teacher_texts, found.alone[0].teacher_texts) == (65 + 40, 0)

    shown = kd("search", "--resume", "mine")
    assert "Search mine: 8 of 8 trainings, 2 folds." in shown
    assert "On the test texts, after training on all training data: accuracy " in shown
    assert re.search(r"Student alone: .*; best minus this [+−]?\d+\.\d \[", shown)
    assert re.search(r"Teachers, one a fold: \d+\.\d %", shown)
    assert "Search mine: 8 of 8 trainings, 2 folds." in kd("show", job.id)
    assert json.loads(kd("search", "--worker", "mine", "--json"))["run_id"] == row.id
    assert len(store.runs(kind="distil")) == 1  # the test split was not touched again

    store.close()
    for file in paths.home().glob("kd.sqlite*"):  # Optuna's tables are in it
        file.unlink()
    assert len(rebuild(Store()).added) == 2
    assert json.loads(kd("search", "--resume", "mine", "--json")) == json.loads(searched.printed)


def test_worker_says_that_the_run_of_the_choice_is_not_done(search_config, counted_search, kd) -> None:
    store = Store()
    store.create_run(RUN, search_config.distill.model_dump(mode="json"), status="running")
    link("tiny", RUN)
    said = kd("search", "--worker", "tiny")
    assert said.endswith(f"The chosen setting on all training data: Run {RUN} has no report: it is running.")
    store.set_status(RUN, "stopped")
    store.delete_run(RUN)
    assert kd("search", "--worker", "tiny").endswith(f"There is no run {RUN}; it may have been deleted.")


GONE = f"{socket.gethostname()}:{2**31 - 1}:0.0"  # a process that is no longer there


@pytest.mark.parametrize(("status", "owner"), [("stopped", None), ("queued", GONE)])
def test_search_that_ended_before_its_turn_is_resumed(status, owner, search_config, monkeypatch, kd) -> None:
    def carry_out(store: Store, run_id: str) -> None:
        raise RunError(f"{run_id} goes on")

    config = search_config.model_dump(mode="json")
    Store().create_run(RUN, config, kind="search", status=status, owner=owner)
    monkeypatch.setattr(sys.modules["kd_core.cli.search"], "carry_out", carry_out)
    assert kd("search", "--resume", "tiny", status=2) == f"kd: {RUN} goes on"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("--alphas=", "--alphas must have a value at least, got none"),
        ("--temperatures 0,1", "--temperatures must be between 0.01 and 100, got '0,1'"),
        ("--worker none", "There is no search named 'none'; kd search --name makes one."),
        ("--resume none", "There is no search named 'none'; kd search --name makes one."),
        ("--worker a --folds 3", "--worker takes the settings from the search; give no others with it."),
        ("--temperature 2", "No such option '--temperature'. Did you mean '--temperatures'?"),
        ("--metric f1:none", "--metric names 'none', not a class of this task; its classes are "),
    ],
)
def test_mistakes_of_the_command(arguments, problem, kd, counted) -> None:
    said = kd("search", *arguments.split(), status=2)
    assert said.startswith(f"kd: {problem}")
    assert (said.count("kd: "), counted, Store().runs()) == (1, [], [])
