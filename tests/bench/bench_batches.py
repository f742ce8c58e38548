"""What a batch sees of a rare class: batches of like lengths, as they are made, against others.

    python -m tests.bench.bench_batches FILE [FILE ...]

Files have the columns text and label. For three seeds of 300 steps each, prints the share of batches without
a text of the rarest class, and the mean and the spread of its share of a batch: grouped by length (what
trains), shuffled, and stratified (each batch has as near to the class's share as whole texts allow). Nothing
trains.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SEEDS, STEPS, BATCH = (0, 1, 2), 300, 32


def main() -> None:
    from kd_core.config import TaskConfig
    from kd_core.data import load_task
    from kd_core.distillation.balance import rarest
    from kd_core.distillation.training.batches import Recipe, StepBatches

    print(f"{'file':22} {'class':>14} {'share':>7}  {'batches':16} {'without it':>11} {'share ± spread':>16}")
    for file in sys.argv[1:]:
        task = load_task(TaskConfig(name=file))
        labels = np.asarray(task.train["label"])
        name, _ = rarest(task.labels, labels)
        rare = labels == task.labels.index(name)
        lengths = [len(text.split()) for text in task.train["text"]]
        found: dict[str, list[float]] = {"grouped by length": [], "shuffled": [], "stratified": []}
        for seed in SEEDS:
            recipe = Recipe("alone", seed, STEPS, BATCH, 1e-4, STEPS, "fp32")
            made = {
                "grouped by length": iter(StepBatches(lengths, len(lengths), recipe)),
                "shuffled": shuffled(len(rare), seed),
                "stratified": stratified(rare, seed),
            }
            for kind, batches in made.items():
                found[kind] += [float(rare[rows].mean()) for rows in islice(batches, STEPS)]
        for kind, shares in found.items():
            without = np.mean(np.array(shares) == 0)
            print(
                f"{task.name[:22]:22} {name[:14]:>14} {rare.mean():7.1%}  {kind:18} {without:9.1%} "
                f"{np.mean(shares):8.1%} ± {np.std(shares):.1%}"
            )


def shuffled(rows: int, seed: int) -> Iterator[NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(rows)
        yield from (order[start : start + BATCH] for start in range(0, rows, BATCH))


def stratified(rare: NDArray[np.bool_], seed: int) -> Iterator[NDArray[np.int64]]:
    """Each class dealt out evenly: its texts stand at equal distances in the order."""
    random = np.random.default_rng(seed)
    while True:
        places = np.empty(len(rare))
        for own in (np.flatnonzero(rare), np.flatnonzero(~rare)):
            shuffled_own = random.permutation(own)
            places[shuffled_own] = (np.arange(len(own)) + random.random()) / len(own)
        order = np.argsort(places)
        yield from (order[start : start + BATCH] for start in range(0, len(rare), BATCH))


if __name__ == "__main__":
    main()
