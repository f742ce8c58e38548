"""Tests of the calibration error of chance alone, and of temperature scaling."""

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
from tests import ROOT

NAMES = "abcd"


def calibrated(texts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels from their probabilities: those of a perfectly calibrated model."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (texts, 4))
    labels = (softmax(logits).cumsum(axis=1) < random.random((texts, 1))).sum(axis=1)
    return logits, np.minimum(labels, 3)


def test_floor_is_the_error_of_calibrated_models() -> None:
    found = [scores(*calibrated(200, seed), NAMES) for seed in range(150)]
    floors = [floor(each.reliability) for each in found]
    mean = np.mean([each.mean for each in floors])
    assert np.mean([each.ece for each in found]) == pytest.approx(mean, rel=0.05)
    below = np.mean([each.ece <= chance.high for each, chance in zip(found, floors, strict=True)])
    assert 0.91 < below < 0.985
    assert floor(scores(*calibrated(20_000), NAMES).reliability).mean < 0.25 * mean


def test_floor_by_hand() -> None:
    # Of two texts at one half 0, 1 or 2 are right, off by 1/2, 0 or 1/2 in 1, 2 and 1 of 4 cases.
    found = floor([Bin(0.4, 0.6, 0.5, 1.0, 2)])
    assert (found.mean, found.high) == (pytest.approx(0.25, abs=0.02), 0.5)
    # Six texts are off by more than 2 in 2 of 64 cases.
    assert floor([Bin(0.4, 0.6, 0.5, 1.0, 6)]).high == pytest.approx(2 / 6)
    assert floor([Bin(0.9, 1.0, 1.0, 1.0, 9)]).mean == 0


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_that_was_taken_is_found(true: float) -> None:
    logits, labels = calibrated(20_000)
    found = fit_temperature(true * logits, labels)
    assert found == pytest.approx(true, rel=0.03)
    before, after = scores(true * logits, labels, NAMES), scores(true * logits / found, labels, NAMES)
    assert (before.ece > 10 * floor(before.reliability).mean) == (true != 1)
    assert after.ece < floor(after.reliability).high
    assert after.accuracy == before.accuracy


def test_model_without_mistakes_keeps_its_temperature() -> None:
    assert fit_temperature(np.eye(4), np.arange(4)) == 1.0


def test_training_does_not_use_calibration() -> None:
    folder = ROOT / "kd_core" / "distillation"
    files = [folder / f"{name}.py" for name in ("pipeline", "teach", "record", "distil")]
    for file in [*files, *(folder / "training").glob("*.py")]:
        assert not re.search(r"calibration|calibrate", file.read_text("utf-8")), file.name


def test_calibration_in_words(monkeypatch) -> None:
    logits, labels = calibrated(500)
    known = scores(logits, labels, NAMES)
    assert "so these texts do not show that it is off." in calibration([known])
    assert "so it is off by more than chance explains." in calibration([scores(4 * logits, labels, NAMES)])
    monkeypatch.setattr(report_tables, "floor", lambda _: Floor(known.ece / 2, known.ece - 1e-4))
    # A digit more tells an error from one that is hardly smaller.
    assert f" less than {100 * known.ece - 0.01:.2f} %: so it is off" in calibration([known])


def test_temperature_scaling_of_a_finished_run(finished_run) -> None:
    report = finished_run.report
    folder = Path(report.folder)
    tests, rows = (pd.read_parquet(folder / f"{name}.parquet") for name in ("predictions", "validation"))
    for who, column in (("teacher", "teacher"), ("student", "student-0"), ("tfidf", "tfidf")):
        found = scaled(folder, report, who)
        assert found.before == next(iter(report.models[who].seeds.values()))
        divided = np.stack(tests[column].to_list()).astype(float) / found.temperature
        assert found.after == scores(divided, tests["label"].to_numpy(), report.labels)
        fitted = fit_temperature(np.stack(rows[column].to_list()).astype(float), rows["label"].to_numpy())
        assert found.temperature == pytest.approx(fitted)
