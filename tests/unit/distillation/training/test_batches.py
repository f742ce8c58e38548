"""Which rows a step draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import ObjectiveConfig
from kd_core.distillation.training.batches import LABELS_ONLY, Recipe
from tests.unit.distillation.training.drawn import LABELLED, RECIPE, batches

recipes = st.builds(
    replace,
    st.just(RECIPE),
    seed=st.integers(0, 9),
    steps=st.integers(1, 30),
    batch_size=st.integers(1, 20),
    transfer_batch_size=st.integers(0, 20),
)


@given(recipe=recipes, labelled=st.integers(1, 40), transfer=st.integers(1, 40))
@settings(max_examples=60)
def test_every_row_comes_once_an_epoch(recipe, labelled, transfer):
    found = batches(recipe, [3 + i % 7 for i in range(labelled + transfer)], labelled)
    assert len(found) == recipe.steps
    own = [[row for row in batch if row < labelled] for batch in found]
    others = [[row for row in batch if row >= labelled] for batch in found]
    assert all(batch == a + b for batch, a, b in zip(found, own, others, strict=True)), "labelled come first"
    for parts, rows, size in (
        (own, range(labelled), recipe.batch_size),
        (others, range(labelled, labelled + transfer), recipe.transfer_batch_size),
    ):
        if not size:
            assert parts == [[]] * recipe.steps
            continue
        epoch = -(-len(rows) // size)
        for start in range(0, recipe.steps - epoch + 1, epoch):
            assert sorted(chain.from_iterable(parts[start : start + epoch])) == list(rows)
        assert all(len(part) == size for i, part in enumerate(parts) if (i + 1) % epoch)


@given(recipe=recipes)
@settings(max_examples=30)
def test_batches_are_a_function_of_seed_and_step(recipe):
    found = batches(recipe)
    torch.manual_seed(recipe.seed + 1)
    assert batches(recipe) == found
    assert batches(replace(recipe, steps=recipe.steps + 5))[: recipe.steps] == found
    assert batches(replace(recipe, learning_rate=0.5, objective=LABELS_ONLY)) == found
    # The labelled part is the same without transfer texts.
    alone = batches(replace(recipe, transfer_batch_size=0))
    assert [[row for row in batch if row < LABELLED] for batch in found] == alone
    assert batches(replace(recipe, transfer_batch_size=0), [5 + i % 9 for i in range(LABELLED)]) == alone


def test_another_seed_and_another_epoch_give_another_order():
    one = replace(RECIPE, steps=16, transfer_batch_size=0)
    epoch = -(-LABELLED // 8)
    assert batches(one) != batches(replace(one, seed=1))
    assert batches(one)[:epoch] != batches(one)[epoch:]


def test_texts_of_a_batch_have_similar_lengths():
    lengths = [int(n) for n in np.random.default_rng(1).integers(3, 60, size=400)]
    grouped = batches(replace(RECIPE, steps=50, transfer_batch_size=0), lengths, labelled=400)
    spread = np.mean([np.ptp([lengths[row] for row in batch]) for batch in grouped])
    assert spread < 5, "in random order it would be about 44"


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({}, ""),
        ({"metric": "macro_f1"}, ", metric='macro_f1'"),
        ({"attention_dropout": False, "keep_last": True}, ", attention_dropout=False, keep_last=True"),
    ],
)
def test_the_key_of_a_recipe_has_later_settings_only_where_they_differ(changes, added):
    goal = ObjectiveConfig(alpha=1.0)
    recipe = Recipe("alone", 3, 6, 8, 1e-3, 2, "fp32", objective=goal, **changes)
    assert repr(recipe) == (
        "Recipe(who='alone', seed=3, steps=6, batch_size=8, learning_rate=0.001, evaluate_every=2, "
        "precision='fp32', warmup=0.1, weight_decay=0.01, max_grad_norm=1.0, transfer_batch_size=0, "
        f"objective={goal!r}{added})"
    )
