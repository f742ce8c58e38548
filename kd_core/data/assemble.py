"""From rows to a task, wherever they came from, and what is checked on the way.

Rows are a DataFrame with the columns ``text`` and ``label`` (both str), and an index of 1-based line or row
numbers. Whatever is wrong either raises a ``DataError`` or adds a sentence to ``notes``.
"""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd
from datasets import Dataset

from kd_core.config import TaskConfig
from kd_core.data.columns import MAX_CLASSES
from kd_core.data.splits import SHARES, normalised, split_rows
from kd_core.data.task import Task, labelled, unlabelled
from kd_core.data.words import INVISIBLE
from kd_core.errors import DataError
from kd_core.system.formatting import counted
from kd_core.system.settings import shortened

MAX_CHARACTERS = 20_000
ENTITY = r"(&(?:#\d{2,6}|#x[0-9a-f]{2,5}|amp|lt|gt|quot|apos|nbsp);)"
MANY_ENTITIES = 0.01  # of the texts
MANY_NUMBERS = 10  # labels that are fractions: more are a scale, not classes
UNSEEN = "case, spaces or what cannot be seen"


def clean_texts(texts: pd.Series[str], source: str, notes: list[str]) -> pd.Series[str]:
    """Stripped and cut to ``MAX_CHARACTERS``, without those in which nothing can be seen."""
    texts = texts.str.strip()
    empty = _blank(texts)
    if empty.any():
        notes.append(f"{source}: {counted(int(empty.sum()), 'row')} without a text dropped.")
        texts = texts[~empty]
    entities = texts.str.extract(ENTITY, expand=False).dropna()
    if len(entities) > MANY_ENTITIES * len(texts):
        notes.append(
            f"{source}: {counted(len(entities), 'text')} with HTML entities such as {entities.iloc[0]}, "
            "which models read as several pieces; replace them (html.unescape in Python) here and where the "
            "model is used."
        )
    long = texts.str.len() > MAX_CHARACTERS
    if long.any():
        notes.append(
            f"{source}: {counted(int(long.sum()), 'text')} longer than {MAX_CHARACTERS:,} "
            "characters cut there."
        )
        texts = texts.str.slice(0, MAX_CHARACTERS)
    return texts


def clean_rows(
    rows: pd.DataFrame, source: str, config: TaskConfig, notes: list[str], *, held_out: bool = False
) -> tuple[pd.DataFrame, pd.Series[str]]:
    """The rows with a text and a label, and the texts without one that the teacher is to label.

    Of rows that are ``held_out`` to test on it labels none.
    Raises: DataError if no row is left, or if labels are blank and the config does not say what to do.
    """
    if rows.empty:
        raise DataError(f"{source} has no rows.")
    texts = clean_texts(rows["text"], source, notes)
    rows = rows.loc[texts.index].assign(text=texts)
    blank = _blank(rows["label"])
    unlabelled = rows.loc[blank & (config.label_empty and not held_out), "text"]
    if len(unlabelled):
        notes.append(f"{source}: {counted(len(unlabelled), 'row')} without a label kept as transfer texts.")
    elif blank.any():
        count, places = int(blank.sum()), rows.index[blank]
        if not config.drop_empty:
            listed = ", ".join(f"{place:,}" for place in places[:5]) + (", ..." if count > 5 else "")
            raise DataError(
                f"{source}: {count:,} of {counted(len(rows), 'row')} without a label "
                f"({rows.index.name or 'row'} {listed}). Fill them in, "
                + ("" if held_out else "let the teacher label them (--label-empty), ")
                + "or drop them (--drop-empty).",
                settings=("drop_empty",) if held_out else ("label_empty", "drop_empty"),
            )
        notes.append(f"{source}: {counted(count, 'row')} without a label dropped.")
    rows = rows[~blank]
    if rows.empty:
        raise DataError(f"{source} has no rows with both a text and a label.")
    return rows, unlabelled


