"""Splits that keep together what belongs together."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from kd_core.data.words import INVISIBLE

TRAIN, VALIDATION, TEST = range(3)
SHARES = (0.60, 0.15, 0.25)


def normalised(text: str) -> str:
    """Texts that differ only in case, in white space, or in nothing that can be seen, are the same text."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", INVISIBLE.sub("", text))
    return " ".join(text.casefold().split())


def connected_groups(keys: Sequence[Collection[str]]) -> list[int]:
    """One group number per row; rows that share a key, directly or through other rows, have the same one.

    A group's number is the index of its first row.
    """
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first_with: dict[str, int] = {}
    for row, own in enumerate(keys):
        for key in own:
            low, high = sorted((root(row), root(first_with.setdefault(key, row))))
            parent[high] = low
    return [root(row) for row in range(len(keys))]


def split_rows(
    labels: Sequence[int],
    groups: Sequence[int],
    seed: int,
    shares: tuple[float, float, float] = SHARES,
) -> tuple[list[int], list[int], list[int]]:
    """Row indices of train, validation and test, each in shuffled order: a function of the arguments alone.

    Groups stay whole. Within each label, every group goes where most rows are missing from ``shares``
    (which sum to 1; a split with share 0 stays empty). Every label is in train. A label with at least three
    groups is in all three splits, unless its groups hold other labels too and those need them elsewhere.
    Raises: ValueError if ``labels`` and ``groups`` differ in length.
    """
    rows: defaultdict[int, list[int]] = defaultdict(list)
    counts: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for row, (label, group) in enumerate(zip(labels, groups, strict=True)):
        rows[group].append(row)
        counts[group][label] += 1
    order = sorted(rows)
    rng = random.Random(seed)
    rng.shuffle(order)
    # Groups of 2 % of the rows and more go first, so that the small ones even out the shares. Sorting all by
    # size would put every row that shares a group in train, whatever the seed.
    order.sort(key=lambda group: len(rows[group]) * 50 // len(labels), reverse=True)
    groups_of: defaultdict[int, list[int]] = defaultdict(list)
    for group in order:
        for label in counts[group]:
            groups_of[label].append(group)

    place: dict[int, int] = {}
    # Rare labels have the fewest ways to reach every split, so they choose first.
    for label in sorted(groups_of, key=lambda label: (len(groups_of[label]), label)):
        _place_label(label, groups_of[label], counts, shares, place)

    split: tuple[list[int], list[int], list[int]] = ([], [], [])
    for group in order:
        split[place[group]].extend(rows[group])
    for part in split:
        rng.shuffle(part)
    return split


def _place_label(
    label: int,
    own: list[int],
    counts: dict[int, Counter[int]],
    shares: tuple[float, float, float],
    place: dict[int, int],
) -> None:
    """Add to ``place`` the split of each group in ``own`` that has none yet."""
    total = sum(counts[group][label] for group in own)
    filled = [0, 0, 0]
    for group in own:
        if group in place:
            filled[place[group]] += counts[group][label]
    waiting = [group for group in own if group not in place]
    if not waiting and not filled[TRAIN]:
        place[own[-1]] = TRAIN  # other labels took all its groups away: the smallest one comes back
    for position, group in enumerate(waiting):
        used = [part for part in (TRAIN, VALIDATION, TEST) if shares[part] > 0]
        empty = [part for part in used if not filled[part]]
        if TRAIN in empty:
            used = [TRAIN]
        elif len(waiting) - position <= len(empty):
            used = empty
        part = max(used, key=lambda part: shares[part] * total - filled[part])
        place[group] = part
        filled[part] += counts[group][label]
