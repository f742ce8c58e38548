"""Two students on the same texts: one procedure from which the verdict, its interval and its p come.

The numbers behind its choice are simulated by ``tests/bench/bench_verdict.py`` and shown in
``docs/statistics.md``. No torch, and no randomness.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kd_core.errors import DataError

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Numbers = NDArray[np.float64]

TAIL = 0.025  # on each side of a 95 % interval
# Over a distribution is integrated as over a normal one, by the trapezoidal rule: tails count as much.
_NORMAL = np.linspace(-7.5, 7.5, 61)
_LEVELS, _WEIGHTS = special.ndtr(_NORMAL), np.exp(-(_NORMAL**2) / 2)
_WEIGHTS /= _WEIGHTS.sum()


@dataclass(frozen=True)
class Verdict:
    """One student minus another, in fractions (0.048 = 4.8 points of accuracy); see ``judge``."""

    kind: Literal["helped", "no_difference", "hurt"]
    delta: float
    low: float
    high: float
    p_value: float
    n: int
    seeds: int


def verdict(student_correct: Bools, alone_correct: Bools) -> Verdict:
    """Of two accuracies, or agreements: both arrays are (S seeds, N texts), True = right. See ``judge``.

    With one seed, p is that of McNemar's exact test. Raises: DataError without texts; ValueError for shapes.
    """
    student, alone = np.asarray(student_correct, dtype=bool), np.asarray(alone_correct, dtype=bool)
    if student.ndim != 2 or student.shape != alone.shape:
        raise ValueError(f"expected two arrays (seeds, items), got shapes {student.shape} and {alone.shape}")
    return judge(student.astype(np.float64) - alone)


def f1_verdict(student: Ints, alone: Ints, labels: Ints, classes: Ints | None = None) -> Verdict:
    """Of two macro-F1: answers (S seeds, N texts) each, and labels (N,). See ``judge`` and ``f1_gains``."""
    pairs = list(zip(*np.broadcast_arrays(student, alone), strict=True))
    classes = np.unique(labels) if classes is None else classes
    unseen = np.mean([_f1_weight(one, two, labels, classes) for one, two in pairs])
    return judge(np.stack([f1_gains(one, two, labels, classes) for one, two in pairs]), float(unseen))


def f1_gains(
    student: Ints, alone: Ints, labels: Ints, classes: Ints | None = None, weight: float = 1.0
) -> Numbers:
    """What each text (N,) adds to N times (F1 of student - weight * F1 of alone), each a mean over classes.

    ``classes``: those whose F1 are averaged; None: all that occur among the labels.
    Of one class, F = 2 TP / D with D = texts of it + answers of it. With w the weight, F' the mean of F1 and
    w F2, and D' that of both D, F1 - w F2 = sum_i (2 (tp1_i - w tp2_i) - F' (answer1_i - answer2_i)) / D'
    holds exactly. With a weight of 1, a gain is 0 where the answers are the same.
    """
    gains = np.zeros(len(labels))
    classes = np.unique(labels) if classes is None else classes
    for cls, f1, scale in zip(classes, *_f1_means(student, alone, labels, classes, weight), strict=True):
        own, other = ((said == cls).astype(np.float64) for said in (student, alone))
        gains += (2 * (own - weight * other) * (labels == cls) - f1 * (own - other)) * scale
    return gains


def f1_loss(student: Ints, alone: Ints, labels: Ints, classes: Ints, weight: float) -> float:
    """The most that one text could take from the sum of ``f1_gains``: one that ``alone`` has right, and the
    student takes for another class, of the pair of classes where that weighs most."""
    f1, scale = _f1_means(student, alone, labels, classes, weight)
    missed, taken = (2 * weight - f1) * scale, f1 * scale
    others = [np.delete(taken, place).max(initial=0.0) for place in range(len(taken))]
    return float(max(taken.max(), (missed + others).max()))


def _f1_weight(student: Ints, alone: Ints, labels: Ints, classes: Ints) -> float:
    """What one right answer more is to the sum of ``f1_gains``, on the mean over the classes."""
    f1, scale = _f1_means(student, alone, labels, classes, 1.0)
    return float(((2 - f1) * scale).mean())


def _f1_means(
    student: Ints, alone: Ints, labels: Ints, classes: Ints, weight: float
) -> tuple[Numbers, Numbers]:
    """Of each class F', and N / (C D') for N texts and C classes, as in ``f1_gains``; 0 where D' is."""
    f1, scale = np.zeros(len(classes)), np.zeros(len(classes))
    for place, cls in enumerate(classes):
        truth, answers = labels == cls, np.stack([student == cls, alone == cls])
        hits, totals = (answers & truth).sum(axis=1), answers.sum(axis=1) + truth.sum()
        if totals.sum():
            f1[place] = (2 * hits / np.maximum(totals, 1)) @ np.array([0.5, weight / 2])
            scale[place] = len(labels) / totals.mean() / len(classes)
    return f1, scale


