from __future__ import annotations

import socket
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from kd_core.distillation.events import Progress
from kd_core.errors import DataError, DivergedError, RunError, Stopped, StoreError
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.store import Store
from kd_core.search import SearchConfig, cells_study, result, worker
from kd_core.search import trials as boards
from kd_core.system.control import Control
from tests.unit.search.conftest import fingerprint, run

pytestmark = pytest.mark.usefixtures("own_database")

OLD, NEW, NEWER = (f"20260101-000000-{end}" for end in ("aaaa", "bbbb", "cccc"))


def begun(storage: Any, config: SearchConfig) -> boards.Board:
    facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: fingerprint(config)}
    board = boards.begin(storage, config.study, config, facts | {boards.TRAINED_BY: worker.TRAINING_VERSION})
    boards._refill(board.cells, config.settings, ["temperature", "alpha"])
    return board


# Cells


def test_each_cell_is_done_once(search_config, counted) -> None:
    events: list[Progress] = []
    found = run(search_config, on_event=events.append)
    assert sorted(counted) == sorted(
        ["alone"] * 2
        + [f"T {t}, alpha {a}, fold {fold}" for t in (1, 4) for a in (0.1, 0.5) for fold in (0, 1)]
    )
    assert found.complete
    # No teacher was trained here.
    assert (found.trainings, found.trainings_done, found.seconds) == (12, 10, 20.0)
    first = found.cells[0]
    assert [score.accuracy for score in first.scores] == pytest.approx([0.891, 0.901])
    assert (first.mean, first.se) == pytest.approx((0.896, 0.005))
    assert found.best == 2  # T 4, alpha 0.1
    assert found.cells[2].setting.temperature == 4.0
    assert found.alone[0].mean == pytest.approx(0.809)
    assert (events[-1].done, events[-1].total) == (10, 13)  # the total has teachers and the final run
    # Neither how often it is started nor how many work on it changes the search.
    assert run(search_config.model_copy(update={"workers": "auto"})).cells == found.cells
    assert len(counted) == 10


def test_stopped_search_goes_on_after_the_last_finished_training(search_config, counted, monkeypatch) -> None:
    once = boards.score_name

    def stopped(seed: int, fold: int) -> str:
        if len(counted) == 5:
            raise Stopped("Stopped on request.")
        return once(seed, fold)

    with monkeypatch.context() as patch:
        patch.setattr(boards, "score_name", stopped)
        with pytest.raises(Stopped):
            run(search_config, Control())
    begun = result("tiny")
    assert (begun.trainings_done, begun.complete, begun.optimism) == (5, False, None)
    assert run(search_config).complete
    assert len(counted) == 10
    assert len(set(counted)) == 9  # two of the student alone


def test_diverged_cell_is_not_tried_again(search_config, counted, monkeypatch) -> None:
    score = worker.CrossValidation.score

    def diverging(self, setting, *rest):
        if setting.temperature == 1.0 and setting.alpha == 0.1:
            raise DivergedError("The loss became nan.")
        return score(self, setting, *rest)

    monkeypatch.setattr(worker.CrossValidation, "score", diverging)
    found = run(search_config)
    assert (found.complete, found.best) == (True, 2)
    assert found.trainings_done == 10  # a cell that was given up counts as a whole
    assert [c.state for c in found.cells] == ["failed", "done", "done", "done"]
    assert found.cells[0].error == "The loss became nan."
    assert run(search_config).cells == found.cells


@pytest.mark.parametrize("known", [False, True], ids=["silent", "of this machine"])
def test_cell_of_a_dead_worker_is_given_back_with_its_finished_folds(
    known, search_config, counted, monkeypatch
) -> None:
    monkeypatch.setattr(boards, "LOOK_EVERY", 0.1)
    if not known:
        monkeypatch.setattr(boards, "BEAT", 1)
        monkeypatch.setattr(boards, "GRACE", 1)
    score = {"accuracy": 0.5, "seconds": 1.0, "params": 10}
    with boards.connected() as storage:
        lost = begun(storage, search_config).cells.get_trials(deepcopy=False)[0]
        storage.set_trial_state_values(lost._trial_id, boards.RUNNING)
        storage.set_trial_user_attr(lost._trial_id, boards.score_name(0, 0), score)
        if known:
            gone = f"{socket.gethostname()}:{2**31 - 1}:0.0"
            storage.set_trial_user_attr(lost._trial_id, boards.OWNER, gone)
        assert [cell.state for cell in result("tiny").cells] == ["running", *["waiting"] * 3]
    found = run(search_config)
    assert found.complete
    assert [score.accuracy for score in found.cells[0].scores] == pytest.approx([0.5, 0.901])
    assert "T 1, alpha 0.1, fold 0" not in counted
    assert len(counted) == 9


