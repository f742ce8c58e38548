"""Search: folds without a leak, cells that are done once, the choice, and what happens when a worker dies."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
import torch
from optuna.trial import TrialState

from kd_core import job_kinds
from kd_core.cli import main
from kd_core.config import DistillConfig, TaskConfig
from kd_core.data.splits import normalised
from kd_core.data.task import Task, labelled, unlabelled
from kd_core.distillation.events import Progress, StageStarted, ignore
from kd_core.distillation.training.trainer import DistillTrainer
from kd_core.errors import ConfigError, DataError, DivergedError, RunError, Stopped, StoreError
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.index import rebuild
from kd_core.jobs.store import Store
from kd_core.models import inference
from kd_core.search import (
    Cell,
    Score,
    SearchConfig,
    SearchResult,
    Setting,
    cells_study,
    link,
    outlook,
    result,
    run_search,
    worker,
)
from kd_core.search import trials as boards
from kd_core.search.folds import fold_tasks
from kd_core.search.processes import more_workers, workers_here
from kd_core.search.results import best_of, choose, compared_with_best, difference, flattered, optimism
from kd_core.system import paths
from kd_core.system.control import Control


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, kd_home: Path) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)


@pytest.fixture(scope="session")
def search_config(short_config: DistillConfig) -> SearchConfig:
    """2 x 2 cells and the student alone on 2 folds: 10 students of 3 steps, 2 teachers."""
    return SearchConfig(
        study="tiny", distill=short_config, temperatures=(1.0, 4.0), alphas=(0.1, 0.5), folds=2, workers=1
    )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was trained, in order: "teacher" or "T 1, alpha 0.1". No model is: accuracies are made up."""
    from kd_core.search import worker

    done: list[str] = []

    def score(self: Any, setting: Setting, alone: bool, fold: int, seed: int) -> dict[str, Any]:
        done.append("alone" if alone else f"T {setting.temperature:g}, alpha {setting.alpha:g}, fold {fold}")
        accuracy = 0.9 - setting.alpha / 10 + fold / 100 + setting.temperature / 1000
        return {"accuracy": accuracy, "seconds": 2.0, "params": 10, "teacher_texts": 100}

    monkeypatch.setattr(worker.CrossValidation, "score", score)
    return done


def run(config: SearchConfig, control: Control | None = None, on_event=ignore) -> SearchResult:
    from kd_core.system import paths

    return run_search(config, config.study, paths.work() / "search", on_event, control or Control())


# What is tried


def test_a_grid_has_every_combination_and_the_student_alone() -> None:
    config = SearchConfig.from_dict(
        {"temperatures": "1,2", "alphas": (0.1, 0.5, 0.9), "students": "tiny,mini", "folds": 4}
    )
    settings = [setting for setting in config.settings if setting]
    assert [(s.temperature, s.alpha, s.student) for s in settings[:4]] == [
        (1.0, 0.1, "tiny"),
        (1.0, 0.1, "mini"),
        (1.0, 0.5, "tiny"),
        (1.0, 0.5, "mini"),
    ]
    assert len(settings) == 12
    assert [setting.student for setting in config.alone] == ["tiny", "mini"]
    assert config.trainings == (12 + 2) * 4 + 4


def test_each_setting_reaches_its_field() -> None:
    config = SearchConfig(distill=DistillConfig())
    changed = config.apply(
        Setting(temperature=7.0, alpha=0.6, learning_rate=1e-3, student="mini", divergence="js")
    )
    assert (changed.objective.temperature, changed.objective.alpha) == (7.0, 0.6)
    assert (changed.objective.divergence, changed.student.model) == ("js", "mini")
    assert changed.training.learning_rate == 1e-3
    assert changed.task == config.distill.task


def test_random_settings_lie_between_the_ends_and_are_the_same_each_time() -> None:
    config = SearchConfig(temperatures=(1, 8), alphas=(0.1, 0.8), method="random", trials=50)
    found = [setting for setting in config.settings if setting]
    assert len(found) == 50
    assert all(1 <= s.temperature <= 8 and 0.1 <= s.alpha <= 0.8 for s in found)
    assert len({s.temperature for s in found}) > 40
    assert config.settings == SearchConfig.model_validate(config.model_dump()).settings


