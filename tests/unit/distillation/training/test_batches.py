"""Which rows a step draws: a function of the seed and the step alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.distillation.training.batches import LABELS_ONLY
from tests.unit.distillation.training.drawn import LABELLED, RECIPE, batches

# Batches

recipes = st.builds(
    replace,
    st.just(RECIPE),
    seed=st.integers(0, 9),
    steps=st.integers(1, 30),
    batch_size=st.integers(1, 20),
    transfer_batch_size=st.integers(0, 20),
)


@given(recipe=recipes, labelled=st.integers(1, 40), transfer=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=30, deadline=None)
def test_batches_are_a_function_of_seed_and_step(recipe):
    found = batches(recipe)
    torch.manual_seed(recipe.seed + 1)
    assert batches(recipe) == found
    assert batches(replace(recipe, steps=recipe.steps + 5))[: recipe.steps] == found
    assert batches(replace(recipe, learning_rate=0.5, objective=LABELS_ONLY)) == found


@given(recipe=recipes)
@settings(max_examples=30, deadline=None)
def test_the_labelled_part_is_the_same_with_and_without_transfer(recipe):
    alone = batches(replace(recipe, transfer_batch_size=0))
    assert [[row for row in batch if row < LABELLED] for batch in batches(recipe)] == alone
    # Nor does it matter which transfer texts there are.
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


def test_what_came_later_is_in_the_key_where_it_is_not_what_was_before():
    before = repr(RECIPE)
    assert "metric" not in before
    assert "attention_dropout" not in before
    later = replace(RECIPE, metric="macro_f1", attention_dropout=False)
    assert repr(later) == f"{before[:-1]}, metric='macro_f1', attention_dropout=False)"
