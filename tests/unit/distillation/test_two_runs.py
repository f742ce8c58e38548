from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation.comparison import verdict
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError
from kd_core.system import paths

ONE, TWO = "20260131-143000-a1b2", "20260131-150000-c3d4"


def recorded(run_id: str, *seeds: list[int], text: str = "text") -> None:
    """Answers of a run's students, of which 0 is right."""
    folder = paths.runs() / run_id
    folder.mkdir(parents=True, exist_ok=True)
    columns = {f"student-{seed}": list(np.eye(2)[answers]) for seed, answers in enumerate(seeds)}
    texts = [f"{text} {number}" for number in range(len(seeds[0]))]
    rows = pd.DataFrame({"text": texts, "label": 0, "teacher": list(np.eye(2)[seeds[0]])} | columns)
    rows.to_parquet(folder / "predictions.parquet")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))


def test_it_is_the_verdict_of_the_two_students() -> None:
    mine, theirs = [0] * 30 + [1] * 10, [0] * 20 + [1] * 20
    recorded(ONE, mine)
    recorded(TWO, theirs)
    right = (np.array([answers]) == 0 for answers in (mine, theirs))
    assert student_over(ONE, TWO) == verdict(*right)
    assert student_over(ONE, TWO).delta == pytest.approx(0.25)
    assert student_over(TWO, ONE).delta == pytest.approx(-0.25)


def test_by_f1_it_is_the_difference_of_two_f1() -> None:
    """Of class a, the only one with texts, 30 and 20 of 40 are found: F1 of 60/70 and 40/60."""
    recorded(ONE, [0] * 30 + [1] * 10)
    recorded(TWO, [0] * 20 + [1] * 20)
    for metric in ("macro_f1", "f1:a"):
        assert student_over(ONE, TWO, metric, ("a", "b")).delta == pytest.approx(60 / 70 - 40 / 60)
    assert student_over(ONE, TWO, "f1:b", ("a", "b")).delta == 0


def test_seeds_are_taken_in_pairs() -> None:
    recorded(ONE, [0, 0, 1, 1], [0, 0, 0, 0])
    recorded(TWO, [0, 1, 1, 1])
    found = student_over(ONE, TWO)
    assert (found.seeds, found.delta) == (1, 0.25)


def test_other_test_texts_are_no_comparison() -> None:
    recorded(ONE, [0, 1])
    recorded(TWO, [0, 1], text="other")
    with pytest.raises(RunError, match=f"{ONE} and {TWO} have different test texts"):
        student_over(ONE, TWO)


def test_a_folder_that_is_gone_or_damaged() -> None:
    recorded(ONE, [0, 1])
    with pytest.raises(RunError, match=f"There is no run {TWO}"):
        student_over(ONE, TWO)
    (paths.runs() / TWO).mkdir()
    with pytest.raises(RunError, match=f"The predictions of {TWO} are missing or damaged"):
        student_over(ONE, TWO)
