"""What waiting and chance alone do: tables of docs/statistics.md: capacity, calibration, what is kept.

    python -m tests.bench.bench_chance

Prints p95 with waiting in mean service times, by how busy cores are (30, 50, 70, 80 and 90 %), and the
calibration error of models whose every probability is exact, beside its floor; and how often a ladder says
of a student that keeps 98 % of its teacher, and no more, that it is shown to. Nothing is asserted.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from kd_core.deployment.queueing import lognormal, lognormal_mean, mean, p95_ms
from kd_core.distillation.calibration import floor
from kd_core.distillation.metrics import scores, softmax
from kd_core.search.kept import CONFIDENCE, Pairs, at_least, score

BUSY = (0.3, 0.5, 0.7, 0.8, 0.9)
EQUAL = (1.0, 1.0)
TIMES = {
    "all equal": EQUAL,
    "log-normal, p95 twice the median": lognormal(1.0, 2 / lognormal_mean(1.0, 2.0)),
    "exponential": tuple((-np.log1p(-np.linspace(0, 0.9999, 5001))).tolist()),
}
MODELS, CLASSES, SPREAD = 100, 5, 3.0
WANTED, SAMPLES = 0.98, 10_000


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
        for texts in (100, 300, 1_000, 3_000):
            lost = (1 - WANTED) * right
            alone = ((apart - lost) / 2, (apart + lost) / 2)
            shares = (right - alone[1], *alone, 1 - right - alone[0])
            drawn = np.random.default_rng(texts).multinomial(texts, shares, SAMPLES)
            wrong = np.mean([score(Pairs(*map(float, cells)), WANTED) > needed for cells in drawn])
            half = apart / 2
            equal = Pairs(right - half, half, half, 1 - right - half).times(texts)
            line.append(f"{100 * wrong:.1f} ({100 * at_least(equal):.1f})")
        print(f"teacher {right:.0%}, {apart:.0%} apart:", *line)


if __name__ == "__main__":
    waiting()
    calibration()
    kept()
