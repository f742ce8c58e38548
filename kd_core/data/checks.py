"""What to look for in a task before anybody learns from it: each check with what was found and what to do."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.config import RARE
from kd_core.data.splits import normalised
from kd_core.data.task import Task
from kd_core.system.formatting import counted

ALIKE = 0.8  # cosine of what two texts are made of, from which on they count as nearly the same
HELD_OUT, TRAINING = 1_000, 5_000  # texts that are compared for that, at most
CHARACTERS = 1_000  # of each
GROUP = 5  # letters that are compared at a time
FEW = 10  # test texts of a class: its share of right answers moves by 10 points with each
SHOWN = 20


@dataclass(frozen=True)
class Check:
    """``found`` counts what is doubtful; ``says`` tells it in a sentence, ``todo`` what a person can do.

    ``examples`` are a few of them to read; {} where nothing was found.
    """

    name: str
    found: int
    says: str
    todo: str = ""
    examples: pd.DataFrame = field(default_factory=pd.DataFrame)


def examine(task: Task) -> tuple[Check, ...]:
    """Repeats, leaks, near-copies, conflicting labels and rare classes; seconds for any task. No torch."""
    rows, transfer = _rows(task), _normalised(task.transfer["text"][:])
    return (
        _repeats(rows),
        _leaks(rows, transfer),
        _near_copies(rows, transfer),
        _conflicts(rows),
        _rare_classes(rows, task.labels),
    )


def copies(task: Task) -> list[str]:
    """What a run says of repeats and near-copies before it trains, with what to do."""
    rows, transfer = _rows(task), _normalised(task.transfer["text"][:])
    return [
        f"{check.says} {check.todo}"
        for check in (_repeats(rows), _near_copies(rows, transfer))
        if check.found
    ]


def _rows(task: Task) -> pd.DataFrame:
    """split, text, label and key: equal of texts that differ only in case and white space."""
    rows: pd.DataFrame = pd.concat(
        {name: getattr(task, name).to_pandas() for name in ("train", "validation", "test")},
        names=["split", None],
    ).reset_index("split")
    rows["label"] = rows["label"].map(dict(enumerate(task.labels)))
    rows["key"] = rows["text"].map(normalised)
    return rows


def _normalised(texts: Sequence[str]) -> list[str]:
    return list(map(normalised, texts))


def _repeats(rows: pd.DataFrame) -> Check:
    train = rows[rows["split"] == "train"]
    again = train["key"].duplicated()
    name, found = "Repeated texts", int(again.sum())
    if not found:
        return Check(name, 0, "Each training text occurs once.")
    times = train.loc[train["key"].isin(train.loc[again, "key"])].groupby("key", sort=False)
    return Check(
        name,
        found,
        f"{found:,} of {len(train):,} training texts {'repeats' if found == 1 else 'repeat'} another.",
        "What stands there twice counts twice. Remove the repeats from the file, unless they are as "
        "frequent where the model will be used.",
        times.agg(Times=("text", "size"), Text=("text", "first")).reset_index(drop=True).head(SHOWN),
    )


def _leaks(rows: pd.DataFrame, transfer: Sequence[str]) -> Check:
    seen = {*rows.loc[rows["split"] == "train", "key"], *transfer}
    leaks = rows[(rows["split"] != "train") & rows["key"].isin(seen)]
    name, found = "Leaks between splits", len(leaks)
    if not found:
        return Check(name, 0, "No validation or test text is learned from.")
    return Check(
        name,
        found,
        f"{counted(found, 'validation or test text')} {'is' if found == 1 else 'are'} learned from as well.",
        "Accuracies come out too high. Remove these texts from the training or the transfer file.",
        leaks[["split", "text"]].rename(columns={"split": "Split", "text": "Text"}).head(SHOWN),
    )


def _near_copies(rows: pd.DataFrame, transfer: Sequence[str]) -> Check:
    """Test texts that a training text nearly is; leaks are no near-copies."""
    known = {*rows.loc[rows["split"] == "train", "key"], *transfer}
    whole = rows.loc[rows["split"] == "train", "text"]
    train = _spaced(whole, TRAINING)
    test = rows.loc[rows["split"] == "test"]
    test = test[~test["key"].isin(known)]
    held_out = _spaced(test["text"], HELD_OUT)
    name = "Near-copies"
    among = f"among {_part(held_out, test)} test texts, compared with {_part(train, whole)} training texts"
    if not (len(train) and len(held_out)):
        return Check(name, 0, "There is nothing to compare.")
    place, alike = _nearest(held_out, train)
    near = alike >= ALIKE
    found = int(near.sum())
    if not found:
        return Check(name, 0, f"No near-copy {among}.")
    pairs = pd.DataFrame(
        {
            "Alike": 100 * alike[near],
            "Test text": held_out[near].to_numpy(),
            "Training text": train.iloc[place[near]].to_numpy(),
        }
    )
    return Check(
        name,
        found,
        f"{found:,} near-{'copy' if found == 1 else 'copies'} {among}.",
        "Such texts are easier than new ones. Give a test file of its own, so that what has one source "
        "(a template, a thread, an author) is in one split.",
        pairs.sort_values("Alike", ascending=False, kind="stable").head(SHOWN),
    )


def _nearest(texts: Iterable[str], among: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each text the place ``among`` the others of the one most like it, and how alike they are (0 to 1).

    The cosine of the sets of groups of letters in both: one word more or less changes little of a sentence.
    Without scikit-learn, which the dashboard's other thread may be importing in this moment.
    """
    with_group: defaultdict[str, list[int]] = defaultdict(list)
    sizes = []
    for row, text in enumerate(among):
        groups = _groups(text)
        sizes.append(len(groups))
        for group in groups:
            with_group[group].append(row)
    rows = {group: np.array(places) for group, places in with_group.items()}
    place, alike = [], []
    for text in texts:
        groups = _groups(text)
        shared = np.zeros(len(sizes))
        if known := [rows[group] for group in groups if group in rows]:
            shared = np.bincount(np.concatenate(known), minlength=len(sizes)) / np.sqrt(
                len(groups) * np.array(sizes)
            )
        place.append(int(shared.argmax()))
        alike.append(float(shared.max()))
    return np.array(place), np.array(alike)


