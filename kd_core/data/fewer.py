"""A part of a task's labelled texts, to see what more of them bring, or to try something on a few first."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from kd_core.config import TaskConfig
from kd_core.data.task import Task
from kd_core.errors import DataError


def fewer(task: Task, config: TaskConfig) -> Task:
    """The task with ``config.train_texts`` of its training texts, each class in its share.

    A smaller part is always inside a larger one. Validation, test and transfer texts stay.
    Raises: DataError for fewer than two texts a class.
    """
    limit, whole = config.train_texts, len(task.train)
    if not limit or limit >= whole:
        return task
    if limit < 2 * len(task.labels):
        raise DataError(
            f"--train-texts {limit:,} is too few for {len(task.labels):,} classes: give at least "
            f"{2 * len(task.labels):,}, or 0 for all {whole:,}."
        )
    chosen = sorted(in_turn(task.train["label"][:], config.split_seed)[:limit])
    note = f"{limit:,} of the {whole:,} labelled texts train, as was asked."
    return replace(task, train=task.train.select(chosen), notes=(*task.notes, note))


def in_turn(labels: Sequence[int], seed: int) -> list[int]:
    """All rows, such that any first part has each class in its share; it begins with one of each."""
    rows = list(range(len(labels)))
    random.Random(f"{seed} fewer").shuffle(rows)
    of_class: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        of_class[labels[row]].append(row)
    place = {row: at / len(own) for own in of_class.values() for at, row in enumerate(own)}
    return sorted(rows, key=place.__getitem__)  # stable, so that equal places stay shuffled
