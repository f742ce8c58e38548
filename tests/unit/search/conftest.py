"""Fixtures of the search: a search whose scores are made up, and one with real models."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kd_core.config import DistillConfig
from kd_core.data.task import Task
from kd_core.distillation.events import Progress, ignore
from kd_core.search import SearchConfig, SearchResult, Setting, run_search
from kd_core.system import paths
from kd_core.system.control import Control


@pytest.fixture
def own_database(monkeypatch: pytest.MonkeyPatch, kd_home: Path) -> None:
    """Make an empty ``KD_HOME``, whose database is the only one."""
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)


@pytest.fixture(scope="session")
def search_config(short_config: DistillConfig) -> SearchConfig:
    """2 x 2 cells and the student alone on 2 folds: 10 students of 3 steps, 2 teachers."""
    return SearchConfig(
        study="tiny", distill=short_config, temperatures=(1.0, 4.0), alphas=(0.1, 0.5), folds=2, workers=1
    )


def run(config: SearchConfig, control: Control | None = None, on_event=ignore) -> SearchResult:
    return run_search(config, config.study, paths.work() / "search", on_event, control or Control())


def fingerprint(config: SearchConfig) -> str:
    from kd_core.data import load_task

    return load_task(config.distill.task).fingerprint


def make_up_scores(patch: pytest.MonkeyPatch) -> list[str]:
    """Replace the trainings by made-up accuracies; returns a list of what would have been trained."""
    from kd_core.search import worker

    done: list[str] = []

    def score(self: Any, setting: Setting, alone: bool, fold: int, seed: int) -> dict[str, Any]:
        done.append("alone" if alone else f"T {setting.temperature:g}, alpha {setting.alpha:g}, fold {fold}")
        accuracy = 0.9 - setting.alpha / 10 + fold / 100 + setting.temperature / 1000
        return {"accuracy": accuracy, "seconds": 2.0, "params": 10, "teacher_texts": 100}

    patch.setattr(worker.CrossValidation, "score", score)
    return done


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return make_up_scores(monkeypatch)


@pytest.fixture
def counted_search(search_config, once, counted, own_database, kd_home) -> list[str]:
    """Put the finished search ``search_config`` with made-up accuracies into the database; as ``counted``."""

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_HOME", str(folder))
            make_up_scores(patch)
            run(search_config)

    shutil.copytree(once("counted_search", build), kd_home)
    return counted


class Guarded:
    """A held-out part, whose texts can be read only by unwrapping it to score a student."""

    def __init__(self, split: Any) -> None:
        self.split = split

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the held-out part was read: {name}")


@pytest.fixture(scope="session")
def searched(short_config: DistillConfig, once) -> SimpleNamespace:
    """``kd search`` of two cells on two folds with real models, and the run of the choice.

    ``tasks`` are the folds, ``taught`` whom each training was for, ``learned`` the token ids that it got,
    ``held_out`` the token ids that were scored, ``doing`` its progress, ``home`` the ``KD_HOME``.
    """

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_HOME", str(folder / "home"))
            patch.delenv("KD_DATABASE_URL", raising=False)
            (folder / "searched.pickle").write_bytes(pickle.dumps(_search(short_config, folder, patch)))

    folder = once("searched", build)
    return SimpleNamespace(**pickle.loads((folder / "searched.pickle").read_bytes()), home=folder / "home")


def _search(config: DistillConfig, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    from kd_core.cli import main
    from kd_core.distillation.training import fit
    from kd_core.distillation.training.trainer import DistillTrainer
    from kd_core.models import inference
    from kd_core.search import worker
    from kd_core.search.folds import fold_tasks

    seen: dict[str, list[Any]] = {"tasks": [], "taught": [], "learned": [], "held_out": [], "doing": []}

    def ids(split: Any) -> list[tuple[int, ...]]:
        return [tuple(row) for row in split["input_ids"]]

    def guarded(*arguments: Any) -> list[Task]:
        seen["tasks"] += fold_tasks(*arguments)
        return [replace(task, test=Guarded(task.test)) for task in seen["tasks"]]

    def encode(tokenizer: Any, split: Any, length: int) -> Any:
        if not isinstance(split, Guarded):
            return inference.encode(tokenizer, split, length)
        encoded = inference.encode(tokenizer, split.split, length)
        seen["held_out"].append(ids(encoded))
        return encoded

    class Trainer(DistillTrainer):
        def __init__(self, model: Any, recipe: Any, run: Any, **options: Any) -> None:
            seen["taught"].append(recipe.who)
            seen["learned"].append(ids(options["train"]) + ids(options["validation"]))
            super().__init__(model, recipe, run, **options)

    def progress(stage: None, doing: str, done: int, total: int) -> Progress:
        seen["doing"].append(doing)
        return Progress(stage, doing, done, total)

    patch.setattr(worker, "Progress", progress)
    patch.setattr(worker, "fold_tasks", guarded)
    patch.setattr(worker, "encode", encode)
    patch.setattr(fit, "DistillTrainer", Trainer)
    (folder / "run.yaml").write_text(config.to_yaml(), encoding="utf-8")
    lists = ["--temperatures", "1,4", "--alphas", "0.5", "--folds", "2", "--workers", "1"]
    flags = ["--config", str(folder / "run.yaml"), *lists, "--name", "mine", "--json"]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main(["search", *flags]) == 0
    found = SearchResult.model_validate(json.loads(out.getvalue()))
    return {**seen, "found": found, "printed": out.getvalue(), "said": err.getvalue()}
