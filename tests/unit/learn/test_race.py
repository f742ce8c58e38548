"""Races: the leader on the way, and shared places at the end."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kd_core.config import DistillConfig
from kd_core.errors import RunError
from kd_core.learn.race import lane_names, pairs, places, standing, teacher_accuracy
from tests.unit.learn.raced import IDS, finished


def curve(*accuracies: float, who: str = "student") -> pd.DataFrame:
    steps = [25 * i for i in range(1, len(accuracies) + 1)]
    return pd.DataFrame({"who": who, "seed": 0, "step": steps, "accuracy": accuracies})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    return tmp_path


def test_lane_names() -> None:
    base = DistillConfig()
    configs = [base.change({"objective.temperature": t, "student.model": "tiny"}) for t in (1.0, 8.0)]
    assert lane_names(configs) == ["A: T = 1", "B: T = 8"]
    assert lane_names([base, base.change({"task.transfer_texts": 500, "objective.alpha": 0.5})]) == [
        "A: alpha = 0.6, 12,000 texts",
        "B: alpha = 0.5, 500 texts",
    ]


def test_standing_at_the_last_common_step() -> None:
    curves = {"A": curve(0.5, 0.6, 0.9), "B": curve(0.4, 0.7), "C": curve(0.9, who="teacher")}
    assert standing(curves) == (50, {"B": 0.7, "A": 0.6})
    assert standing({"A": curve(0.9, who="teacher")}) is None


def test_teacher_accuracy() -> None:
    curve = pd.DataFrame(
        {"who": ["teacher", "teacher", "student"], "step": [10, 20, 25], "accuracy": [0.9, 0.8, 0.95]}
    )
    usual = DistillConfig()
    assert teacher_accuracy(usual, curve) == 0.8
    assert teacher_accuracy(usual.change({"teacher.weights": "best"}), curve) == 0.9
    assert teacher_accuracy(usual.change({"teacher.model": "scratch"}), curve) == 0.9
    assert teacher_accuracy(usual, curve[curve["who"] == "student"]) is None


def test_shared_first_place(home: Path) -> None:
    for run_id, right in zip(IDS, (150, 182, 184), strict=True):
        finished(home, run_id, right)
    found = pairs(IDS)
    assert [(pair.ahead, pair.behind) for pair in found] == [
        (IDS[2], IDS[1]),
        (IDS[2], IDS[0]),
        (IDS[1], IDS[0]),
    ]
    assert [pair.told_apart for pair in found] == [False, True, True]
    assert found[1].verdict.delta == pytest.approx(34 / 200)
    assert places(IDS, found) == {IDS[2]: 1, IDS[1]: 1, IDS[0]: 3}


def test_shared_second_place(home: Path) -> None:
    for run_id, right in zip(IDS, (150, 152, 184), strict=True):
        finished(home, run_id, right)
    assert places(IDS, pairs(IDS)) == {IDS[2]: 1, IDS[1]: 2, IDS[0]: 2}


def test_different_test_texts_are_refused(home: Path) -> None:
    finished(home, IDS[0], 100)
    finished(home, IDS[1], 100, texts=150)
    with pytest.raises(RunError, match="were not tested on the same texts"):
        pairs(IDS[:2])


def test_missing_predictions(home: Path) -> None:
    finished(home, IDS[0], 100)
    (home / "runs" / IDS[0] / "predictions.parquet").unlink()
    with pytest.raises(RunError, match=f"The predictions of {IDS[0]} are missing or damaged"):
        pairs(IDS[:1])
