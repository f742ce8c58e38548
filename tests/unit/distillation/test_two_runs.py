"""Tests of the comparison of two runs' students."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation.comparison import verdict
from kd_core.distillation.two_runs import student_over, students_right
from kd_core.errors import RunError
from kd_core.system import paths

ONE, TWO = "20260131-143000-a1b2", "20260131-150000-c3d4"


def recorded(run_id: str, seeds: dict[int, list[int]], text: str = "text") -> None:
    """Write the answers of a run's students, of which 0 is right."""
    folder = paths.runs() / run_id
    folder.mkdir(parents=True, exist_ok=True)
    columns = {f"student-{seed}": list(np.eye(2)[answers]) for seed, answers in seeds.items()}
    texts = [f"{text} {number}" for number in range(len(next(iter(seeds.values()))))]
    rows = pd.DataFrame({"text": texts, "label": 0, "teacher": list(np.eye(2)[[0] * len(texts)])} | columns)
    rows.to_parquet(folder / "predictions.parquet")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))


def test_difference_of_two_runs_in_each_metric() -> None:
    """Of class a, the only one with texts, 30 and 20 of 40 are found."""
    mine, theirs = [0] * 30 + [1] * 10, [0] * 20 + [1] * 20
    recorded(ONE, {0: mine})
    recorded(TWO, {0: theirs})
    found = student_over(ONE, TWO)
    assert found == verdict(*(np.array([answers]) == 0 for answers in (mine, theirs)))
    assert (found.delta, student_over(TWO, ONE).delta) == pytest.approx((0.25, -0.25))
    for metric, delta in (("macro_f1", 60 / 70 - 40 / 60), ("f1:a", 60 / 70 - 40 / 60), ("f1:b", 0)):
        assert student_over(ONE, TWO, metric, ("a", "b")).delta == pytest.approx(delta)


def test_seeds_are_taken_in_pairs_in_the_order_of_their_numbers() -> None:
    recorded(ONE, {10: [0, 0, 0, 0], 2: [0, 0, 1, 1]})
    recorded(TWO, {2: [0, 1, 1, 1]})
    found = student_over(ONE, TWO)
    assert (found.seeds, found.delta) == (1, 0.25)
    assert students_right(ONE)[1].tolist() == [[True, True, False, False], [True] * 4]


def test_runs_that_cannot_be_compared() -> None:
    recorded(ONE, {0: [0, 1]})
    with pytest.raises(RunError, match=f"There is no run {TWO}"):
        student_over(ONE, TWO)
    recorded(TWO, {0: [0, 1]}, text="other")
    with pytest.raises(RunError, match=f"{ONE} and {TWO} have different test texts"):
        student_over(ONE, TWO)
