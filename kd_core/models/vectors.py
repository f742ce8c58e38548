"""What a teacher makes of each word piece by itself: vectors with which a small student can begin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.models.inference import autocast, fast_precision
from kd_core.models.loading import model_hash
from kd_core.system import parallel

# Of a kind and of what it is made of, the folder: as ``cache.place`` and ``Run.place``.
Place = Callable[..., Path]

FILE = "vectors.npy"
BATCH = 512  # pieces in one forward pass


def piece_vectors(
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    pieces: list[int],
    size: int,
    place: Place,
) -> Tensor:
    """(pieces, size): the teacher's vectors of the ``pieces`` (ids), in their first main directions.

    They hold what its layers know of a word, which the embedding table, frozen while the teacher is taught,
    does not. Centred, then their first principal components, as in Model2Vec (Minishlab 2024). Made once for
    a teacher; later calls read them from the cache.
    """
    ids = np.asarray(pieces, dtype=np.int64)
    kept = place(
        "vectors",
        teacher=model_hash(teacher, tokenizer),
        pieces=hashlib.sha256(ids.tobytes()).hexdigest(),
        size=size,
    )

    def make(folder: Path) -> None:
        vectors = _last_states(teacher, tokenizer, ids)
        vectors -= vectors.mean(dim=0)
        reduced = vectors @ main_directions(vectors, size)
        parallel.on_main_process(lambda: np.save(folder / FILE, reduced.numpy()))

    parallel.fetch(kept, make)
    return torch.from_numpy(np.load(kept / FILE, allow_pickle=False))


def main_directions(matrix: Tensor, count: int) -> Tensor:
    """The first right singular vectors, (D, count), by way of the small D x D Gram matrix."""
    wide = matrix.double()
    vectors: Tensor = torch.linalg.eigh(wide.T @ wide).eigenvectors  # by ascending eigenvalue
    return vectors.flip(1)[:, :count].to(matrix.dtype)


def _last_states(teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, pieces: np.ndarray) -> Tensor:
    """(pieces, D): means over the last states of texts that are one piece each, with the special tokens."""
    special = torch.tensor(tokenizer("")["input_ids"], device=teacher.device)
    was_training = teacher.training
    teacher.eval()
    means = []
    with torch.inference_mode(), autocast(teacher.device, fast_precision(teacher.config)):
        for some in torch.split(torch.from_numpy(pieces).to(teacher.device), BATCH):
            around = special.expand(len(some), -1)
            ids = torch.cat([around[:, :1], some[:, None], around[:, 1:]], dim=1)
            states = teacher.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))[0]
            means.append(states.float().mean(dim=1).cpu())
    teacher.train(was_training)
    return torch.cat(means).clone()