def test_second_trial_of_a_cell_does_nothing(search_config, counted) -> None:
    """Two workers may enqueue the same cell at the same moment."""
    with boards.connected() as storage:
        cells = begun(storage, search_config).cells
        for trial in cells.get_trials(deepcopy=False):
            cells.enqueue_trial(trial.system_attrs["fixed_params"], user_attrs=trial.user_attrs)
    assert run(search_config).complete
    assert len(counted) == 10


@pytest.mark.parametrize(("folds", "pruned"), [(3, True), (2, False)])
def test_hopeless_cells_are_given_up_unless_they_are_done(folds, pruned, search_config, counted) -> None:
    """With two folds the median could be asked only when nothing is left to train."""
    few = {"temperatures": (1.0,), "alphas": (0.1, 0.2, 0.5, 0.8, 0.9, 1.0)}
    found = run(search_config.model_copy(update={**few, "pruning": "median", "folds": folds}))
    given_up = [c for c in found.cells if c.state == "pruned"]
    assert found.cells[0].state == "done"
    assert bool(given_up) is pruned
    assert all(len(cell.scores) < folds and cell.same_as_best is None for cell in given_up)
    assert found.trainings_done == found.trainings - folds  # without teachers


def test_tpe_takes_settings_between_the_ends(search_config, counted) -> None:
    found = run(search_config.model_copy(update={"method": "tpe", "trials": 8}))
    settings = [c.setting for c in found.cells]
    assert len({s.temperature for s in settings}) == 8
    assert all(1 <= s.temperature <= 4 and 0.1 <= s.alpha <= 0.5 for s in settings)
    assert found.best is not None
    study = cells_study("tiny")
    assert len(study.trials) == 8
    assert set(optuna.importance.get_param_importances(study)) == {"temperature", "alpha"}


# The database


OTHER = "There is a search named 'tiny' already, with other settings"
SEVERAL = {"folds": 3, "method": "tpe", "trials": 2, "pruning": "median"}


@pytest.mark.parametrize(
    ("changes", "facts", "error", "problem"),
    [
        (
            {"alphas": (0.3,)},
            {},
            RunError,
            f"{OTHER} (alphas: 0.1,0.5 there, 0.3 here). Choose another name, ",
        ),
        (
            SEVERAL,
            {},
            RunError,
            "trials: 20 there, 2 here; folds: 2 there, 3 here; and 1 more). Choose another",
        ),
        ({}, {boards.TRAINED_BY: 0}, RunError, "was begun by another version of KD Studio, which trains "),
        (
            {},
            {boards.FINGERPRINT: "?"},
            DataError,
            "has other texts here than where the search 'tiny' began.",
        ),
    ],
)
def test_search_that_cannot_be_gone_on_with(
    changes, facts, error, problem, search_config, counted_search
) -> None:
    with boards.connected() as storage:
        for name, value in facts.items():
            boards.find(storage, "tiny").note(name, value)
    with pytest.raises(error) as caught:
        run(search_config.model_copy(update=changes))
    assert problem in str(caught.value)
    assert counted_search == []


def test_search_that_is_not_there() -> None:
    with pytest.raises(RunError, match=r"^There is no search named 'none'; kd search --name makes one\.$"):
        result("none")


def test_unreachable_database_is_named_without_its_password(monkeypatch) -> None:
    monkeypatch.setenv("KD_DATABASE_URL", "postgresql://me:geheim@127.0.0.1:9/none")
    with pytest.raises(StoreError) as caught:
        result("tiny")
    assert str(caught.value).startswith("The database 'none' on 127.0.0.1 cannot be used: ")
    assert "geheim" not in str(caught.value)


def test_read_only_database(search_config, counted_search, monkeypatch) -> None:
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


def test_name_of_a_deleted_search_is_free(search_config, counted_search) -> None:
    store, before, content = Store(), result("tiny"), search_config.model_dump(mode="json")
    store.create_run(OLD, content, kind="search", status="done")
    store.create_run(NEW, content, kind="search", status="stopped")
    delete_run(store, NEW)
    assert result("tiny") == before, "another job has it"
    delete_run(store, OLD)
    with pytest.raises(RunError, match="There is no search named 'tiny'"):
        result("tiny")
    restore_run(store, OLD)
    assert result("tiny") == before

    delete_run(store, OLD)
    store.create_run(NEWER, content, kind="search", status="done")
    run(search_config)
    assert len(counted_search) == 10, "all of it anew"
    with pytest.raises(RunError, match=f"another search named 'tiny' now.*bring {OLD} back"):
        restore_run(store, OLD)
    store.forget_deleted()
    assert result("tiny").complete
    with boards.connected() as storage:
        assert [study.study_name for study in storage.get_all_studies()] == ["tiny", "tiny (student alone)"]