def build_task(
    name: str,
    parts: Mapping[str, pd.DataFrame],
    transfer: Sequence[pd.Series[str]],
    config: TaskConfig,
    notes: list[str],
    label_order: Sequence[str] = (),
    *,
    chosen: bool = False,
) -> Task:
    """A task from clean rows; ``parts`` has ``train``, and may have ``test``, or ``validation`` and ``test``.

    What is missing is split off train: 60 % / 15 % / 25 %, or 80 % / 20 % where there is a test part; texts
    that differ only in case and white space stay together. Labels are in ``label_order`` or sorted. Those
    that were ``chosen`` by a teacher are kept all, however few texts they have.
    Raises: DataError if the labels or the splits cannot be used.
    """
    rows = pd.concat([part.assign(part=key) for key, part in parts.items()], ignore_index=True)
    rows["label"] = merge_labels(rows["label"], config.merge_labels, notes)
    # Texts with one number count as the same text.
    rows["key"] = pd.factorize(rows["text"].map(normalised))[0]
    rows = _without_overlap(rows, config.drop_overlap, notes)
    needed = 1 if chosen else 3 - len(set(parts) & {"validation", "test"})
    if config.drop_rare and not chosen:
        rows = _without_rare(rows, needed, notes)
    _note_contradictions(rows, notes)
    train = rows["part"] == "train"
    if not chosen and train.any():
        _check_seen(rows, train)
    _check_classes(rows[train], needed)

    used = set(rows["label"])
    order = dict.fromkeys(label.strip() for label in label_order)
    labels = [label for label in order if label in used or chosen] or sort_labels(used)
    rows["label"] = rows["label"].map({label: place for place, label in enumerate(labels)}).astype("int64")
    splits = _splits(rows, parts, config.split_seed)
    held_out = pd.concat([splits["validation"], splits["test"]])
    return Task(
        name=name,
        labels=tuple(labels),
        **{key: labelled(split["text"], split["label"]) for key, split in splits.items()},
        transfer=_transfer(transfer, held_out["text"], config, notes),
        notes=tuple(notes),
    )


def sort_labels(labels: Iterable[str]) -> list[str]:
    """By value if all are numbers, otherwise as text."""
    numbers = {label: _number(label) for label in labels}
    if None in numbers.values():
        return sorted(numbers)
    return sorted(numbers, key=lambda label: (numbers[label] or 0.0, label))


def merge_labels(labels: pd.Series[str], allowed: bool, notes: list[str]) -> pd.Series[str]:
    counts = {str(label): int(count) for label, count in labels.value_counts().items()}
    if len(counts) > MAX_CLASSES:
        raise DataError(
            f"The label column has {len(counts):,} different values, more than {MAX_CLASSES:,}: it looks "
            "like a column of texts or numbers. Choose another with --label-column."
        )
    variants: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        variants[normalised(label)].append(label)
    doubtful = [group for group in variants.values() if len(group) > 1]
    listed = "; ".join(
        ", ".join(f"{_spelled(label)} ({counts[label]:,})" for label in group) for group in doubtful[:5]
    ) + ("; ..." if len(doubtful) > 5 else "")
    if doubtful and not allowed:
        raise DataError(
            f"Some labels differ only in {UNSEEN}: {listed}. Merge them with --merge-labels, or correct "
            "the file.",
            settings=("merge_labels",),
        )
    if doubtful:
        notes.append(f"Labels that differ only in {UNSEEN} were merged: {listed}.")
    merged = labels.map({label: group[0].strip() for group in variants.values() for label in group})
    names = [group[0].strip() for group in variants.values()]
    _note_equal_numbers(names, notes)
    _note_a_scale(names, notes)
    return merged


def _blank(texts: pd.Series[str]) -> pd.Series[bool]:
    return texts.str.replace(INVISIBLE, "", regex=True).str.strip() == ""


def _spelled(label: str) -> str:
    """Quoted, with escapes for what would not be seen: an accent of its own, or an invisible character."""
    plain = unicodedata.is_normalized("NFC", label) and not INVISIBLE.search(label)
    return repr(label) if plain else ascii(label)


