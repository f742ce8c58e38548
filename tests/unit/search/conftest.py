"""What the tests of a search share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kd_core.config import DistillConfig
from kd_core.search import SearchConfig, Setting


@pytest.fixture
def own_database(monkeypatch: pytest.MonkeyPatch, kd_home: Path) -> None:
    """An empty ``KD_HOME``, whose database is the only one."""
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
