"""How much of its teacher's accuracy a student keeps, and how much it keeps at least.

The share is p_s / p_t: how many texts the student has right, by how many of the same the teacher has right.
Test and bound are those of Nam and Blackwelder (2002, "Analysis of the ratio of marginal probabilities in a
matched-pair setting", Statistics in Medicine 21): a score test, whose variance is that under the share in
question. So few texts without a disagreement do not show that there is none, as a bootstrap would have it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
# Of a student as good as its teacher, for what a split can show: both are right on this share of the texts
# but for those on which they disagree.
USUAL_ACCURACY, USUAL_DISAGREEMENT = 0.9, 0.06
TINY = 1e-9


@dataclass(frozen=True)
class Pairs:
    """Numbers of texts, by who is right; not whole where they are only expected."""

    both: float
    student_only: float
    teacher_only: float
    neither: float

    @classmethod
    def of(cls, student: NDArray[np.bool_], teacher: NDArray[np.bool_]) -> Self:
        """Whether each is right, (texts,)."""
        cells = (student & teacher, student & ~teacher, ~student & teacher, ~student & ~teacher)
        return cls(*(float(cell.sum()) for cell in cells))

    @classmethod
    def expected(cls, texts: int) -> Self:
        """Of a student that is as good as its teacher."""
        apart = USUAL_DISAGREEMENT / 2
        shares = (USUAL_ACCURACY - apart, apart, apart, 1 - USUAL_ACCURACY - apart)
        return cls(*(share * texts for share in shares))

    @property
    def texts(self) -> float:
        return self.both + self.student_only + self.teacher_only + self.neither

    @property
    def kept(self) -> float:
        """The student's accuracy by the teacher's; 0 where the teacher has nothing right."""
        teacher = self.both + self.teacher_only
        return (self.both + self.student_only) / teacher if teacher else 0.0

    def times(self, factor: float) -> Self:
        """The same shares of more texts or of fewer."""
        return replace(self, **{name: factor * value for name, value in vars(self).items()})


def score(pairs: Pairs, share: float) -> float:
    """How many standard errors the student is above ``share`` of the teacher; ``share`` at most ``kept``.

    (x_s - q x_t) / sqrt(n q (p10 + p01)), with the shares of texts on which one alone is right as the most
    likely ones under p_s = q p_t (Nam and Blackwelder 2002, section 2). At q = 1 it is McNemar's.
    """
    # Not at once: a page may come while torch is imported, which scipy would see half made.
    from scipy.optimize import brentq

    values = {"both": 1 - share, "student_only": 1.0, "teacher_only": -share, "neither": 0.0}
    observed = {name: getattr(pairs, name) / pairs.texts for name in values}
    excess: float = sum(observed[name] * value for name, value in values.items())
    if excess <= 0:
        return 0.0

    def likely(slope: float) -> dict[str, float]:
        return {name: seen and seen / (1 + slope * values[name]) for name, seen in observed.items()}

    def rest(slope: float) -> float:
        return sum(share * values[name] for name, share in likely(slope).items())

    # The most likely shares whose mean is 0 are the observed ones, each by 1 + slope x value (Lagrange).
    steepest = 1 / share
    near = steepest * (1 - TINY)
    if rest(near) < 0:
        found = likely(brentq(rest, 0.0, near))
    else:  # the teacher alone was never right, and yet must be for the mean to be 0
        found = likely(steepest)
        found["teacher_only"] = rest(steepest) / share
    apart: float = found["student_only"] + found["teacher_only"]
    return excess * math.sqrt(pairs.texts / (share * apart))


def at_least(pairs: Pairs, confidence: float = CONFIDENCE) -> float:
    """The largest share that the student's can be said to exceed: a one-sided bound."""
    from scipy.optimize import brentq

    wanted = NormalDist().inv_cdf(confidence)
    if not pairs.kept or score(pairs, TINY) < wanted:
        return 0.0
    return float(brentq(lambda share: score(pairs, share) - wanted, TINY, pairs.kept, xtol=1e-6))


def texts_to_show(pairs: Pairs, share: float, confidence: float = CONFIDENCE) -> int | None:
    """How many texts with the same shares would show that more than ``share`` is kept; None: none would."""
    reached = score(pairs, share)
    if reached <= 0:
        return None
    return math.ceil(pairs.texts * (NormalDist().inv_cdf(confidence) / reached) ** 2)