def _note_equal_numbers(labels: Sequence[str], notes: list[str]) -> None:
    by_value: defaultdict[float, list[str]] = defaultdict(list)
    for label in labels:
        if (value := _number(label)) is not None:
            by_value[value].append(label)
    for group in by_value.values():
        if len(group) > 1:
            notes.append(
                f"The labels {' and '.join(sorted(group))} are the same number, "
                "but count as different classes."
            )


def _note_a_scale(labels: Sequence[str], notes: list[str]) -> None:
    """A column of measurements is learned as classes that have nothing in common."""
    if shown := _scale(labels):
        notes.append(
            f"The {len(labels):,} labels are numbers, from {shown[0]} to {shown[-1]}. Each counts as a class "
            "of its own: that some are near each other is not learned. Better make a few ranges of them."
        )


def _scale(labels: Sequence[str]) -> Sequence[str]:
    """From the lowest to the highest where they are measurements, such as 3.7 (or 3,7); else none."""
    values = {label: _number(label.replace(",", ".")) for label in labels}
    numbers = [value for value in values.values() if value is not None]
    if len(labels) <= MANY_NUMBERS or len(numbers) < len(labels) or not any(value % 1 for value in numbers):
        return ()
    return sorted(labels, key=lambda label: values[label] or 0.0)