def test_no_setting_is_drawn_twice() -> None:
    one = {"temperatures": (4,), "alphas": (0.5,), "method": "random", "trials": 5}
    config = SearchConfig.from_dict(one | {"students": ("tiny", "mini")})
    assert sorted(setting.student for setting in config.settings) == ["mini", "tiny"]
    assert config.cells == 4  # with the student alone
    assert len(SearchConfig.from_dict(one).settings) == 1


def test_all_problems_of_a_config_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig.from_dict(
            {
                "temperatures": "",
                "alphas": "0.1,2",
                "folds": 1,
                "method": "best",
                "students": "tiny,../x y",
                "distill": {"objective": {"alpha": 3}},
            }
        )
    *others, students, method, folds = caught.value.problems
    assert others == [
        "objective.alpha must be between 0 and 1, got 3",
        "temperatures must have a value at least, got none",
        "alphas must be between 0 and 1, got '0.1,2'",
    ]
    assert students.startswith("students have a problem: '../x y' is no model")
    assert method == "method must be one of grid, random, tpe, got 'best'"
    assert folds == "folds must be between 2 and 20, got 1"


def test_a_search_has_an_end() -> None:
    """Whoever sends a link has written it: the form alone would make each setting, and stand still."""
    hundred = [number / 100 for number in range(1, 101)]
    lists = {"temperatures": hundred, "alphas": hundred}
    assert SearchConfig.from_dict(lists).cells == 10_001  # with the student alone
    with pytest.raises(ConfigError, match="method grid would try 20,000 settings, more than 10,000; shorten"):
        SearchConfig.from_dict({**lists, "learning_rates": [0.1, 0.2]})
    assert SearchConfig.from_dict({**lists, "learning_rates": [0.1, 0.2], "method": "tpe"}).cells == 22
    with pytest.raises(ConfigError, match="alphas must have 100 values at most, got 101"):
        SearchConfig.from_dict({"alphas": [0.005, *hundred]})


def test_the_name_of_a_search_is_not_that_of_anothers_tables() -> None:
    with pytest.raises(ConfigError, match=r"study must not end in ' \(student alone\)', as the tables"):
        SearchConfig.from_dict({"study": "mine (student alone)"})


def test_the_runs_settings_and_those_of_the_search_are_told_apart() -> None:
    with pytest.raises(ConfigError) as caught:
        SearchConfig.from_dict({"more": 1, "study": "x" * 201, "distill": {"more": 1}})
    assert [problem.partition(", got")[0] for problem in caught.value.problems] == [
        "study must be a text of 200 characters at most",
        "more is not a setting; choose from task, teacher, student, objective, training, controls",
        f"more is not a setting; choose from {', '.join(SearchConfig.model_fields)}",
    ]


def test_a_list_without_a_legal_value_is_one_problem() -> None:
    with pytest.raises(ConfigError, match=r"^temperatures must be between 0.01 and 100, got \['0'\]$"):
        SearchConfig.from_dict({"temperatures": ["0"]})


def test_values_must_differ() -> None:
    with pytest.raises(ConfigError, match=r"^temperatures must differ, got 1\.0,1\.0$"):
        SearchConfig.from_dict({"temperatures": "1,1"})


def test_the_outlook_counts_each_student_and_each_teacher(short_config, tiny_task) -> None:
    from kd_core.jobs.plan import read_vocabulary

    vocabulary = read_vocabulary(short_config.teacher, tiny_task)

    def seconds(
        temperatures: int, folds: int = 2, alphas: tuple[float, ...] = (0.5,), workers: int = 1
    ) -> float:
        config = SearchConfig(
            distill=short_config,
            temperatures=tuple(range(1, temperatures + 1)),
            alphas=alphas,
            folds=folds,
            workers=workers,
        )
        found = outlook(config, tiny_task, vocabulary, (), lambda: 1e9)
        assert found.workers == workers
        assert found.trainings == (temperatures * len(alphas) + 1) * folds + folds
        assert not found.measured
        return found.seconds

    cell = seconds(2) - seconds(1)
    assert cell > 0
    assert seconds(5) == pytest.approx(seconds(1) + 4 * cell)
    assert seconds(2, alphas=(0.1, 0.5)) == pytest.approx(seconds(1) + 3 * cell)
    assert seconds(1, folds=3) > seconds(1) * 1.2
    # Of 5 cells of equal weight, the student alone being one that takes less, two workers save a part.
    assert seconds(5) - 5 * cell < seconds(5, workers=2) < seconds(5)


