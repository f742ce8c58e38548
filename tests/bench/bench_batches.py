"""What a batch sees of a rare class, and what of it is padding: batches of like lengths, as they are made,
against others.

    python -m tests.bench.bench_batches FILE [FILE ...]

Files have the columns text and label; a bundled task's name is one too. For three seeds of 300 steps each,
prints the share of batches without a text of the rarest class, the mean and the spread of its share of a
batch, and how many tokens are computed for each of the texts' own (pieces of minilm-l6, at most 128):
grouped by length (what trains), grouped by lengths with noise (a third up or down), shuffled, and stratified
(each batch has as near to the class's share as whole texts allow). Nothing trains.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SEEDS, STEPS, BATCH, MOST_TOKENS = (0, 1, 2), 300, 32, 128


def main() -> None:
    from transformers import AutoTokenizer

    from kd_core.config import TaskConfig
    from kd_core.data import load_task
    from kd_core.distillation.balance import rarest
    from kd_core.distillation.training.batches import Recipe, StepBatches
    from kd_core.models.checkpoints import locate

    tokenizer = AutoTokenizer.from_pretrained(locate("minilm-l6")[0])
    print(
        f"{'file':22} {'class':>14} {'share':>7}  {'batches':16} {'without it':>11} {'share ± spread':>16} "
        f"{'computed':>10}"
    )
    for file in sys.argv[1:]:
        task = load_task(TaskConfig(name=file))
        labels = np.asarray(task.train["label"])
        name, _ = rarest(task.labels, labels)
        rare = labels == task.labels.index(name)
        pieces = tokenizer(list(task.train["text"]), truncation=True, max_length=MOST_TOKENS)["input_ids"]
        lengths = [len(ids) for ids in pieces]
        kinds = ("grouped by length", "with noise", "shuffled", "stratified")
        found: dict[str, list[float]] = {kind: [] for kind in kinds}
        computed: dict[str, list[tuple[int, int]]] = {kind: [] for kind in found}
        for seed in SEEDS:
            recipe = Recipe("alone", seed, STEPS, BATCH, 1e-4, STEPS, "fp32")
            noise = np.random.default_rng(seed).uniform(2 / 3, 4 / 3, len(lengths))
            noisy = [max(1, round(length)) for length in lengths * noise]
            made = {
                "grouped by length": iter(StepBatches(lengths, len(lengths), recipe)),
                "with noise": iter(StepBatches(noisy, len(noisy), recipe)),
                "shuffled": shuffled(len(rare), seed),
                "stratified": stratified(rare, seed),
            }
            for kind, batches in made.items():
                for rows in islice(batches, STEPS):
                    own = np.array(lengths)[rows]
                    found[kind].append(float(rare[rows].mean()))
                    computed[kind].append((own.sum(), own.max() * len(own)))
        for kind, shares in found.items():
            without = np.mean(np.array(shares) == 0)
            own_tokens, padded = np.sum(computed[kind], axis=0)
            print(
                f"{task.name[:22]:22} {name[:14]:>14} {rare.mean():7.1%}  {kind:18} {without:9.1%} "
                f"{np.mean(shares):8.1%} ± {np.std(shares):.1%} {padded / own_tokens:9.2f} x"
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