def _number(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _note_contradictions(rows: pd.DataFrame, notes: list[str]) -> None:
    pairs = rows[["key", "label"]].drop_duplicates()
    if count := int(pairs.loc[pairs["key"].duplicated(), "key"].nunique()):
        notes.append(f"{counted(count, 'text')} with more than one label, all kept.")


def _without_overlap(rows: pd.DataFrame, allowed: bool, notes: list[str]) -> pd.DataFrame:
    """Nothing that is validated or tested on is learned from, and nothing tested on is validated on."""
    for part, others in (("train", ["validation", "test"]), ("validation", ["test"])):
        own = rows["part"] == part
        shared = own & rows["key"].isin(rows.loc[rows["part"].isin(others), "key"])
        if not (count := int(shared.sum())):
            continue
        texts = f"{count:,} of {int(own.sum()):,} {part} texts"
        if part == "train" and count == own.sum() and not allowed:
            raise DataError(
                f"All {count:,} train texts occur in another part too: is the test file the file of training "
                "texts? Give other texts, or leave --test-file out, and a part is held out."
            )
        where = " or ".join(other for other in others if (rows["part"] == other).any())
        if not allowed:
            raise DataError(
                f"{texts} occur in {where} too. Drop them from {part} with --drop-overlap.",
                settings=("drop_overlap",),
            )
        notes.append(f"{texts} that occur in {where} too were dropped.")
        rows = rows[~shared]
    return rows


def _without_rare(rows: pd.DataFrame, needed: int, notes: list[str]) -> pd.DataFrame:
    """Without the classes that have fewer than ``needed`` training texts, in any part."""
    texts = rows.loc[rows["part"] == "train"].groupby("label")["key"].nunique()
    kept = rows["label"].isin(texts.index[texts >= needed])
    if len(rare := rows[~kept]):
        notes.append(
            f"Classes with fewer than {counted(needed, 'training text')} dropped: {_listed(rare['label'])} "
            f"({counted(len(rare), 'row')})."
        )
    for part in ("validation", "test"):
        own = rows["part"] == part
        if lost := int((own & ~kept).sum()):
            notes.append(
                f"{lost:,} of {int(own.sum()):,} {part} texts have such a class: they are not counted, and "
                "would all be answered wrongly."
            )
    return rows[kept]


def _check_classes(train: pd.DataFrame, needed: int) -> None:
    """Every class needs a text for each of the ``needed`` splits that are made of these rows."""
    texts = train.groupby("label")["key"].nunique()
    if len(texts) < 2:
        raise DataError(
            f"{'The only row has' if len(train) == 1 else f'All {len(train):,} rows have'} the label "
            f"{texts.index[0]!r}; a task needs at least two classes. "
            "Is it the right column? Choose another with --label-column."
            if len(texts)
            else "No training rows are left: all were dropped. Add texts of each class, in no other part."
        )
    if len(train) < 2 * needed:
        raise DataError(
            f"There are only {counted(len(train), 'labelled row')}; at least {2 * needed} are needed: "
            f"{counted(needed, 'different text')} for each of two classes."
        )
    rare = texts[texts < needed]
    if len(rare):
        listed = ", ".join(f"{label!r} has {count}" for label, count in rare.head(5).items())
        more = f", and {len(rare) - 5:,} more" if len(rare) > 5 else ""
        few = 2 * len(rare) < len(texts)
        if not few and (shown := _scale(list(texts.index))):
            raise DataError(
                f"The {len(texts):,} labels are numbers, from {shown[0]} to {shown[-1]}, and most have too "
                "few texts to be a class. Make a few ranges of them, or choose another column with "
                "--label-column."
            )
        raise DataError(
            f"Every class needs at least {counted(needed, 'different text')}, to be in all splits; "
            f"{listed}{more}. "
            + (
                f"Add texts, or drop {'it' if len(rare) == 1 else 'them'} with --drop-rare."
                if few
                else "Is it the right column? Choose another with --label-column, or add texts."
            ),
            settings=("drop_rare",) if few else (),
        )


def _check_seen(rows: pd.DataFrame, train: pd.Series[bool]) -> None:
    trained = set(rows.loc[train, "label"])
    for part, own in rows[~train].groupby("part", sort=False):
        if not set(own["label"]) & trained:
            raise DataError(
                f"No label of the {part} part occurs in training: it has {_listed(own['label'])}, where "
                f"training has {_listed(trained)}. Write them alike in both, or "
                "choose another --label-column."
            )
    if unseen := set(rows.loc[~train, "label"]) - set(rows.loc[train, "label"]):
        where = " and ".join(rows.loc[rows["label"].isin(unseen), "part"].unique())
        raise DataError(
            f"The {where} part has labels that never occur in training: {_listed(unseen)}. "
            "Add such training rows, or drop these with --drop-rare.",
            settings=("drop_rare",),
        )


def _listed(labels: Iterable[str]) -> str:
    shown = sort_labels(set(labels))
    return ", ".join(map(shortened, shown[:5])) + (", ..." if len(shown) > 5 else "")


def _splits(rows: pd.DataFrame, parts: Collection[str], seed: int) -> dict[str, pd.DataFrame]:
    splits = {part: rows[rows["part"] == part] for part in ("train", "validation", "test")}
    if "validation" not in parts:
        train = splits["train"]
        shares = (0.80, 0.20, 0.0) if "test" in parts else SHARES
        places = split_rows(train["label"].tolist(), train["key"].tolist(), seed, shares)
        made = {part: train.iloc[own] for part, own in zip(splits, places, strict=True)}
        splits = made | {part: splits[part] for part in parts if part != "train"}
    return splits


def _transfer(
    parts: Sequence[pd.Series[str]], held_out: pd.Series[str], config: TaskConfig, notes: list[str]
) -> Dataset:
    if not parts:
        return unlabelled([])
    texts = pd.concat(parts, ignore_index=True)
    keys = texts.map(normalised)
    known = keys.isin({normalised(text) for text in held_out})
    if known.any():
        occur = "occurs" if known.sum() == 1 else "occur"
        notes.append(
            f"{counted(int(known.sum()), 'transfer text')} dropped that {occur} in validation or test."
        )
    again = ~known & keys.duplicated()
    if again.any():
        repeats = counted(int(again.sum()), "transfer text")
        notes.append(f"{repeats} dropped that another repeats, but for case and white space.")
    texts = texts[~known & ~again]
    if len(texts) > config.transfer_texts:
        notes.append(f"{config.transfer_texts:,} of {len(texts):,} transfer texts are used.")
        texts = texts.sample(config.transfer_texts, random_state=config.split_seed).sort_index()
    return unlabelled(texts)
