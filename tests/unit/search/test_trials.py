"""Cells as trials in the database: each is done once, whoever dies meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from kd_core.distillation.events import Progress
from kd_core.errors import DataError, DivergedError, RunError, Stopped, StoreError
from kd_core.search import Cell, SearchConfig, cells_study, result, worker
from kd_core.search import trials as boards
from kd_core.search.results import flattered
from kd_core.system.control import Control
from tests.unit.search.in_process import _fingerprint, run

pytestmark = pytest.mark.usefixtures("own_database")


# Cells


def test_each_cell_is_done_once_and_the_table_is_right(search_config, counted) -> None:
    events: list[Progress] = []
    found = run(search_config, on_event=events.append)
    assert sorted(counted) == sorted(
        ["alone"] * 2
        + [f"T {t}, alpha {a}, fold {fold}" for t in (1, 4) for a in (0.1, 0.5) for fold in (0, 1)]
    )
    assert found.complete
    # The teachers were not trained here.
    assert (found.trainings, found.trainings_done, found.seconds) == (12, 10, 20.0)
    first = found.cells[0]
    assert [score.accuracy for score in first.scores] == pytest.approx([0.891, 0.901])
    assert (first.mean, first.se) == pytest.approx((0.896, 0.005))
    assert found.best == 2  # T 4, alpha 0.1
    assert found.cells[2].setting.temperature == 4.0
    assert found.alone[0].mean == pytest.approx(0.809)
    assert events[-1].done == found.trainings_done
    assert events[-1].total == 13  # teachers, and the final run
    before = len(counted)
    assert run(search_config).cells == found.cells
    assert len(counted) == before


def test_a_search_that_stops_goes_on_after_the_last_finished_training(
    search_config, counted, monkeypatch
) -> None:
    control = Control()
    once = boards.score_name

    def stopped(seed: int, fold: int) -> str:
        if len(counted) == 5:
            raise Stopped("Stopped on request.")
        return once(seed, fold)

    with monkeypatch.context() as patch:
        patch.setattr(boards, "score_name", stopped)
        with pytest.raises(Stopped):
            run(search_config, control)
    assert result("tiny").trainings_done == 5
    assert not result("tiny").complete
    found = run(search_config)
    assert found.complete
    assert len(counted) == 10
    assert len(set(counted)) == 9  # two of the student alone


def test_a_cell_that_diverges_is_not_tried_again_and_others_go_on(
    search_config, counted, monkeypatch
) -> None:
    from kd_core.search import worker

    score = worker.CrossValidation.score

    def diverging(self, setting, *rest):
        if setting.temperature == 1.0 and setting.alpha == 0.1:
            raise DivergedError("The loss became nan.")
        return score(self, setting, *rest)

    monkeypatch.setattr(worker.CrossValidation, "score", diverging)
    found = run(search_config)
    assert found.complete
    assert [c.state for c in found.cells] == ["failed", "done", "done", "done"]
    assert found.cells[0].error == "The loss became nan."
    assert found.best == 2
    assert run(search_config).cells == found.cells


def test_a_dead_workers_cell_is_given_back_with_its_finished_folds(
    search_config, counted, monkeypatch
) -> None:
    monkeypatch.setattr(boards, "BEAT", 1)
    monkeypatch.setattr(boards, "GRACE", 1)
    monkeypatch.setattr(boards, "LOOK_EVERY", 0.1)
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(search_config)}
        board = boards.begin(storage, "tiny", search_config, facts)
        boards._refill(board.cells, search_config.settings, ["temperature", "alpha"])
        lost = board.cells.get_trials(deepcopy=False)[0]
        storage.set_trial_state_values(lost._trial_id, boards.RUNNING)  # and then it was killed
        storage.set_trial_user_attr(
            lost._trial_id, boards.score_name(0, 0), {"accuracy": 0.5, "seconds": 1.0, "params": 10}
        )
    found = run(search_config)
    assert found.complete
    assert [score.accuracy for score in found.cells[0].scores] == pytest.approx([0.5, 0.901])
    assert "T 1, alpha 0.1, fold 0" not in counted
    assert len(counted) == 9


def test_after_kill_9_the_search_goes_on_at_once(search_config, counted) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    owner = f"{socket.gethostname()}:{gone.pid}:{psutil.Process(gone.pid).create_time():.1f}"
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(search_config)}
        board = boards.begin(storage, "tiny", search_config, facts)
        boards._refill(board.cells, search_config.settings, ["temperature", "alpha"])
        lost = board.cells.get_trials(deepcopy=False)[3]
        storage.set_trial_state_values(lost._trial_id, boards.RUNNING)
        storage.set_trial_user_attr(lost._trial_id, boards.OWNER, owner)
        assert [cell.state for cell in result("tiny").cells] == [*["waiting"] * 3, "running"]
    gone.kill()
    gone.wait()
    assert run(search_config).complete  # with a grace of a minute for other machines
    assert len(counted) == 10


def test_a_table_of_many_cells_is_read_without_comparing_them(search_config, counted, monkeypatch) -> None:
    """Each with each other, 1,600 settings took seconds, after every training."""
    run(search_config)

    def compared(*_: Any) -> bool:
        raise AssertionError("two cells were compared")

    monkeypatch.setattr(Cell, "__eq__", compared)
    found = result("tiny")
    assert (found.complete, found.trainings_done) == (True, found.trainings - 2)  # without the teachers


def test_a_second_trial_of_a_cell_does_nothing(search_config, counted) -> None:
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(search_config)}
        board = boards.begin(storage, "tiny", search_config, facts)
        for _ in range(2):  # as two workers may at the same moment
            boards._refill(board.cells, search_config.settings, ["temperature", "alpha"])
            for trial in board.cells.get_trials(deepcopy=False)[:4]:
                board.cells.enqueue_trial(trial.system_attrs["fixed_params"], user_attrs=trial.user_attrs)
    assert run(search_config).complete
    assert len(counted) == 10


def test_hopeless_cells_are_given_up(search_config, counted) -> None:
    alphas = (0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.9, 1.0)
    config = search_config.model_copy(update={"alphas": alphas, "pruning": "median", "folds": 4})
    found = run(config)
    states = [c.state for c in found.cells]
    assert states.count("pruned") > 2
    assert states[0] == "done"
    pruned = next(c for c in found.cells if c.state == "pruned")
    assert len(pruned.scores) < 4
    assert pruned.same_as_best is None
    assert found.trainings_done == found.trainings - 4  # without teachers
    said, given_up = flattered(found), states.count("pruned")
    assert said.startswith("The best of 16 settings was picked on these very texts")
    assert "on others expect at least " in said
    assert said.endswith(f"(bootstrap of the choice, without the {given_up} that were given up).")
    lucky = found.model_copy(update={"optimism": -0.002})
    assert "on others expect at least 0.0 points less than its mean" in flattered(lucky)
    none_given_up = lucky.model_copy(update={"cells": [c for c in found.cells if c.state == "done"]})
    assert "on others expect hardly less than its mean (bootstrap of the choice)." in flattered(none_given_up)
    told = none_given_up.model_copy(update={"optimism": 0.004})
    assert "on others expect about 0.4 points less than its mean" in flattered(told)


def test_a_setting_that_has_all_its_trainings_is_not_given_up(search_config, counted) -> None:
    """With two folds the median was asked first when nothing was left to train."""
    alphas = (0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.9, 1.0)
    found = run(search_config.model_copy(update={"alphas": alphas, "pruning": "median"}))
    assert {cell.state for cell in found.cells} == {"done"}
    assert all(cell.same_as_best is not None for cell in found.cells)


def test_a_search_that_drew_a_setting_twice_keeps_its_cells(search_config, counted, monkeypatch) -> None:
    changes = {"method": "random", "temperatures": (4.0,), "alphas": (0.5,), "trials": 3}
    config = search_config.model_copy(update=changes)
    [setting] = config.settings
    with monkeypatch.context() as patch:
        patch.setattr(SearchConfig, "settings", property(lambda _: (setting,) * 3))  # as before
        before = run(config).cells
    assert [cell.setting for cell in before] == [setting] * 3
    assert result(config.study).cells == before


def test_tpe_takes_what_lies_between_the_ends(search_config, counted) -> None:
    config = search_config.model_copy(update={"method": "tpe", "trials": 12})
    found = run(config)
    settings = [c.setting for c in found.cells]
    assert len({s.temperature for s in settings}) == 12
    assert all(1 <= s.temperature <= 4 and 0.1 <= s.alpha <= 0.5 for s in settings)
    assert found.best is not None
    import optuna

    study = cells_study("tiny")
    assert len(study.trials) == 12
    assert set(optuna.importance.get_param_importances(study)) == {"temperature", "alpha"}


# The database


def test_a_name_with_other_settings_is_refused(search_config, counted) -> None:
    run(search_config)
    other = search_config.model_copy(update={"temperatures": (1.0, 2.0)})
    with pytest.raises(RunError) as caught:
        run(other)
    assert str(caught.value) == (
        "There is a search named 'tiny' already, with other settings (temperatures: 1.0,4.0 there, 1.0,2.0 "
        "here). Choose another name, or go on with it as it is: kd search --resume 'tiny'"
    )


def test_a_search_of_another_training_version_is_not_gone_on_with(
    search_config, counted, monkeypatch
) -> None:
    run(search_config)
    monkeypatch.setattr(worker, "TRAINING_VERSION", worker.TRAINING_VERSION + 1)
    with pytest.raises(RunError) as caught:
        run(search_config)
    assert str(caught.value) == (
        "The search 'tiny' was begun by another version of KD Studio, which trains differently. Start a new "
        "one, with another name."
    )


def test_a_search_that_is_not_there_is_said() -> None:
    with pytest.raises(RunError, match=r"^There is no search named 'none'; kd search --name makes one\.$"):
        result("none")


def test_a_database_that_is_away_is_one_sentence_without_its_password(monkeypatch) -> None:
    monkeypatch.setenv("KD_DATABASE_URL", "postgresql://me:geheim@127.0.0.1:9/none")
    with pytest.raises(StoreError) as caught:
        result("tiny")
    assert str(caught.value).startswith("The database 'none' on 127.0.0.1 cannot be used: ")
    assert "geheim" not in str(caught.value)


def test_a_database_that_becomes_read_only_is_one_sentence(search_config, counted, monkeypatch) -> None:
    run(search_config)
    monkeypatch.setattr(boards, "PATIENCE", 0)

    class ReadOnly(boards._Storage):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            sa.event.listen(
                self.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON")
            )
            self.engine.dispose()

    monkeypatch.setattr(boards, "_Storage", ReadOnly)
    with pytest.raises(
        StoreError, match=r"cannot be used: attempt to write a readonly database\. Check that"
    ):
        run(search_config.model_copy(update={"study": "other"}))


def test_other_texts_of_the_same_task_are_refused(search_config, counted, monkeypatch) -> None:
    run(search_config)
    with boards.connected() as storage:
        boards.find(storage, "tiny").note(boards.FINGERPRINT, "of another file")
    with pytest.raises(DataError, match="has other texts here than where the search 'tiny' began"):
        run(search_config)
