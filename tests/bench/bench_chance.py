"""What waiting and chance alone do: tables of docs/statistics.md: capacity, calibration, what is kept.

    python -m tests.bench.bench_chance

Prints p95 with waiting in mean service times, by how busy cores are (30, 50, 70, 80 and 90 %), and the
calibration error of models whose every probability is exact, beside its floor; and how often a ladder says
of a student that keeps so much of its teacher, and no more, that it is shown to. Nothing is asserted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from kd_core.deployment.queueing import lognormal, lognormal_mean, mean, p95_ms
from kd_core.distillation.calibration import floor
from kd_core.distillation.metrics import scores, softmax
from kd_core.search.kept import CONFIDENCE, F1Pairs, Pairs, at_least, even_texts

Numbers = NDArray[np.float64]
BUSY = (0.3, 0.5, 0.7, 0.8, 0.9)
EQUAL = (1.0, 1.0)
TIMES = {
    "all equal": EQUAL,
    "log-normal, p95 twice the median": lognormal(1.0, 2 / lognormal_mean(1.0, 2.0)),
    "exponential": tuple((-np.log1p(-np.linspace(0, 0.9999, 5001))).tolist()),
}
MODELS, CLASSES, SPREAD = 100, 5, 3.0
WANTED, SAMPLES = 0.98, 10_000
TEXTS, F1_SAMPLES, TOGETHER = (100, 300, 1_000, 3_000), 2_500, 0.7


def waiting() -> None:
    for name, times in TIMES.items():
        service = tuple(time / mean(times) for time in times)
        for cores in (1, 4, 16):
            print(f"{name}, {cores} cores:", _line(service, 1, cores))
    print("all equal, batches of 32, 1 core:", _line(EQUAL, 32, 1))


def _line(service: tuple[float, ...], batch: int, cores: int) -> str:
    rates = tuple(1000 * batch * cores * share for share in BUSY)
    return "  ".join(f"{p95:.1f}" for p95 in p95_ms(service, batch, rates, cores))


def calibration() -> None:
    for texts in (100, 200, 524, 2_000, 10_000):
        errors, floors = [], []
        for seed in range(MODELS):
            random = np.random.default_rng(seed)
            logits = random.normal(0, SPREAD, (texts, CLASSES))
            below = softmax(logits).cumsum(axis=1) > random.random((texts, 1))
            found = scores(logits, below.argmax(axis=1), [str(label) for label in range(CLASSES)])
            errors.append(found.ece)
            floors.append(floor(found.reliability))
        kept = np.mean([error <= chance.high for error, chance in zip(errors, floors, strict=True)])
        average = np.mean([chance.mean for chance in floors])
        print(f"{texts:,} texts: ECE {np.mean(errors):.1%}, floor {average:.1%}, below its 95 %: {kept:.0%}")


def kept() -> None:
    """By the texts: how often a share is claimed that is not exceeded, and the bound of an equal student."""
    needed = NormalDist().inv_cdf(CONFIDENCE)
    for right, apart in ((0.95, 0.04), (0.9, 0.06), (0.9, 0.15), (0.8, 0.2)):
        line = []
        for texts in TEXTS:
            lost = (1 - WANTED) * right
            alone = ((apart - lost) / 2, (apart + lost) / 2)
            shares = (right - alone[1], *alone, 1 - right - alone[0])
            drawn = np.random.default_rng(texts).multinomial(texts, shares, SAMPLES)
            wrong = np.mean([Pairs(*map(float, cells)).score(WANTED) > needed for cells in drawn])
            half = apart / 2
            equal = Pairs(right - half, half, half, 1 - right - half).times(texts)
            line.append(f"{100 * wrong:.1f} ({100 * at_least(equal):.1f})")
        print(f"teacher {right:.0%}, {apart:.0%} apart:", *line)


@dataclass(frozen=True)
class Answering:
    """Confusions (truth, answer) of a teacher and a student; ``sizes`` are shares of the texts.

    Of what a class loses it gets as much back, so that F1 of the rarest one is ``f1``; the student misses
    more of that class, so that it keeps ``kept`` of the mean F1 of ``judged``. They are wrong together on
    ``TOGETHER`` of the texts.
    """

    sizes: Numbers
    judged: NDArray[np.int64]
    teacher: Numbers
    student: Numbers

    @classmethod
    def of(cls, sizes: tuple[float, ...], judged: tuple[int, ...], f1: float, kept: float) -> Self:
        shares, classes = np.array(sizes), np.array(judged)
        flow = (1 - f1) * np.minimum.outer(shares, shares) / (len(shares) - 1)
        np.fill_diagonal(flow, 0)
        teacher = flow / shares[:, None]
        np.fill_diagonal(teacher, 1 - teacher.sum(axis=1))
        wanted = kept * _f1(teacher, shares)[classes].mean()

        def missing(more: float) -> Numbers:
            student = teacher.copy()
            student[0, 0] -= more
            student[0, 1:] += more / (len(shares) - 1)
            return student

        more = brentq(lambda more: _f1(missing(more), shares)[classes].mean() - wanted, 0, teacher[0, 0])
        return cls(shares, classes, teacher, missing(more))

    def draw(self, random: np.random.Generator, texts: int) -> F1Pairs:
        labels = random.choice(len(self.sizes), size=texts, p=self.sizes)
        one, other = random.random((2, texts))
        other = np.where(random.random(texts) < TOGETHER, one, other)
        answers = (_answers(*pair, labels) for pair in ((self.student, other), (self.teacher, one)))
        return F1Pairs(*answers, labels, self.judged)


def _f1(confusion: Numbers, sizes: Numbers) -> Numbers:
    joint = sizes[:, None] * confusion
    return 2 * joint.diagonal() / (sizes + joint.sum(axis=0))


def _answers(confusion: Numbers, drawn: Numbers, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Right where little is drawn, so that two who draw the same are wrong together."""
    classes = len(confusion)
    order = np.array([[cls, *(other for other in range(classes) if other != cls)] for cls in range(classes)])
    up_to = np.take_along_axis(confusion, order, axis=1).cumsum(axis=1)
    place = (drawn[:, None] > up_to[labels]).sum(axis=1).clip(max=classes - 1)
    return order[labels, place]


