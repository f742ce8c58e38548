"""How one model is trained, and which rows each of its steps sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import count, islice

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from kd_core.config import ObjectiveConfig, Precision
from kd_core.distillation.roles import Role, labels_only
from kd_core.system import parallel

LABELS_ONLY = labels_only(ObjectiveConfig())

# Tokens. Without dropout a processor need not keep the attention of each token to each: of 256 tokens a step
# takes two fifths less time and half of the memory (docs/performance.md).
LONG = 128


@dataclass(frozen=True, repr=False)
class Recipe:
    """How one model is trained; every number is final (nothing ``auto``).

    Its ``repr`` is part of the cache's keys: another field name or default would find no model of before.
    A field that came later is left out of it while it is what was done before.
    """

    who: Role
    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    evaluate_every: int
    precision: Precision
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    transfer_batch_size: int = 0  # 0: labelled rows only
    objective: ObjectiveConfig = LABELS_ONLY
    metric: str = field(default="accuracy", repr=False)  # the weights are kept that are best by it
    attention_dropout: bool = field(default=True, repr=False)  # else the model's other dropout alone
    keep_last: bool = field(default=False, repr=False)  # the last weights, however good others were

    def __repr__(self) -> str:
        later = "" if self.metric == "accuracy" else f", metric={self.metric!r}"
        later += "" if self.attention_dropout else ", attention_dropout=False"
        later += ", keep_last=True" if self.keep_last else ""
        shown = (f"{part.name}={getattr(self, part.name)!r}" for part in fields(self) if part.repr)
        return f"Recipe({', '.join(shown)}{later})"

    @property
    def name(self) -> str:
        return model_name(self.who, self.seed)


def model_name(who: Role, seed: int) -> str:
    """Of one model among those of a run: a teacher has one seed."""
    return who if who == "teacher" else f"{who}-{seed}"


class StepBatches(Sampler[list[int]]):
    """Row numbers of each step's batch: labelled rows, then transfer rows.

    The labelled part of step s is the same whether or not there is a transfer part, and both are functions of
    ``seed`` and s alone. Rows of a batch have similar lengths. Of several processes each gets its share of
    the batch.
    """

    def __init__(self, lengths: list[int], labelled: int, recipe: Recipe) -> None:
        self._lengths, self._labelled, self._recipe = lengths, labelled, recipe

    def __len__(self) -> int:
        return self._recipe.steps

    def __iter__(self) -> Iterator[list[int]]:
        recipe = self._recipe
        first = self._cycle(self._lengths[: self._labelled], recipe.batch_size, 0)
        if not recipe.transfer_batch_size:
            yield from map(parallel.shard_batch, islice(first, recipe.steps))
            return
        second = self._cycle(self._lengths[self._labelled :], recipe.transfer_batch_size, 1)
        for labelled, transfer in islice(zip(first, second, strict=False), recipe.steps):
            yield parallel.shard_batch(labelled + [self._labelled + row for row in transfer])

    def _cycle(self, lengths: list[int], batch_size: int, stream: int) -> Iterator[list[int]]:
        for epoch in count():
            seed = int(np.random.SeedSequence([self._recipe.seed, stream, epoch]).generate_state(1)[0])
            rows = get_length_grouped_indices(
                lengths, batch_size, generator=torch.Generator().manual_seed(seed)
            )
            for start in range(0, len(rows), batch_size):
                yield rows[start : start + batch_size]
