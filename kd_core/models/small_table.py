"""A smaller table of word pieces for a model that is taught on few of them.

A multilingual table is most of its model (e5-small: 96 of 118 million numbers), and every checkpoint would
hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel

from kd_core.models.vocabulary import map_ids

LARGE = 100_000  # rows


@contextmanager
def small_table(model: PreTrainedModel, splits: Sequence[Dataset]) -> Iterator[Sequence[Dataset]]:
    """While the block runs, ``model`` has the pieces of ``splits`` alone; these come back with ids for it.

    The model's answers to them stay as they are, bit for bit. Only for a table that is not trained, and that
    has at least ``LARGE`` rows: any other stays. Ids up to that of the padding do not change.
    """
    whole = model.get_input_embeddings()
    if type(whole) is not nn.Embedding or whole.num_embeddings < LARGE:
        yield splits
        return
    used = set(range((model.config.pad_token_id or 0) + 1))
    for split in splits:
        for ids in split["input_ids"]:
            used.update(ids)
    kept = sorted(used)
    new_ids = map_ids(kept, whole.num_embeddings)

    def renumber(batch: dict[str, Any]) -> dict[str, Any]:
        return {"input_ids": [new_ids[ids].tolist() for ids in batch["input_ids"]]}

    rows = whole.weight.detach()[kept]
    model.set_input_embeddings(
        nn.Embedding(len(kept), rows.shape[1], padding_idx=whole.padding_idx, _weight=rows)
    )
    try:
        yield [split.map(renumber, batched=True, load_from_cache_file=False) for split in splits]
    finally:
        model.set_input_embeddings(whole)
