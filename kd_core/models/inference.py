"""Texts to token ids to logits, in batches grouped by length; used to record, to evaluate and to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from secrets import token_hex
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from kd_core.config import Precision
from kd_core.system import parallel
from kd_core.system.control import Control

# Progress is told by events; bars of other libraries would run into ours.
disable_progress_bars()
transformers_logging.disable_progress_bar()

Logits = NDArray[np.float32]
Rows = list[dict[str, Any]]

# Texts that are sorted by length together, and the most that one forward pass takes: texts, and tokens with
# their padding, or the longest of few texts would pad all others.
CHUNK = 2048
BATCH, TOKENS = 64, 4096


def encode(
    tokenizer: PreTrainedTokenizerFast, split: Dataset, max_length: int, *, on_demand: bool = False
) -> Dataset:
    """``input_ids`` (and ``label`` where there is one) for each row of ``text``, cut at ``max_length``.

    All in memory; or ``on_demand``, each time that rows are asked for, ``input_ids`` alone.
    """

    def to_ids(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        # A NUL-only or empty text still gets its special tokens, so no row is without a token.
        return {"input_ids": tokenizer(batch["text"], truncation=True, max_length=max_length)["input_ids"]}

    if on_demand:
        return split.with_transform(to_ids)
    return split.map(
        to_ids,
        batched=True,
        remove_columns=["text"],
        load_from_cache_file=False,
        new_fingerprint=token_hex(
            8
        ),  # or the tokenizer is pickled and hashed, which takes longer than its work
    )


def collate(rows: Rows, pad_token_id: int) -> dict[str, torch.Tensor]:
    """Right-padded ``input_ids`` and ``attention_mask`` (B, longest); other columns are stacked as they are.

    A missing ``label`` (a transfer row) becomes -100, which every loss ignores.
    """
    lengths = [len(row["input_ids"]) for row in rows]
    ids = np.full((len(rows), max(lengths)), pad_token_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        ids[i, :length] = row["input_ids"]
        mask[i, :length] = 1
    batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    if "label" in rows[0]:
        labels = [-100 if row["label"] is None else row["label"] for row in rows]
        batch["labels"] = torch.tensor(labels, dtype=torch.int64)
    if "logits" in rows[0]:
        logits = np.asarray([row["logits"] for row in rows], dtype=np.float32)
        batch["teacher_logits"] = torch.from_numpy(logits)
    return batch


def device() -> torch.device:
    """Where models are trained and judged."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


BF16_FROM, FP16_FROM = 8, 7  # major compute capability of GPUs that multiply in it: Ampere, Volta

FLOAT32_ONLY = frozenset({"deberta", "xmod"})  # they fill in a number or rows that bfloat16 does not take


def fast_precision(*models: PretrainedConfig) -> Precision:
    """In which arithmetic this machine multiplies matrices of ``models`` fastest, of those exact enough.

    A GPU below compute capability 8 only emulates bfloat16, and torch calls that supported too; one of 7 has
    float16, with which the Trainer scales the loss.
    """
    if any(model.model_type in FLOAT32_ONLY for model in models):
        return "fp32"
    if torch.cuda.is_available():
        major, _ = torch.cuda.get_device_capability()
        return "bf16" if major >= BF16_FROM else "fp16" if major >= FP16_FROM else "fp32"
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if has_bf16 else "fp32"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32")


def predict_chunks(
    model: PreTrainedModel,
    encoded: Dataset,
    *,
    precision: Precision,
    control: Control | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Iterator[Logits]:
    """Logits of ``encoded`` in row order, ``CHUNK`` rows of each process at a time: (rows, classes), float32.

    Memory does not grow with the number of rows. ``on_rows`` hears how many rows are done. Several processes
    divide the rows, and all get all logits.
    Raises: Stopped, between two batches.
    """
    was_training = model.training
    model.eval()
    pad, processes = model.config.pad_token_id or 0, parallel.size()

    def logits_of(mine: slice, start: int, stop: int) -> Logits:
        ids = encoded[mine]["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)
        found: list[Logits] = []
        first = 0
        while first < len(order):
            if control:
                control.check()
            picked = order[first : first + max(1, min(BATCH, TOKENS // len(ids[order[first]])))]
            batch = collate([{"input_ids": ids[i]} for i in picked], pad)
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            with torch.inference_mode(), autocast(model.device, precision):
                found.append(model(**batch).logits.float().cpu().numpy())
            first += len(picked)
            if on_rows:  # the others are about as far
                on_rows(min(start + first * processes, stop))
        if not found:
            return np.empty((0, model.config.num_labels), dtype=np.float32)
        in_order: Logits = np.concatenate(found)[np.argsort(order)]
        return in_order

    try:
        for start in range(0, len(encoded), CHUNK * processes):
            stop = min(start + CHUNK * processes, len(encoded))
            work = partial(logits_of, parallel.shard_rows(start, stop), start, stop)
            yield np.concatenate(parallel.gather(work))
    finally:
        model.train(was_training)


def predict_logits(
    model: PreTrainedModel,
    encoded: Dataset,
    *,
    precision: Precision = "fp32",
    control: Control | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Logits:
    """Logits (rows, classes) of all of ``encoded``, float32. Raises: Stopped."""
    parts = list(predict_chunks(model, encoded, precision=precision, control=control, on_rows=on_rows))
    return np.concatenate(parts) if parts else np.empty((0, model.config.num_labels), dtype=np.float32)