def judge(gains: Numbers, unseen: float = 0.0) -> Verdict:
    """Is the mean of ``gains``, (S seeds, N texts), above or below zero? A gain is a text's share in it.

    ``unseen``: what a text may gain or lose that none here is like, where that hangs on its class; 0: as
    much as those that do.

    One seed: for these two students. Gains above zero and below it are taken as two weighted Poisson counts
    (Fay and Feuer 1997), whose confidence distributions are melded into that of their difference (Fay,
    Proschan and Brittain 2015). For gains of 1, 0 and -1 the p is that of McNemar's exact test (as in Fay
    and Lumbard 2021), so that 5 against 0 are not enough.

    Several seeds: on average over seeds. By the mean squares of seeds A, of texts B and of the rest E, the
    mean varies by A / (S N) from what each seed draws anew, and by T / (S N), T = max(0, B - E), from the
    texts, which all seeds share. Student's t with (S - 1) (A + T) / A degrees of freedom takes the place of
    the normal distribution, and the part of the texts keeps the shape that it has with one seed.

    ``kind``: helped if low > 0, hurt if high < 0. ``p_value`` is twice the tail whose bound is zero, so it
    is below 0.05 where there is a verdict. Raises: DataError without texts.
    """
    if gains.size == 0:
        raise DataError("there are no test texts to compare the students on; give the task a test split")
    squares = float((gains**2).mean(axis=0).sum())
    if squares:  # of as many seeds as those texts that do gain or lose
        unseen *= float((gains.mean(axis=0) ** 2).sum()) / squares
    (low, above), (minus_high, below) = (_lower_end(side, unseen) for side in (gains, -gains))
    return Verdict(
        kind="helped" if low > 0 else "hurt" if minus_high > 0 else "no_difference",
        delta=float(gains.mean()),
        low=max(low, -1.0),
        high=min(-minus_high, 1.0),
        p_value=2 * min(above, below),
        n=gains.shape[1],
        seeds=gains.shape[0],
    )


def of_other_texts(
    score: float, ends: tuple[float, float], other: float, other_ends: tuple[float, float]
) -> tuple[float, float]:
    """The interval of ``other - score``, which come from different texts, by the interval of each.

    Their distances to the ends that matter are squared and added (MOVER: Zou and Donner 2008, equation 6; of
    Wilson's intervals it is method 10 of Newcombe 1998).
    """
    (low, high), (other_low, other_high) = ends, other_ends
    difference = other - score
    return (
        difference - math.hypot(other - other_low, high - score),
        difference + math.hypot(other_high - other, score - low),
    )


