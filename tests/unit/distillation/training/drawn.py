"""The rows that each step draws, of 60 labelled and 40 transfer texts."""

from __future__ import annotations

from kd_core.distillation.training.batches import StepBatches
from tests.unit.conftest import tiny_recipe

RECIPE = tiny_recipe()
LABELLED, TRANSFER = 60, 40


def batches(recipe=RECIPE, lengths=None, labelled=LABELLED) -> list[list[int]]:
    return list(StepBatches(lengths or [5 + i % 9 for i in range(LABELLED + TRANSFER)], labelled, recipe))