def _groups(text: str) -> set[str]:
    spaced = f" {' '.join(text[:CHARACTERS].casefold().split())} "
    return {spaced[i : i + GROUP] for i in range(max(len(spaced) - GROUP, 0) + 1)}


def _conflicts(rows: pd.DataFrame) -> Check:
    pairs = rows.drop_duplicates(["key", "label"])
    both = pairs[pairs["key"].duplicated(keep=False)].groupby("key", sort=False)
    name, found = "Conflicting labels", both.ngroups
    if not found:
        return Check(name, 0, "No text has two labels.")
    return Check(
        name,
        found,
        f"{counted(found, 'text')} {'has' if found == 1 else 'have'} more than one label.",
        "Nobody can get both right. Decide on one label for each, or remove the text.",
        both.agg(Labels=("label", lambda labels: ", ".join(labels)), Text=("text", "first"))
        .reset_index(drop=True)
        .head(SHOWN),
    )


def _rare_classes(rows: pd.DataFrame, labels: Sequence[str]) -> Check:
    counts = pd.crosstab(rows["label"], rows["split"]).reindex(
        index=list(labels), columns=["train", "test"], fill_value=0
    )
    rare = counts[(counts["train"] < RARE * counts["train"].mean()) | (counts["test"] < FEW)]
    name, found = "Rare classes", len(rare)
    if not found:
        smallest = counts["train"].idxmin()
        return Check(
            name, 0, f"The smallest class, {smallest}, has {counts['train'].min():,} training texts."
        )
    return Check(
        name,
        found,
        f"{found:,} of {len(labels):,} classes {'has' if found == 1 else 'have'} few training or test texts.",
        "Add texts of them, or set Class weights to balanced in the advanced settings of Distill. With fewer "
        f"than {FEW} test texts, how well a class is recognised is hardly known.",
        rare.rename(columns={"train": "Training texts", "test": "Test texts"})
        .rename_axis("Class")
        .reset_index()
        .head(SHOWN),
    )


def _part(some: Sized, whole: Sized) -> str:
    """ "300", or "300 of the 1,200"."""
    return f"{len(some):,}" if len(some) == len(whole) else f"{len(some):,} of the {len(whole):,}"


def _spaced(texts: pd.Series[str], most: int) -> pd.Series[str]:
    return texts.iloc[:: math.ceil(len(texts) / most) or 1]
