"""What a task looks like: how many texts and classes, how long, and some of them to read."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from kd_core.data.task import Task

EXAMPLES = 8  # of each class
# Texts without spaces between their words (Chinese, say) are measured in characters.
LONGEST_WORD = 12  # on average


@dataclass(frozen=True)
class Summary:
    """``sizes`` counts the texts of train, validation, test and transfer.

    ``balance`` counts those of each class (its index) in train, validation and test (its columns).
    ``lengths`` has the length of every labelled text, in ``unit``: words or characters. ``examples`` are
    training texts with their label.
    """

    name: str
    labels: tuple[str, ...]
    sizes: dict[str, int]
    balance: pd.DataFrame
    lengths: pd.Series[int]
    unit: str
    examples: pd.DataFrame
    notes: tuple[str, ...]


def summarise(task: Task) -> Summary:
    splits = {"train": task.train, "validation": task.validation, "test": task.test}
    rows = pd.concat({name: split.to_pandas() for name, split in splits.items()}, names=["split", None])
    rows = rows.reset_index("split")
    rows["label"] = rows["label"].map(dict(enumerate(task.labels)))
    unit, lengths = _lengths(rows["text"])
    train = rows.loc[rows["split"] == "train", ["label", "text"]]
    return Summary(
        name=task.name,
        labels=task.labels,
        sizes={name: len(split) for name, split in splits.items()} | {"transfer": len(task.transfer)},
        balance=pd.crosstab(rows["label"], rows["split"]).reindex(index=task.labels, columns=list(splits)),
        lengths=lengths.reset_index(drop=True),
        unit=unit,
        examples=train.groupby("label").head(EXAMPLES).reset_index(drop=True),
        notes=task.notes,
    )


def _lengths(texts: pd.Series[str]) -> tuple[str, pd.Series[int]]:
    words, characters = texts.str.count(r"\S+"), texts.str.len()
    if characters.sum() > LONGEST_WORD * words.sum():
        return "characters", characters
    return "words", words