# Folds


def test_held_out_parts_are_the_training_data_and_each_class_is_in_all(tiny_task: Task) -> None:
    folds = fold_tasks(tiny_task, TaskConfig(name="own.csv"), 3)
    held_out = list(chain.from_iterable(fold.test["text"] for fold in folds))
    assert sorted(held_out) == sorted(tiny_task.train["text"])
    assert [len(fold.test) for fold in folds] == [20, 20, 20]
    for fold in folds:
        for split in (fold.train, fold.validation, fold.test):
            assert set(split["label"]) == set(range(5))
        parts = [set(split["text"]) for split in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 60


def test_texts_that_differ_in_case_and_space_only_stay_together() -> None:
    texts = [f"text {i // 2} " + ("A" if i % 2 else "a ") for i in range(24)]
    task = Task(
        "t",
        ("x", "y"),
        labelled(texts, [i // 12 for i in range(24)]),
        labelled([], []),
        labelled([], []),
        unlabelled(["TEXT 3 a", "another"]),
    )
    for fold in fold_tasks(task, TaskConfig(name="own.csv"), 3):
        parts = [{normalised(t) for t in split["text"]} for split in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == 12
        assert ("TEXT 3 a" in fold.transfer["text"]) == ("text 3 a" in parts[0])
        assert "another" in fold.transfer["text"]


@pytest.mark.parametrize("name", ["bbc-headlines", "bbc-articles"])
def test_transfer_texts_of_a_fold_are_from_its_training_articles(name: str) -> None:
    from kd_core.data import bbc, load_task

    task = load_task(TaskConfig(name=name, transfer_texts=3_000))
    articles = bbc.read_corpus(bbc.corpus_folder())
    bodies: dict[str, set[int]] = {}
    for article, group in zip(articles, bbc.article_groups(articles), strict=True):
        whole = "\n".join((article.headline, *article.paragraphs))
        for text in (article.headline, whole, *article.sentences, *bbc._halves(article.sentences)):
            bodies.setdefault(normalised(text), set()).add(group)

    def groups(texts) -> set[int]:
        return set().union(*(bodies[normalised(text)] for text in texts))

    for fold in fold_tasks(task, TaskConfig(name=name), 3):
        assert 1_300 < len(fold.transfer) < 2_200  # three fifths of what there is
        outside = groups(fold.test["text"]) | groups(fold.validation["text"])
        assert not outside & groups(fold.transfer["text"])
        assert not outside & groups(fold.train["text"])


def test_fewer_texts_in_a_class_than_folds_is_said(tiny_task: Task) -> None:
    with pytest.raises(DataError) as caught:
        fold_tasks(tiny_task, TaskConfig(name="own.csv"), 13)
    assert str(caught.value) == (
        "The class 'sport' has 12 different training texts, and each of 13 folds needs one: "
        "choose 12 folds, or add texts."
    )


def test_a_metric_that_a_fold_cannot_judge_by_is_refused_before_anything_is_trained(
    search_config, counted, tmp_path
) -> None:
    """Of four texts of a class at most three train, one or two in a fold, which leaves none to validate."""
    file = tmp_path / "own.csv"
    rows = [f"text number {i},{('ham', 'spam')[i % 2]}" for i in range(60)]
    file.write_text("\n".join(["text,label", *rows, *(f"rare {i},rare" for i in range(4))]))
    own = {"task.name": str(file), "task.test_file": None, "task.transfer_file": None}
    distill = search_config.distill.change(own | {"training.metric": "f1:rare"})
    with pytest.raises(ConfigError, match=r"f1:rare: none of the \d+ validation texts is 'rare'"):
        run(search_config.model_copy(update={"distill": distill}))
    assert counted == []


# The choice


def cell(number: int, *accuracies: float, t: float = 4.0, alpha: float = 0.3, **facts: Any) -> Cell:
    setting = Setting(
        temperature=t, alpha=alpha, learning_rate="auto", student="tiny", divergence="forward_kl"
    )
    scores = [Score(seed=0, fold=i, accuracy=a, seconds=1.0) for i, a in enumerate(accuracies)]
    mean = sum(accuracies) / len(accuracies)
    known = {"state": "done", "setting": setting, "params": 100, "teacher_texts": 50} | facts
    return Cell(number=number, scores=scores, mean=mean, se=0.01, **known)


def test_the_difference_has_the_interval_of_nadeau_and_bengio() -> None:
    found = difference(cell(0, 0.90, 0.92, 0.94).scores, cell(1, 0.89, 0.90, 0.91).scores)
    assert found.mean == pytest.approx(0.02)
    # Differences 1, 2, 3 points: s = 1, t(0.975, 2) = 4.3027, so 2 ± 4.3027 √(1/3 + 1/2).
    assert found.se == pytest.approx(0.01 / 3**0.5)
    assert (found.low, found.high) == pytest.approx((0.02 - 0.039278, 0.02 + 0.039278), abs=1e-6)


USUAL = 4.0  # the default temperature


def compared(cells: list[Cell]) -> list[Cell]:
    best = best_of(cells, USUAL)
    return compared_with_best(cells, None if best is None else cells[best])


def test_the_choice_is_within_one_standard_error_of_the_best() -> None:
    """Of differences 1, 2, 3 points the mean is 3.5 standard errors; of 4, -3, 2 it is half of one."""
    best = cell(0, 0.90, 0.92, 0.94)
    worse, alike = cell(1, 0.89, 0.90, 0.91, params=1), cell(2, 0.86, 0.95, 0.92, params=10)
    cells = compared([best, worse, alike])
    assert [c.same_as_best for c in cells] == [True, True, True]  # three folds tell little
    assert [c.near_best for c in cells] == [True, False, True]
    assert choose(cells, USUAL) == 2


def test_picking_the_best_flatters_it() -> None:
    """Settings that are all equal: the best mean is luck, and the bootstrap finds nearly all of it."""
    rng = np.random.default_rng(0)
    luck, found = [], []
    for _ in range(60):
        cells = [cell(number, *(0.8 + 0.01 * rng.standard_normal(9))) for number in range(16)]
        luck.append(max(c.mean or 0 for c in cells) - 0.8)
        found.append(optimism(cells, 400))
    assert np.mean(found) == pytest.approx(np.mean(luck), rel=0.1)
    clear = [cell(0, 0.9, 0.9, 0.9), cell(1, 0.8, 0.8, 0.8)]
    assert optimism(clear, 400) == pytest.approx(0)
    assert optimism(clear[:1], 400) is None


def test_what_cannot_be_told_from_the_best_is_found_by_pairs() -> None:
    best = cell(0, 0.80, 0.90, 1.00)
    steadily_worse = cell(1, 0.79, 0.89, 0.99)  # folds differ far more than these two cells do
    now_and_then = cell(2, 0.82, 0.85, 1.00)
    cells = compared([best, steadily_worse, now_and_then])
    assert [c.same_as_best for c in cells] == [True, False, True]
    assert [c.near_best for c in cells] == [True, False, True]
    assert best_of(cells, USUAL) == 0
    [alone] = compared_with_best([cell(0, 0.81, 0.911, 1.01)], best)
    assert alone.from_best.high < 0
    assert (alone.same_as_best, alone.near_best) == (False, True), "clearly better is not the same"


def test_of_those_the_smallest_then_the_cheapest_then_the_nearest_is_chosen() -> None:
    def chosen(*others: Cell, usual: float = USUAL) -> int | None:
        return choose(compared([cell(0, 0.9, 0.8, 0.85, t=1.0), *others]), usual)

    near, far = cell(1, 0.9, 0.81, 0.835, t=4.0), cell(2, 0.9, 0.81, 0.835, t=8.0)
    assert chosen(near, far) == 1
    assert chosen(near, cell(2, 0.9, 0.81, 0.835, t=8.0, teacher_texts=0)) == 2
    assert chosen(near, cell(2, 0.9, 0.81, 0.835, t=8.0, params=10)) == 2
    assert chosen(near, cell(2, 0.5, 0.4, 0.45, params=1)) == 1  # clearly worse
    assert chosen(near, cell(2, 0.99, 0.9, params=1, state="pruned")) == 1
    assert chosen(near, far, usual=1.0) == 0, "where a class is rare, the default is T = 1"
    alike = {number: partial(cell, number, 0.9, 0.81, 0.835) for number in (1, 2)}
    assert chosen(alike[1](params=10), alike[2](teacher_texts=0)) == 1, "the size comes first"
    # From the defaults, T = 4 and alpha = 0.6: a doubled temperature is as far as 0.25 of alpha.
    assert chosen(alike[1](t=8.0, alpha=0.6), alike[2](alpha=0.36)) == 2
    assert chosen(alike[1](t=8.0, alpha=0.6), alike[2](alpha=0.34)) == 1
    twins = [cell(0, 0.9, 0.8, t=4.0), cell(1, 0.9, 0.8, t=1.0)]
    assert (best_of(twins, 4.0), best_of(twins, 1.0)) == (0, 1)


def test_nothing_is_chosen_before_a_cell_is_done() -> None:
    assert choose(compared([cell(0, 0.9, state="running")]), USUAL) is None


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
    assert events[-1].done == 10
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


def _fingerprint(config: SearchConfig) -> str:
    from kd_core.data import load_task

    return load_task(config.distill.task).fingerprint


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


# With real models


class Guarded:
    """A held-out part that nobody can read but who unwraps it to score a student."""

    def __init__(self, split: Any) -> None:
        self.split = split

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the held-out part was read: {name}")


@dataclass
class Searched:
    found: SearchResult
    tasks: list[Task]
    learned: list[list[tuple[int, ...]]]  # token ids that each training was given, teachers' too
    held_out: list[list[tuple[int, ...]]]  # token ids that were scored
    taught: int
    work: Path


@pytest.fixture(scope="module")
def searched(search_config, tmp_path_factory) -> Searched:
    """A real search of two cells on two folds, whose held-out texts can be read for scoring alone."""
    from kd_core.distillation.training import fit
    from kd_core.search import worker

    tasks: list[Task] = []
    learned: list[list[tuple[int, ...]]] = []
    held_out: list[list[tuple[int, ...]]] = []
    taught: list[str] = []

    def ids(split: Any) -> list[tuple[int, ...]]:
        return [tuple(row) for row in split["input_ids"]]

    def guarded(*arguments: Any) -> list[Task]:
        tasks.extend(fold_tasks(*arguments))
        return [replace(task, test=Guarded(task.test)) for task in tasks]

    def encode(tokenizer: Any, split: Any, length: int) -> Any:
        if not isinstance(split, Guarded):
            return inference.encode(tokenizer, split, length)
        encoded = inference.encode(tokenizer, split.split, length)
        held_out.append(ids(encoded))
        return encoded

    class Trainer(DistillTrainer):
        def __init__(self, model: Any, recipe: Any, run: Any, **options: Any) -> None:
            taught.append(recipe.who)
            learned.append(ids(options["train"]) + ids(options["validation"]))
            super().__init__(model, recipe, run, **options)

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        patch.delenv("KD_DATABASE_URL", raising=False)
        patch.setattr(worker, "fold_tasks", guarded)
        patch.setattr(worker, "encode", encode)
        patch.setattr(fit, "DistillTrainer", Trainer)
        config = search_config.model_copy(update={"alphas": (0.5,)})
        found = run_search(config, "tiny", home / "work" / "search", ignore, Control())
    return Searched(found, tasks, learned, held_out, taught.count("teacher"), home / "work" / "search")


def test_no_held_out_text_is_seen_by_teacher_students_vocabulary_or_choice_of_steps(searched) -> None:
    # Whatever else had read the guarded part would have failed the search.
    assert searched.found.complete
    for task in searched.tasks:
        outside = {normalised(text) for text in task.test["text"]}
        for split in (task.train, task.validation, task.transfer):
            assert not outside & {normalised(text) for text in split["text"]}
    # Each fold's texts in the teacher's pieces, and in the students'; a training learns from one fold.
    assert len(searched.held_out) == 4
    scored = [set(part) for part in searched.held_out]
    for part in searched.learned:
        assert any(not seen & set(part) for seen in scored)


def test_a_teacher_learns_once_for_all_cells_of_its_fold(searched) -> None:
    assert searched.taught == 2
    assert len(searched.learned) == 2 + (2 + 1) * 2
    assert [score.fold for score in searched.found.teacher] == [0, 1]
    assert searched.found.trainings_done == searched.found.trainings == 8
    assert not searched.work.exists()


def test_a_score_is_the_accuracy_on_the_held_out_part(searched) -> None:
    sizes = [len(task.test) for task in searched.tasks]
    assert sum(sizes) == 65
    for cell in (*searched.found.cells, *searched.found.alone):
        for score in cell.scores:
            right = score.accuracy * sizes[score.fold]
            assert right == pytest.approx(round(right))
        assert cell.params > 1_000
    assert searched.found.cells[0].teacher_texts == 65 + 40
    assert searched.found.alone[0].teacher_texts == 0


def test_a_cell_is_what_the_ordinary_steps_would_give_on_its_fold(searched, search_config, kd_home) -> None:
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


# The job and the command


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
    store = Store()
    row = store.run(report["run_id"])
    assert (row.status, row.kind, row.name) == ("done", "distil", "mine: chosen")
    chosen = report["cells"][report["choice"]]["setting"]
    assert row.config["objective"]["temperature"] == chosen["temperature"]
    assert store.report(row.id).rows["train"] == 65
    assert [job.status for job in store.runs(kind="search")] == ["done"]
    assert result("mine").run_id == row.id

    assert kd("--resume", "mine") == 0
    shown = capsys.readouterr().out
    assert "Search mine: 8 of 8 trainings, 2 folds." in shown
    assert "On the test texts, after training on all training data: accuracy " in shown
    assert "Student alone: " in shown
    assert len(store.runs(kind="distil")) == 1  # the test split was not touched again
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


def test_the_name_of_a_deleted_search_is_free(search_config, counted) -> None:
    old, new = "20260101-000000-aaaa", "20260101-000000-bbbb"
    store = Store()
    store.create_run(old, search_config.model_dump(mode="json"), kind="search", status="done")
    before = run(search_config)
    assert len(counted) == 10
    delete_run(store, old)
    with pytest.raises(RunError, match="There is no search named 'tiny'"):
        result("tiny")
    restore_run(store, old)
    assert result("tiny") == before

    delete_run(store, old)
    store.create_run(new, search_config.model_dump(mode="json"), kind="search", status="done")
    run(search_config)
    assert len(counted) == 20, "all of it anew"
    with pytest.raises(RunError, match=f"another search named 'tiny' now.*bring {old} back"):
        restore_run(store, old)
    store.forget_deleted()
    assert result("tiny").complete
    with boards.connected() as storage:
        assert [study.study_name for study in storage.get_all_studies()] == ["tiny", "tiny (student alone)"]


def test_a_search_that_another_job_goes_on_with_stays(search_config, counted) -> None:
    store = Store()
    for run_id in ("20260101-000000-aaaa", "20260101-000000-bbbb"):
        store.create_run(run_id, search_config.model_dump(mode="json"), kind="search", status="stopped")
    before = run(search_config)
    delete_run(store, "20260101-000000-aaaa")
    assert result("tiny") == before


# Many workers


@pytest.fixture
def shared(database_url, monkeypatch):
    """A database for several processes."""
    monkeypatch.setenv("KD_DATABASE_URL", database_url)
    return database_url


def test_a_helper_works_by_itself_and_ends_with_the_block(search_config) -> None:
    config = search_config.model_copy(update={"study": "helped", "workers": 2})
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(config)}
        boards.begin(storage, "helped", config, facts)
    threads = torch.get_num_threads()
    with more_workers("helped", 1, paths.work() / "search", Control()):
        assert torch.get_num_threads() == max(1, threads // 2)
        deadline = time.monotonic() + 300
        while not result("helped").complete and time.monotonic() < deadline:
            time.sleep(0.2)  # this process does nothing
    assert result("helped").trainings_done == 12
    assert torch.get_num_threads() == threads
    assert not [child for child in psutil.Process().children() if "helped" in child.cmdline()]
    assert (paths.work() / "search" / "helper-1.txt").read_text() == ""
    assert _accuracies(result("helped")) == _accuracies(run(config.model_copy(update={"study": "by one"})))


def test_as_many_workers_as_cores_memory_and_cells(search_config, monkeypatch) -> None:
    from kd_core.search import processes as module

    def workers(wanted: Any, *, cores: int = 16, memory: float = 100e9, gpu: bool = False) -> int:
        monkeypatch.setattr(module.torch, "get_num_threads", lambda: cores)
        monkeypatch.setattr(module.torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(module, "available_memory", lambda: memory)
        return workers_here(search_config.model_copy(update={"workers": wanted}))

    assert workers("auto", cores=3) == 3
    assert workers("auto") == search_config.cells == 5
    assert workers("auto", memory=4e9) == 2
    assert workers("auto", memory=1e9) == 1
    assert workers("auto", gpu=True) == 1
    assert workers(2) == 2
    assert workers(2, gpu=True) == 2


def test_how_many_work_is_no_setting_of_the_search(search_config, counted) -> None:
    assert run(search_config).complete
    assert run(search_config.model_copy(update={"workers": "auto"})).complete  # not: "other settings"


def test_workers_who_reach_for_the_same_trial_at_once_do_not_both_get_it(shared, search_config) -> None:
    """SQLite has no lock on a row: of a read and a write after it, two would both see a trial that waits."""
    with boards.connected() as storage:
        study = boards.begin(storage, "shared", search_config, {}).cells
        for cell in range(60):
            study.enqueue_trial({}, user_attrs={boards.CELL: cell})
        ids = [trial._trial_id for trial in study.get_trials()]
    together = threading.Barrier(4)

    def take_all(_: int) -> list[int]:
        with boards.connected() as mine:
            taken = []
            for trial in ids:
                together.wait()
                if mine.set_trial_state_values(trial, TrialState.RUNNING):
                    taken.append(trial)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(chain.from_iterable(pool.map(take_all, range(4))))
    assert sorted(taken) == ids
    with boards.connected() as storage:
        trials = boards.find(storage, "shared").cells.get_trials()
    assert {trial.state for trial in trials} == {TrialState.RUNNING}
    assert all(trial.datetime_start for trial in trials)


WORKER = """
import os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
torch.set_num_threads(1)
from pathlib import Path
from kd_core.system.control import Control
from kd_core.search import run_search, result, trials, worker
trials.BEAT, trials.GRACE, trials.LOOK_EVERY = 1, 30, 0.2
trials.owner = lambda: "another machine:1:0.0"  # so that the heartbeat alone tells who is dead
score = worker.CrossValidation.score
def told(self, setting, alone, fold, seed):
    print(f"takes {'alone' if alone else setting.temperature} {setting.alpha} {fold}", flush=True)
    if sys.argv[2] == "stuck":
        time.sleep(600)
    result = score(self, setting, alone, fold, seed)
    print(f"done {'alone' if alone else setting.temperature} {setting.alpha} {fold}", flush=True)
    return result
worker.CrossValidation.score = told
run_search(result("shared").config, "shared", Path(sys.argv[1]), lambda event: None, Control())
"""


@pytest.mark.slow
def test_three_workers_one_of_them_killed_do_every_cell_once_and_as_one_would(
    shared, search_config, tmp_path
) -> None:
    config = search_config.model_copy(update={"study": "shared"})
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(config), boards.USUAL: 2.0}
        boards.begin(storage, "shared", config, facts)

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(tmp_path / name), name]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    processes = [start("stuck")]
    try:
        first = processes[0].stdout.readline().split()
        assert first[0] == "takes"
        processes += [start("a"), start("b")]
        assert processes[1].stdout.readline().startswith("takes")
        processes[0].send_signal(signal.SIGKILL)
        outputs = [process.communicate(timeout=300) for process in processes[1:]]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()
    assert [process.returncode for process in processes[1:]] == [0, 0], outputs
    done = [line for out, _ in outputs for line in out.splitlines() if line.startswith("done")]
    found = result("shared")
    assert found.complete
    assert found.trainings_done == found.trainings == 12
    # The very first line was read above; it is the one that both lists may lack.
    assert len(done) == len(set(done)) == 10
    assert " ".join(["done", *first[1:]]) in done  # what the killed one had taken

    alone = run(config.model_copy(update={"study": "one worker"}))
    assert _accuracies(found) == _accuracies(alone)
    assert (found.best, found.choice) == (alone.best, alone.choice)


def _accuracies(found: SearchResult) -> list[list[float]]:
    return [[score.accuracy for score in cell.scores] for cell in (*found.cells, *found.alone)]
