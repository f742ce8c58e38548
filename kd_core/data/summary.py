"""What a task looks like: how many texts and classes, how long, some to read, and what is doubtful."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.data.checks import Check, examine
from kd_core.data.task import Task
from kd_core.data.words import WORD

EXAMPLES = 8  # of each class
TRANSFER = 40  # from all over the transfer set
# Texts without spaces between their words (Chinese, say) are measured in characters.
LONGEST_WORD = 12  # on average
SOME = 1_000  # texts tell whether their language puts spaces between words
MANY_APART = 1.5  # words, for each piece between spaces


@dataclass(frozen=True)
class Summary:
    """``sizes`` counts the texts of train, validation, test and transfer.

    ``balance`` counts those of each class (its index) in train, validation and test (its columns).
    ``lengths`` has the length of every labelled text, in ``unit``: words or characters. ``examples`` are
    training texts with their label, ``transfer`` some of the transfer texts; the index of both is their place
    in the split. Of a teacher that is a file, both have its answers too, as ``with_answers`` adds them.
    """

    name: str
    labels: tuple[str, ...]
    sizes: dict[str, int]
    balance: pd.DataFrame
    lengths: pd.Series[int]
    unit: str
    examples: pd.DataFrame
    transfer: pd.DataFrame
    notes: tuple[str, ...]
    checks: tuple[Check, ...]


def summarise(task: Task) -> Summary:
    splits = {"train": task.train, "validation": task.validation, "test": task.test}
    rows = pd.concat({name: split.to_pandas() for name, split in splits.items()}, names=["split", None])
    rows = rows.reset_index("split")
    rows["label"] = rows["label"].map(dict(enumerate(task.labels)))
    unit, lengths = _lengths(rows["text"])
    train = rows.loc[rows["split"] == "train", ["label", "text"]]
    examples = train.groupby("label").head(EXAMPLES)
    spaced = np.linspace(0, len(task.transfer) - 1, TRANSFER, dtype=np.int64)
    places = np.unique(spaced) if len(task.transfer) else np.array([], dtype=np.int64)
    transfer = pd.DataFrame({"text": [task.transfer["text"][int(place)] for place in places]}, index=places)
    if task.answers:
        examples = with_answers(examples, task.answers.of(examples["text"]), task.labels)
        transfer = with_answers(transfer, task.answers.of(transfer["text"]), task.labels)
        if task.answers.kind == "labels":  # which say nothing of how sure the teacher is
            examples, transfer = (some.drop(columns="sure", errors="ignore") for some in (examples, transfer))
    return Summary(
        name=task.name,
        labels=task.labels,
        sizes={name: len(split) for name, split in splits.items()} | {"transfer": len(task.transfer)},
        balance=pd.crosstab(rows["label"], rows["split"]).reindex(
            index=task.labels, columns=list(splits), fill_value=0
        ),
        lengths=lengths.reset_index(drop=True),
        unit=unit,
        examples=examples,
        transfer=transfer,
        notes=task.notes,
        checks=examine(task),
    )


def with_answers(texts: pd.DataFrame, logits: NDArray[np.floating], labels: tuple[str, ...]) -> pd.DataFrame:
    """``texts`` with what a teacher says of each and how sure it is (%), by its logits (texts, classes)."""
    if not len(texts):
        return texts
    exact = np.asarray(logits, dtype=np.float64)
    # The largest softmax. Not scipy's: as of ``metrics.log_softmax``, whose module comes after this one.
    sure = 100 / np.exp(exact - exact.max(axis=1, keepdims=True)).sum(axis=1)
    return texts.assign(teacher=np.array(labels)[exact.argmax(axis=1)], sure=sure)


def _lengths(texts: pd.Series[str]) -> tuple[str, pd.Series[int]]:
    words, characters = texts.str.count(r"\S+"), texts.str.len()
    some = texts.head(SOME)
    no_spaces = sum(len(WORD.findall(text)) for text in some) > MANY_APART * words.head(SOME).sum()
    if no_spaces or characters.sum() > LONGEST_WORD * words.sum():
        return "characters", characters
    return "words", words