def kept_f1() -> None:
    """As ``kept``, of F1: the class 0 is rare. In brackets the median bound of an equal student."""
    tasks = {
        "macro-F1, 2 classes": ((0.05, 0.95), (0, 1)),
        "macro-F1, 5 classes": ((0.05, *[0.2375] * 4), (0, 1, 2, 3, 4)),
        "F1 of the rare class": ((0.05, 0.95), (0,)),
        "macro-F1, 5 equal classes": ((0.2,) * 5, (0, 1, 2, 3, 4)),
    }
    needed = NormalDist().inv_cdf(CONFIDENCE)
    for (name, (sizes, judged)), f1 in product(tasks.items(), (0.98, 0.9, 0.7)):
        for share in (0.98, 0.9):
            line, answering = [], Answering.of(sizes, judged, f1, share)
            equal = Answering.of(sizes, judged, f1, 1.0)
            for texts in TEXTS:
                random = np.random.default_rng(texts)
                drawn = (answering.draw(random, texts) for _ in range(F1_SAMPLES))
                wrong = np.mean([pairs.score(share) > needed for pairs in drawn])
                bound = np.median([at_least(equal.draw(random, texts)) for _ in range(100)])
                line.append(f"{100 * wrong:.1f} ({100 * bound:.1f})")
            print(f"{name}, teacher {f1:.0%}, kept {share:.0%}:", *line, flush=True)
        even = [
            at_least(Pairs.expected(even_texts([sizes[cls] * texts for cls in judged]))) for texts in TEXTS
        ]
        print("  said before the start:", *(f"{bound:.1%}" for bound in even))


if __name__ == "__main__":
    waiting()
    calibration()
    kept()
    kept_f1()
