"""How often a cascade keeps its promise, when recorded answers are split anew into validation and test texts.

    python -m tests.bench.bench_cascade RUN [RUN ...]

Nothing trains: the answers of a finished run (KD_HOME) to all its validation and test texts are pooled, and
200 times a half finds the threshold and the other half checks it. The promise is about all texts there
are, of which the other half is a sample too; so it is counted once on that half, and once on the pool.
"""

from __future__ import annotations

import sys
from typing import get_args

import numpy as np

from kd_core.deployment.cascade import Answers, Method, choose_threshold, recorded
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION, find

SPLITS = 200


def main() -> None:
    print(
        f"{'run':22} {'agree':>6} {'method':16} {'held, other half':>17} {'held, pool':>11} {'answered':>9}"
    )
    for run in sys.argv[1:]:
        folder = find(run)
        parts = [recorded(folder, Report.read(folder), file) for file in (VALIDATION, PREDICTIONS)]
        pool = Answers(
            np.concatenate([part.confidence for part in parts]),
            np.concatenate([part.agrees for part in parts]),
        )
        for agree in (0.9, 0.95, 0.97):
            for method in get_args(Method):
                held, true, answered = splits(pool, agree, method)
                print(f"{run:22} {agree:6.0%} {method:16} {held:17.1%} {true:11.1%} {answered:9.1%}")


def splits(pool: Answers, agree: float, method: Method) -> tuple[float, float, float]:
    """Shares of the splits in which the promise held, on other half and pool; mean share answered."""
    random, rows = np.random.default_rng(0), []
    for _ in range(SPLITS):
        order = random.permutation(len(pool))
        first, second = (part(pool, half) for half in np.array_split(order, 2))
        threshold, _ = choose_threshold(first, agree, method)
        rows.append(
            (
                second.mistakes(threshold) / len(second) <= 1 - agree,
                pool.mistakes(threshold) / len(pool) <= 1 - agree,
                second.answered(threshold).mean(),
            )
        )
    held, true, answered = np.mean(rows, axis=0)
    return float(held), float(true), float(answered)


def part(pool: Answers, rows: np.ndarray) -> Answers:
    return Answers(pool.confidence[rows], pool.agrees[rows])


if __name__ == "__main__":
    main()
