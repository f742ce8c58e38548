"""What choosing by a number does to that number, by the recorded students of the size lab. No torch."""

from __future__ import annotations

import numpy as np

from kd_core.learn.anatomy import Floats
from kd_core.learn.lab_results import LabReport, unpack

DRAWS = 2_000


def best_of(report: LabReport, draws: int = DRAWS) -> tuple[Floats, Floats]:
    """Accuracy of the best of n students, n = 1, 2, ...: on the texts that it was picked by, and on others.

    Each draw halves the test texts at random and tries the students in a random order; the best of the
    first n on one half is judged on the other. A student is an architecture, with the mean of its seeds.
    Shapes: both (students,).
    """
    sizes: dict[tuple[int, int], list[str]] = {}
    for cell in report["cells"]:
        sizes.setdefault((cell["layers"], cell["hidden"]), []).append(cell["right"])
    count = report["test_texts"]
    right = np.array([np.mean([unpack(bits, count) for bits in seeds], axis=0) for seeds in sizes.values()])
    random = np.random.default_rng(0)
    half = random.permuted(np.tile(np.arange(count) < count // 2, (draws, 1)), axis=1).astype(float)
    order = random.permuted(np.tile(np.arange(len(right)), (draws, 1)), axis=1)
    seen = np.take_along_axis(half @ right.T / (count // 2), order, axis=1)
    unseen = np.take_along_axis((1 - half) @ right.T / (count - count // 2), order, axis=1)
    picked = [seen[:, : n + 1].argmax(axis=1) for n in range(len(right))]
    rows = np.arange(draws)
    return (
        np.array([seen[rows, best].mean() for best in picked]),
        np.array([unseen[rows, best].mean() for best in picked]),
    )
