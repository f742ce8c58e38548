"""Cross-validation's parts of the training data, as tasks of their own."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

from kd_core.config import TaskConfig
from kd_core.data.bundled import TASKS, text_groups
from kd_core.data.splits import connected_groups, normalised, split_rows
from kd_core.data.task import Task
from kd_core.errors import DataError

INNER = 0.1  # of a fold's training part: decides which step's weights are kept


def fold_tasks(task: Task, config: TaskConfig, folds: int) -> list[Task]:
    """One task a fold: ``test`` is the held-out part, the three others come from the rest alone.

    ``validation`` is carved out of the rest. Texts that share content (an article, or all but case and white
    space) are on one side, and transfer texts that share any with held-out or validation texts are left out.
    Together the held-out parts are the training data.
    Raises: DataError where a class has fewer different texts than there are folds.
    """
    known = text_groups(config.name) if config.name in TASKS else {}
    texts = [normalised(text) for text in chain(task.train["text"][:], task.transfer["text"][:])]
    groups = connected_groups([{str(known.get(text, text))} for text in texts])
    own, transfer = groups[: len(task.train)], groups[len(task.train) :]
    labels = task.train["label"][:]
    _check_classes(task.labels, labels, own, folds)

    tasks = []
    for held_out in _parts(labels, own, config.split_seed, folds):
        outside = set(held_out)
        rest = [row for row in range(len(labels)) if row not in outside]
        train, inner, _ = split_rows(
            [labels[row] for row in rest],
            [own[row] for row in rest],
            config.split_seed,
            (1 - INNER, INNER, 0.0),
        )
        if not inner:
            raise DataError(
                f"{len(labels):,} training texts are too few for {folds} folds: nothing is left to validate "
                "on. Add texts of each class."
            )
        unseen = {own[row] for row in held_out} | {own[rest[place]] for place in inner}
        tasks.append(
            Task(
                name=task.name,
                labels=task.labels,
                train=task.train.select([rest[place] for place in train]),
                validation=task.train.select([rest[place] for place in inner]),
                test=task.train.select(held_out),
                transfer=task.transfer.select([i for i, group in enumerate(transfer) if group not in unseen]),
                answers=task.answers,
            )
        )
    return tasks


def _parts(labels: list[int], groups: list[int], seed: int, folds: int) -> list[list[int]]:
    """Rows of each fold: each takes its share, class by class, of what the ones before it left."""
    parts, left = [], list(range(len(labels)))
    for waiting in range(folds, 1, -1):
        kept, _, taken = split_rows(
            [labels[row] for row in left],
            [groups[row] for row in left],
            seed,
            (1 - 1 / waiting, 0.0, 1 / waiting),
        )
        parts.append([left[place] for place in taken])
        left = sorted(left[place] for place in kept)
    return [*parts, left]


def _check_classes(names: tuple[str, ...], labels: list[int], groups: list[int], folds: int) -> None:
    texts: defaultdict[int, set[int]] = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        texts[label].add(group)
    label = min(sorted(texts), key=lambda label: len(texts[label]))
    if (count := len(texts[label])) < folds:
        advice = f"choose {count} folds, or add texts" if count > 1 else "add texts"
        raise DataError(
            f"The class {names[label]!r} has {count} different training {'text' if count == 1 else 'texts'}, "
            f"and each of {folds} folds needs one: {advice}."
        )
