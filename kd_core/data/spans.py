"""Transfer texts made of the training texts: spans of their words, for the teacher to label."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from kd_core.config import TaskConfig
from kd_core.data.splits import normalised
from kd_core.data.task import Task, unlabelled
from kd_core.data.words import WORD

WORDS = (2, 8)  # of a span, fewest and most; of a long text, up to a third of its words
SPANS = 8  # of each text, where a teacher has no other texts to answer (docs/decisions.md)
OTHERS = 0.1  # of the number of training texts: with fewer other texts it is as if there were none
FEW = 3_000  # texts to train with: students that have so many learn nothing more from spans


def spans_per_text(task: Task, config: TaskConfig) -> int:
    """``config.augment``; of ``auto`` up to SPANS, as the limit has room for, below FEW texts."""
    if config.augment != "auto":
        return config.augment
    if task.answers or len(task.train) >= FEW or has_others(task):
        return 0
    return min(SPANS, config.transfer_texts // len(task.train))


def has_others(task: Task) -> bool:
    """Whether the teacher has enough other texts to answer than the training texts and their spans."""
    enough = max(1, math.ceil(OTHERS * len(task.train)))
    return sum(1 for _ in islice(_others(task), enough)) == enough


def _others(task: Task) -> Iterator[str]:
    """The transfer texts that are neither spans nor training texts."""
    given = task.transfer["text"][: len(task.transfer) - task.spans]
    own = set(map(normalised, task.train["text"][:])) if given else set()
    return (text for text in given if normalised(text) not in own)


def augmented(task: Task, config: TaskConfig) -> Task:
    """The task with ``spans_per_text`` of each training text at the end of its transfer set.

    A label says what a whole text is; what the teacher says of its parts tells which words make it so. The
    cut is the n-gram sampling of Tang et al. 2019 (arXiv 1903.12136, section 3.3). Each span is there once,
    and none that is a whole text of the task. A function of the texts and ``config`` alone.
    """
    if again := len(task.transfer) - task.spans - sum(1 for _ in _others(task)):
        are = "text is a training text" if again == 1 else "texts are training texts"
        note = f"{again:,} transfer {are} too, of which a student learns nothing new."
        task = replace(task, notes=(*task.notes, note))
    if not (count := spans_per_text(task, config)):
        return task
    texts = {part: getattr(task, part)["text"][:] for part in ("train", "validation", "test", "transfer")}
    known = {normalised(text) for part in texts.values() for text in part}
    spans: list[str] = []
    for span in _cut(texts["train"], count, random.Random(f"{config.split_seed} spans")):
        if (key := normalised(span)) not in known:
            known.add(key)
            spans.append(span)
    note = f"The teacher also answers {len(spans):,} spans of words, cut from the training texts."
    transfer = unlabelled([*texts["transfer"], *spans])
    return replace(task, transfer=transfer, spans=len(spans), notes=(*task.notes, note))


def _cut(texts: list[str], count: int, rng: random.Random) -> Iterator[str]:
    fewest, most = WORDS
    for text in texts:
        words = list(WORD.finditer(text))
        for _ in range(count if words else 0):
            length = min(rng.randint(fewest, max(most, len(words) // 3)), len(words))
            start = rng.randint(0, len(words) - length)
            yield text[words[start].start() : words[start + length - 1].end()]