def mean_squares(gains: Numbers) -> tuple[float, float, float]:
    """Of seeds, of texts and of the rest, with one seed 0, that of the texts about zero, and 0."""
    seeds, texts = gains.shape
    if min(seeds, texts) == 1:
        return 0.0, float((gains**2).sum() / texts), 0.0
    by_seed, by_text, mean = gains.mean(axis=1), gains.mean(axis=0), gains.mean()
    a = texts * ((by_seed - mean) ** 2).sum() / (seeds - 1)
    b = seeds * ((by_text - mean) ** 2).sum() / (texts - 1)
    rest = gains - by_seed[:, None] - by_text + mean
    return float(a), float(b), float((rest**2).sum() / ((seeds - 1) * (texts - 1)))


def _lower_end(gains: Numbers, unseen: float) -> tuple[float, float]:
    """Where the interval begins, and the tail, at most 0.5, of the one that begins at zero."""
    seeds, texts = gains.shape
    total = float(gains.mean() * texts)
    tail_of, lowest = _texts_alone(gains.mean(axis=0), unseen)
    a, b, e = mean_squares(gains)
    shared = max(0.0, b - e)
    share = math.sqrt(shared / b) if b else 1.0
    spread = math.sqrt(texts * a / seeds)

    def end(bound: float, tail: float) -> float:
        """Of the interval which would begin at ``bound`` if only texts were drawn."""
        normal = -special.ndtri(tail)
        student = -special.stdtrit((seeds - 1) * (a + shared) / a, tail) if a else normal
        return total - float(student * np.hypot(share * (total - bound) / normal, spread))

    def is_above_zero(bound: float) -> bool:
        tail = max(tail_of(bound), 1e-300)
        return tail >= 0.5 or end(bound, tail) > 0

    bound = _first(lambda bound: tail_of(bound) >= TAIL, lowest, total)
    zero = _first(is_above_zero, lowest, total)
    return end(bound, TAIL) / texts, min(0.5, tail_of(zero))


def _texts_alone(gains: Numbers, unseen: float, times: float = 1.0) -> tuple[Callable[[float], float], float]:
    """P(difference <= bound) of the melded distribution for lower bounds of the sum of ``gains`` (N,), of
    ``times`` as many such texts, and a bound that is lower than any which matters.

    y = sum of the gains above zero, v = sum of their squares: v / y * Gamma(y**2 / v) is below the true y as
    often as a lower bound should be. Of those below zero it has to be an upper one, in which a loss that none
    of these texts has shown weighs u, ``unseen``: with w = (v + u**2) / (y + u), w * Gamma((y + u) / w) (Fay
    and Feuer 1997). Where all weigh the same, as one right answer does, that is Gamma(y + 1).
    """
    (up, up_step), (down, down_step) = (_counted(side) for side in (gains[gains > 0], -gains[gains < 0]))
    unseen = max(unseen, down_step or up_step or 1.0)
    lost = times * down * down_step
    step = (lost * down_step + unseen**2) / (lost + unseen)
    count = (lost + unseen) / step
    lowest = -step * float(special.gammainccinv(count, 1e-15))
    return _melded(times * up, up_step or step, count, step), lowest


def tail_of_zero(gains: Numbers, heaviest: float, times: float = 1.0) -> float:
    """P(difference <= 0) for ``times`` as many texts of such ``gains``; a text may lose ``heaviest``."""
    return _texts_alone(gains, heaviest, times)[0](0.0)


def _melded(up: float, up_step: float, down: float, down_step: float) -> Callable[[float], float]:
    """P(up_step * Gamma(up) - down_step * Gamma(down) <= bound)."""
    drawn = up_step * special.gammaincinv(up, _LEVELS) if up else np.zeros(len(_LEVELS))

    def tail(bound: float) -> float:
        least = np.maximum(drawn - bound, 0.0) / down_step
        return float(_WEIGHTS @ special.gammaincc(down, least))

    return tail


def _counted(gains: Numbers) -> tuple[float, float]:
    """As how many equal steps, and of what size, a sum of gains above zero varies."""
    step = float((gains**2).sum() / gains.sum()) if len(gains) else 0.0
    return (float(gains.sum()) / step if step else 0.0), step


def _first(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where ``holds`` begins to be true between two numbers, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
