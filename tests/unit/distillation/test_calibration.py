"""The calibration error of chance alone, and temperature scaling, on logits whose truth is known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation import report_tables
from kd_core.distillation.calibration import Floor, fit_temperature, floor, scaled
from kd_core.distillation.metrics import Bin, scores, softmax
from kd_core.distillation.report_tables import calibration
from kd_core.errors import RunError
from tests import ROOT

NAMES = "abcd"


def calibrated(texts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn from their own probabilities: a perfectly calibrated model."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (texts, 4))
    labels = np.array([random.choice(4, p=row) for row in softmax(logits)])
    return logits, labels


def test_the_floor_is_what_a_calibrated_model_shows() -> None:
    """Over many models whose every probability is true: their mean ECE, and what 19 of 20 stay below."""
    found = [scores(*calibrated(200, seed), NAMES) for seed in range(300)]
    floors = [floor(each.reliability) for each in found]
    assert np.mean([each.ece for each in found]) == pytest.approx(
        np.mean([each.mean for each in floors]), rel=0.05
    )
    below = np.mean([each.ece <= chance.high for each, chance in zip(found, floors, strict=True)])
    assert 0.91 < below < 0.985
    assert floor(scores(*calibrated(20_000), NAMES).reliability).mean < 0.25 * np.mean(
        [each.mean for each in floors]
    )


def test_the_floor_by_hand() -> None:
    """One bin of two texts, half sure: 0, 1 or 2 are right, off by 1/2, 0, 1/2 in 1, 2, 1 of 4 cases."""
    found = floor([Bin(0.4, 0.6, 0.5, 1.0, 2)])
    assert found.mean == pytest.approx(0.25, abs=0.02)
    assert found.high == 0.5
    # Of six texts off by 0, 1, 2 or 3: more than 2 in 2 of 64 cases, so 19 of 20 stay at 2 or below.
    assert floor([Bin(0.4, 0.6, 0.5, 1.0, 6)]).high == pytest.approx(2 / 6)
    assert floor([Bin(0.9, 1.0, 1.0, 1.0, 9)]).mean == 0


def test_the_temperature_that_was_taken_is_found() -> None:
    logits, labels = calibrated(20_000)
    for true in (0.5, 1.0, 2.5):
        assert fit_temperature(true * logits, labels) == pytest.approx(true, rel=0.03)
    overconfident = scores(3 * logits, labels, NAMES)
    assert overconfident.ece > 10 * floor(overconfident.reliability).mean
    mended = scores(3 * logits / fit_temperature(3 * logits, labels), labels, NAMES)
    assert mended.ece < floor(mended.reliability).high
    assert mended.accuracy == overconfident.accuracy


def test_no_training_uses_it() -> None:
    """What a student learns are the teacher's logits as they are."""
    folder = ROOT / "kd_core" / "distillation"
    files = [folder / f"{name}.py" for name in ("pipeline", "teach", "record", "distil")]
    for file in [*files, *(folder / "training").glob("*.py")]:
        assert not re.search(r"calibration|calibrate", file.read_text("utf-8")), file.name


def test_a_model_that_makes_no_mistake_is_left_alone() -> None:
    assert fit_temperature(np.eye(4), np.arange(4)) == 1.0


def test_a_report_says_what_chance_would_make_of_it() -> None:
    logits, labels = calibrated(500)
    said = calibration([scores(logits, labels, NAMES)])
    assert "so these texts do not show that it is off." in said
    assert "so it is off by more than chance explains." in calibration([scores(4 * logits, labels, NAMES)])


def test_an_error_that_is_hardly_more_than_chance_has_a_digit_more(monkeypatch) -> None:
    logits, labels = calibrated(500)
    known = scores(logits, labels, NAMES)
    monkeypatch.setattr(report_tables, "floor", lambda _: Floor(known.ece / 2, known.ece - 1e-4))
    assert f" less than {100 * known.ece - 0.01:.2f} %: so it is off" in calibration([known])


def test_a_finished_run(finished_run, monkeypatch, tmp_path) -> None:
    report = finished_run.report
    folder = Path(report.folder)
    for who in ("teacher", "student", "alone", "tfidf"):
        found = scaled(folder, report, who)
        assert found.before == next(iter(report.models[who].seeds.values()))
        assert found.before.accuracy == found.after.accuracy
        tests = pd.read_parquet(folder / "predictions.parquet")
        column = who if who in ("teacher", "tfidf") else f"{who}-0"
        divided = np.stack(tests[column].to_list()).astype(float) / found.temperature
        assert found.after == scores(divided, tests["label"].to_numpy(), report.labels)
    rows = pd.read_parquet(folder / "validation.parquet")
    fitted = fit_temperature(np.stack(rows["student-0"].to_list()), rows["label"].to_numpy())
    assert scaled(folder, report, "student").temperature == pytest.approx(fitted)
    with pytest.raises(RunError, match=r"are missing .*: validation.parquet .* 0.1 kept none"):
        scaled(tmp_path, report, "student")
