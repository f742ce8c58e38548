"""What a task is: texts, labels and fixed splits, as Arrow data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from datasets import Dataset, Features, Value

LABELLED = Features({"text": Value("string"), "label": Value("int64")})
UNLABELLED = Features({"text": Value("string")})


def labelled(texts: Sequence[str], labels: Sequence[int]) -> Dataset:
    """A labelled split: columns ``text`` and ``label`` (an index into ``Task.labels``)."""
    return Dataset.from_dict({"text": list(texts), "label": list(labels)}, features=LABELLED)


def unlabelled(texts: Sequence[str]) -> Dataset:
    """A transfer set: column ``text``."""
    return Dataset.from_dict({"text": list(texts)}, features=UNLABELLED)


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

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the label names and of all that models learn from (train, validation, transfer)."""
        digest = hashlib.sha256("\x1f".join(self.labels).encode())
        for split in (self.train, self.validation, self.transfer):
            digest.update(content_hash(split).encode())
        return digest.hexdigest()


def content_hash(split: Dataset) -> str:
    """SHA-256 of a split's texts and labels, row by row."""
    digest = hashlib.sha256()
    for batch in split.iter(batch_size=1000):
        labels = batch.get("label", [None] * len(batch["text"]))
        for text, label in zip(batch["text"], labels, strict=True):
            digest.update(f"{label}\x1f{text}\x1e".encode())
    return digest.hexdigest()
