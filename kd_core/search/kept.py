"""How much of its teacher's accuracy or F1 a student keeps, and how much it keeps at least.

Of accuracy the share is p_s / p_t: how many texts the student has right, by how many of the same the teacher
has right. Test and bound are those of Nam and Blackwelder (2002, "Analysis of the ratio of marginal
probabilities in a matched-pair setting", Statistics in Medicine 21): a score test, whose variance is that
under the share in question. So few texts without a disagreement do not show that there is none, as a
bootstrap would have it.

Of F1 the share is F_s / F_t, and it is asked by the verdict's procedure whether F_s - share F_t is above
zero (``comparison.tail_of_zero``); how often the bound is wrong is in docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kd_core.distillation.balance import judged_classes
from kd_core.distillation.comparison import Ints, f1_gains, f1_loss, tail_of_zero

CONFIDENCE = 0.95
# Of a student as good as its teacher, for what a split can show: both are right on this share of the texts
# but for those on which they disagree.
USUAL_ACCURACY, USUAL_DISAGREEMENT = 0.9, 0.06
TINY, SMALLEST = 1e-9, 1e-300
MOST = 1e6  # times as many texts: with more, nothing is promised


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
    def expected(cls, texts: float) -> Self:
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

    @property
    def swapped(self) -> Self:
        """The student in the place of its teacher."""
        return replace(self, student_only=self.teacher_only, teacher_only=self.student_only)

    def times(self, factor: float) -> Self:
        """The same shares of more texts or of fewer."""
        return replace(self, **{name: factor * value for name, value in vars(self).items()})

    def score(self, share: float) -> float:
        """How many standard errors the student is above ``share`` of the teacher; ``share`` at most ``kept``.

        (x_s - q x_t) / sqrt(n q (p10 + p01)), with the shares of texts on which one alone is right as the
        most likely ones under p_s = q p_t (Nam and Blackwelder 2002, section 2). At q = 1 it is McNemar's.
        """
        # Not at once: a page may come while torch is imported, which scipy would see half made.
        from scipy.optimize import brentq

        values = {"both": 1 - share, "student_only": 1.0, "teacher_only": -share, "neither": 0.0}
        observed = {name: getattr(self, name) / self.texts for name in values}
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
        return excess * math.sqrt(self.texts / (share * apart))

    def texts_for(self, share: float, wanted: float) -> float | None:
        """How many texts with the same shares would bring the score to what is wanted; None: no number."""
        reached = self.score(share)
        return self.texts * (wanted / reached) ** 2 if reached > 0 else None


@dataclass(frozen=True, eq=False)
class F1Pairs:
    """Answers of both to the same texts, and the labels, (texts,); ``classes`` are those whose F1 count."""

    student: Ints
    teacher: Ints
    labels: Ints
    classes: Ints

    @property
    def kept(self) -> float:
        """The student's F1 by the teacher's; 0 where the teacher has none."""
        student = float(self._gains(0.0).mean())
        teacher = student - float(self._gains(1.0).mean())
        return student / teacher if teacher > TINY else 0.0

    @property
    def swapped(self) -> Self:
        return replace(self, student=self.teacher, teacher=self.student)

    def score(self, share: float) -> float:
        """As that of ``Pairs``."""
        return self._scores(share)(1.0)

    def texts_for(self, share: float, wanted: float) -> float | None:
        """As that of ``Pairs``: the more texts there are, the less weighs the loss that none has shown."""
        scores = self._scores(share)
        if self.kept <= share or scores(MOST) < wanted:
            return None
        low, high = 0.0, MOST
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (low, middle) if scores(middle) >= wanted else (middle, high)
        return high * len(self.labels)

    def _scores(self, share: float) -> Callable[[float], float]:
        """Those of so many times as many texts that say the same."""
        gains = self._gains(share)
        heaviest = f1_loss(self.student, self.teacher, self.labels, self.classes, share)

        def score(times: float) -> float:
            if gains.sum() <= 0:
                return 0.0
            chance = max(tail_of_zero(gains, heaviest, times), SMALLEST)
            return max(0.0, -float(special.ndtri(chance)))

        return score

    def _gains(self, share: float) -> NDArray[np.float64]:
        return f1_gains(self.student, self.teacher, self.labels, self.classes, share)


def compared(
    metric: str, student: Ints, teacher: Ints, labels: Ints, names: Sequence[str]
) -> Pairs | F1Pairs:
    """The answers (texts,) of both for the share that is kept of what ``training.metric`` names."""
    if metric == "accuracy":
        return Pairs.of(student == labels, teacher == labels)
    return F1Pairs(student, teacher, labels, judged_classes(metric, labels, names))


def even_texts(counts: Iterable[int]) -> float:
    """How many texts say about as much of accuracy as classes of so many texts do of the mean of their F1.

    C**2 / sum(1 / n_c), by the variance of a mean over C classes: all of them where the classes are equal.
    """
    shares = [1 / count for count in counts]
    return len(shares) ** 2 / sum(shares)


def at_least(pairs: Pairs | F1Pairs, confidence: float = CONFIDENCE) -> float:
    """The largest share that the student's can be said to exceed: a one-sided bound."""
    from scipy.optimize import brentq

    wanted = NormalDist().inv_cdf(confidence)
    if not pairs.kept or pairs.score(TINY) < wanted:
        return 0.0
    return float(brentq(lambda share: pairs.score(share) - wanted, TINY, pairs.kept, xtol=1e-6))


def at_most(pairs: Pairs | F1Pairs, confidence: float = CONFIDENCE) -> float | None:
    """The smallest share that the student's can be said to fall short of, as ``at_least``; None: no share."""
    least = at_least(pairs.swapped, confidence)
    return 1 / least if least else None


def texts_to_show(pairs: Pairs | F1Pairs, share: float, confidence: float = CONFIDENCE) -> int | None:
    """How many texts with the same shares would show that more than ``share`` is kept; None: none would."""
    needed = pairs.texts_for(share, NormalDist().inv_cdf(confidence))
    return None if needed is None else math.ceil(needed)
