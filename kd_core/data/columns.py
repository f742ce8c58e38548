"""From a table to the columns that matter: which holds the texts, and which the labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kd_core.data.table import Table
from kd_core.errors import DataError
from kd_core.system.formatting import counted

MAX_CLASSES = 1_000

# Column names that say what is in them, the surest first.
TEXT_NAMES = (
    "texts?|texte|文本",
    "sentence|content|review|body|comment|message|document|article|tweet|question|description|"
    "satz|inhalt|kommentar|phrase|contenu|avis|内容|句子|评论",
    r"(?!(?:is|has|num|len)[ _]).+[ _](?:text|body|content)",
    "headline|title|subject|titel|titre|标题",
)

LABEL_NAMES = (
    "labels?|标签",
    "class|category|target|sentiment|topic|intent|emotion|"
    "klasse|kategorie|classe|catégorie|étiquette|类别|分类",
    "ratings?|stars?|bewertung|sterne|评分|星级",
)


def choose_columns(table: Table, text: str | None, label: str | None) -> tuple[str, str]:
    """The columns given or, by their names and content, guessed.

    Raises: DataError if one given is missing, or if several could be meant.
    """
    columns = list(table.frame.columns)
    for given, kind in ((text, "text"), (label, "label")):
        if given is not None and given not in columns:
            listed = ", ".join(map(repr, columns))
            raise DataError(f"{table.name} has no column {given!r}; choose --{kind}-column from {listed}.")
    if text is not None and text == label:
        raise DataError(f"{text!r} cannot be both the column of texts and that of labels.")
    if len(columns) < 2:
        hint = " If the columns are separated in another way, give --delimiter." if table.delimiter else ""
        raise DataError(
            f"{table.name} has only the column {columns[0]!r}; a task needs texts and labels.{hint}"
        )
    free = [column for column in columns if column not in (text, label)]
    text = text or _by_name(table, free, TEXT_NAMES, "text")
    free = [column for column in free if column != text]
    label = label or _by_name(table, free, LABEL_NAMES, "label") or _few_values(table, free)
    text = text or _longest(table, [column for column in free if column != label])
    for column, kind in ((text, "text"), (label, "label")):
        refuse_nested(table, column, kind)
    return text, label


def choose_text(table: Table, text: str | None) -> str:
    """The column of texts: given, the only one, by its name, or clearly the longest. Raises: DataError."""
    columns = list(table.frame.columns)
    if text not in columns:
        text = columns[0] if len(columns) == 1 else _by_name(table, columns, TEXT_NAMES, "text")
    return text or _longest(table, columns)


def refuse_nested(table: Table, column: str, kind: str) -> None:
    if column in table.nested:
        raise DataError(
            f"The column {column!r} of {table.name} holds nested values (lists, objects or bytes), not text. "
            f"Flatten it, or choose another with --{kind}-column{'s' * (kind == 'answer')}."
        )


def _by_name(table: Table, columns: Sequence[str], patterns: Sequence[str], kind: str) -> str | None:
    for pattern in patterns:
        matches = [column for column in columns if re.fullmatch(pattern, column.casefold())]
        if len(matches) > 1:
            raise _ambiguous(table, matches, kind)
        if matches:
            return matches[0]
    return None


def _few_values(table: Table, columns: Sequence[str]) -> str:
    """The column of labels: the only one that is left, or the only one with few different values."""
    most = min(MAX_CLASSES, len(table.frame) // 2)
    few = [
        column
        for column in columns
        if len(columns) == 1 or (column not in table.nested and 2 <= table.frame[column].nunique() <= most)
    ]
    if len(few) != 1:
        raise _ambiguous(table, few or columns, "label")
    return few[0]


def _longest(table: Table, columns: Sequence[str]) -> str:
    lengths = {
        column: table.frame[column].str.len().mean() for column in columns if column not in table.nested
    }
    ranked = sorted(lengths, key=lambda column: lengths[column], reverse=True)
    if not ranked or (len(ranked) > 1 and lengths[ranked[0]] < 2 * lengths[ranked[1]]):
        raise _ambiguous(table, ranked or columns, "text")
    return ranked[0]


def _ambiguous(table: Table, columns: Sequence[str], kind: str) -> DataError:
    listed = ", ".join(map(repr, columns))
    if kind == "label":
        kinds = [table.frame[column].astype(str).nunique() for column in columns]
        listed = ", ".join(
            f"{column!r} ({counted(count, 'value')})" for column, count in zip(columns, kinds, strict=True)
        )
    return DataError(
        f"Which column of {table.name} holds the {kind}s? Give --{kind}-column: {listed}.",
        settings=(f"{kind}_column",),
    )
