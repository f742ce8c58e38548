"""What a task is: texts, labels and fixed splits, as Arrow data sets."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_hex
from typing import Any

import numpy as np
from datasets import Dataset, DatasetInfo, Features, Value
from datasets.table import InMemoryTable
from numpy.typing import NDArray

from kd_core.config import AnswerKind, Gold
from kd_core.data.splits import normalised

LABELLED = Features({"text": Value("string"), "label": Value("int64")})
UNLABELLED = Features({"text": Value("string")})
SAMPLE, LETTERS = 500, 1_000_000  # of a split, at most


def labelled(texts: Iterable[str], labels: Iterable[int]) -> Dataset:
    """A labelled split: columns ``text`` and ``label`` (an index into ``Task.labels``)."""
    return _dataset({"text": list(texts), "label": list(labels)}, LABELLED)


def unlabelled(texts: Iterable[str]) -> Dataset:
    """A transfer set: column ``text``."""
    return _dataset({"text": list(texts)}, UNLABELLED)


def _dataset(columns: dict[str, list[Any]], features: Features) -> Dataset:
    """With a fingerprint at random, which nothing here relies on.

    For its own, datasets pickles all rows and looks into transformers, which fails while another thread (the
    dashboard's runner) is importing it.
    """
    table = InMemoryTable.from_pydict(columns, schema=features.arrow_schema)
    return Dataset(table, info=DatasetInfo(features=features), fingerprint=token_hex(8))


@dataclass(frozen=True)
class Answers:
    """What a teacher that is a file says: ``logits`` (N, C), and the row of each ``normalised`` text.

    ``kind`` is how the file says it, ``gold`` where the labels are a person's and not the teacher's choices.
    """

    rows: Mapping[str, int]
    logits: NDArray[np.float32]
    kind: AnswerKind
    gold: Gold

    def of(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """(texts, C), for texts of the file."""
        return self.logits[[self.rows[normalised(text)] for text in texts]]


@dataclass(frozen=True)
class Task:
    """A labelled text-classification problem with fixed splits.

    ``train``, ``validation`` and ``test`` have columns ``text`` and ``label``; ``transfer`` has ``text`` and
    may be empty. ``shifted`` holds further labelled sets that nobody was trained for (name -> split).
    ``notes`` says, in sentences for a person, what was dropped, cut, merged or looks doubtful.
    """

    name: str
    labels: tuple[str, ...]
    train: Dataset
    validation: Dataset
    test: Dataset
    transfer: Dataset
    shifted: dict[str, Dataset] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    answers: Answers | None = None  # of a teacher that is a file
    spans: int = 0  # so many of the transfer texts, the last ones, are spans of training texts

    @property
    def rows(self) -> dict[str, int]:
        """Texts of each split, and how many of "transfer" are spans."""
        splits = ("train", "validation", "test", "transfer")
        return {name: len(getattr(self, name)) for name in splits} | {"spans": self.spans}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the label names and of all that models learn from (train, validation, transfer)."""
        digest = hashlib.sha256("\x1f".join(self.labels).encode())
        for split in (self.train, self.validation, self.transfer):
            digest.update(content_hash(split).encode())
        if self.answers:
            digest.update(np.ascontiguousarray(self.answers.logits).tobytes())
        return digest.hexdigest()


def spread(split: Dataset) -> list[str]:
    """Texts from all over a split, enough to know what its texts are like in a second."""
    step = math.ceil(len(split) / SAMPLE) or 1
    texts: list[str] = split.select(range(0, len(split), step))["text"][:]
    return texts[:: math.ceil(sum(map(len, texts)) / LETTERS) or 1]


def content_hash(split: Dataset) -> str:
    """SHA-256 of a split's texts and labels, row by row."""
    digest = hashlib.sha256()
    for batch in split.iter(batch_size=1000):
        labels = batch.get("label", [None] * len(batch["text"]))
        for text, label in zip(batch["text"], labels, strict=True):
            digest.update(f"{label}\x1f{text}\x1e".encode())
    return digest.hexdigest()
