"""What waiting and chance alone do: the tables of docs/statistics.md on capacity and calibration.

    python -m tests.bench.bench_chance

Prints p95 with waiting in mean service times, by how busy cores are (30, 50, 70, 80 and 90 %), and the
calibration error of models whose every probability is exact, beside its floor. Nothing is asserted.
"""

from __future__ import annotations

import numpy as np

from kd_core.deployment.queueing import lognormal, lognormal_mean, mean, p95_ms
from kd_core.distillation.calibration import floor
from kd_core.distillation.metrics import scores, softmax

BUSY = (0.3, 0.5, 0.7, 0.8, 0.9)
EQUAL = (1.0, 1.0)
TIMES = {
    "all equal": EQUAL,
    "log-normal, p95 twice the median": lognormal(1.0, 2 / lognormal_mean(1.0, 2.0)),
    "exponential": tuple((-np.log1p(-np.linspace(0, 0.9999, 5001))).tolist()),
}
MODELS, CLASSES, SPREAD = 100, 5, 3.0


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


if __name__ == "__main__":
    waiting()
    calibration()
