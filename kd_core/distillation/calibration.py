"""Whether probabilities can be trusted: the error of chance alone, and temperature scaling. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kd_core.distillation.metrics import Bin, Floats, Ints, Scores, log_softmax, scores
from kd_core.distillation.predictions import kept_as, logits, read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.roles import Role
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION

DRAWS = 2_000
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Floor:
    """The calibration error of a perfectly calibrated model: its mean, and what 19 of 20 stay below."""

    mean: float
    high: float


def floor(reliability: Sequence[Bin]) -> Floor:
    """What ``reliability``'s confidences would show of ECE if each were true.

    The right answers of a bin are drawn as often as it is sure of them: Binomial(count, confidence). All
    texts of a bin share their mean confidence, which makes the floor larger by at most 1 % of itself.
    Source: Vaicenavicius et al. 2019 (consistency resampling, arXiv 1902.06977); Bröcker and Smith 2007.
    """
    counts = np.array([bin.count for bin in reliability])
    sure = np.clip([bin.confidence for bin in reliability], 0, 1)
    right = np.random.default_rng(0).binomial(counts, sure, size=(DRAWS, len(counts)))
    errors = np.abs(right - counts * sure).sum(axis=1) / counts.sum()
    return Floor(float(errors.mean()), float(np.quantile(errors, 0.95)))


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The T between 0.05 and 20 for which softmax(logits / T) has the smallest cross-entropy with the labels.

    Shapes: logits (N, C), labels (N,). Dividing by it changes no answer. Where all answers are right, the
    smallest T would make the model ever surer: then it is 1.
    Source: Guo et al. 2017, section 4.2 (temperature scaling).
    """
    from scipy import optimize

    if (np.argmax(logits, axis=1) == labels).all():
        return 1.0
    rows = np.arange(len(labels))

    def cost(log_t: float) -> float:
        return float(-log_softmax(logits, np.exp(log_t))[rows, labels].mean())

    found = optimize.minimize_scalar(cost, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Scaled:
    """A model with temperature scaling: the T, fitted on validation, and its scores on the test texts."""

    temperature: float
    before: Scores
    after: Scores


def scaled(folder: Path, report: Report, who: Role) -> Scaled:
    """Of a finished run's teacher, or of a student of its first seed.

    Raises: RunError where the logits of the validation texts are missing; version 0.1 kept none.
    """
    temperature = temperature_of(folder, report, who)
    test, labels = _logits(folder, PREDICTIONS, kept_as(report, who))
    return Scaled(
        temperature, scores(test, labels, report.labels), scores(test / temperature, labels, report.labels)
    )


def temperature_of(folder: Path, report: Report, who: Role) -> float:
    """The T of a finished run's model, as in ``scaled``. Raises: RunError."""
    return fit_temperature(*_logits(folder, VALIDATION, kept_as(report, who)))


def _logits(folder: Path, file: str, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows = read_predictions(folder, file, "label", name)
    return logits(rows, name).astype(float), rows["label"].to_numpy()
