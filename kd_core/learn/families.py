"""Students that are too small for their teacher, fitted under each divergence: what does each give up?

Two families. On a line: one hump, softmax(-(x - m)² / 2 w²), for a teacher with two. On a real text: one
class that is backed, softmax(lead * onehot(class)), so that all others are equally likely. Both are searched
everywhere, not descended: reverse KL has a minimum at each hump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from kd_core.distillation.metrics import log_softmax
from kd_core.learn.anatomy import Floats, divergence_terms

LINE: Floats = np.linspace(-8, 8, 161)
NARROWEST, WIDEST = 0.2, 8.0
WIDTH = 0.8  # of the teacher's humps
_STEP, _RATIO = 0.25, 1.12
_ZOOMS = 4
Stance = Literal["both", "one", "between"]


@dataclass(frozen=True)
class Fit:
    """The member of a family with the smallest divergence: probabilities, loss, and its two numbers."""

    log_probs: Floats
    loss: float
    place: float  # centre of the hump, or the class that is backed
    width: float  # of the hump, or by how much that class's logit leads

    @property
    def probs(self) -> Floats:
        probs: Floats = np.exp(self.log_probs)
        return probs


def two_humps(distance: float, share: float) -> Floats:
    """Logarithm of a distribution over ``LINE``; ``share`` of it is in the right-hand hump."""
    places = np.array([-distance / 2, distance / 2])
    humps = log_softmax(-((LINE - places[:, None]) ** 2) / (2 * WIDTH**2))
    weights = np.log([1 - share, share])
    log_probs: Floats = np.logaddexp(*(humps + weights[:, None]))
    return log_probs


def humps_in(log_probs: Floats) -> int:
    """How many places of ``LINE`` are higher than both of their neighbours."""
    inner = log_probs[1:-1]
    return int(((inner > log_probs[:-2]) & (inner >= log_probs[2:])).sum())


def fit_hump(log_teacher: Floats, divergence: str) -> Fit:
    """Centres and widths on a grid, then on finer grids around the best."""
    fit = _best(*_all_humps(), log_teacher, divergence)
    step, ratio = _STEP, _RATIO
    for _ in range(_ZOOMS):
        places = np.linspace(fit.place - step, fit.place + step, 9)
        widths = np.geomspace(fit.width / ratio, fit.width * ratio, 9).clip(NARROWEST, WIDEST)
        fit = _best(*_humps(places, widths), log_teacher, divergence)
        step, ratio = step / 4, ratio**0.25
    return fit


def fit_backed_class(log_teacher: Floats, divergence: str) -> Fit:
    """How far the backed class's logit leads: 0 (all classes alike) to 12 (all but certain).

    The class is the teacher's first, which is the best one to back under every divergence here.
    """
    first, leads = int(log_teacher.argmax()), np.linspace(0, 12, 1201)
    family = log_softmax(leads[:, None] * np.eye(len(log_teacher))[first])
    return _best(family, np.full(len(leads), first), leads, log_teacher, divergence)


def stance(fit: Fit, log_teacher: Floats, distance: float) -> Stance:
    """Where a fitted hump stands: one of the teacher's is covered that has a third of its share at least."""
    near = [np.abs(LINE - place) <= 2 * WIDTH for place in (-distance / 2, distance / 2)]
    covered = [fit.probs[at].sum() >= np.exp(log_teacher[at]).sum() / 3 for at in near]
    return "both" if all(covered) else "one" if any(covered) else "between"


def spread(probs: Floats) -> tuple[float, float]:
    """Mean and standard deviation over ``LINE``."""
    mean = float(probs @ LINE)
    return mean, float(np.sqrt(probs @ (LINE - mean) ** 2))


@lru_cache(maxsize=1)
def _all_humps() -> tuple[Floats, Floats, Floats]:
    """Fine enough to start in the right valley: two may be nearly as deep."""
    count = round(math.log(WIDEST / NARROWEST) / math.log(_RATIO)) + 1
    places = np.arange(LINE[0], LINE[-1] + _STEP / 2, _STEP)
    return _humps(places, np.geomspace(NARROWEST, WIDEST, count))


def _humps(places: Floats, widths: Floats) -> tuple[Floats, Floats, Floats]:
    """All pairs: logarithms of the probabilities, centres, widths."""
    m, w = (grid.ravel() for grid in np.meshgrid(places, widths))
    return log_softmax(-((LINE - m[:, None]) ** 2) / (2 * w[:, None] ** 2)), m, w


def _best(family: Floats, places: Floats, widths: Floats, log_teacher: Floats, divergence: str) -> Fit:
    losses = divergence_terms(family, log_teacher, divergence).sum(axis=-1)
    best = int(losses.argmin())
    return Fit(family[best], float(losses[best]), float(places[best]), float(widths[best]))
