"""Which columns of a file hold a teacher's answers, the gold labels and the texts: given, or guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kd_core.config import TaskConfig
from kd_core.data.columns import LABEL_NAMES, choose_text, refuse_nested
from kd_core.data.splits import normalised
from kd_core.data.table import Table
from kd_core.errors import DataError

GOLD_NAMES = ("gold|gold[ _.-]?labels?|true[ _.-]?labels?|ground[ _.-]?truth|truth|human", *LABEL_NAMES)
CHOICE_NAMES = (
    "(teacher|llm|model|predicted|gpt)?[ _.-]?(answers?|predictions?|choices?|labels?)|predicted|teacher"
)
_GOLD = "|".join(GOLD_NAMES)
TOLERANCE = 0.02  # by which the probabilities of a row may miss 1: two decimals, rounded
NO_CLASS = "(row[ _.-]?)?(id|index|idx|number)|confidence|score|tokens?|cost|length|time|seed"


@dataclass(frozen=True)
class Columns:
    """``answers``: class name -> its column; or one entry "" for a column with the chosen class."""

    text: str
    gold: str | None
    answers: dict[str, str]


def choose(table: Table, config: TaskConfig) -> Columns:
    """The columns given or, by their names and content, guessed. Raises: DataError."""
    there = list(table.frame.columns)
    for given, flag in ((config.text_column, "--text-column"), (config.label_column, "--label-column")):
        only_tested = flag == "--label-column" and config.test_file  # the test file alone may have it
        if given and given not in there and not only_tested:
            raise DataError(f"{table.name} has no column {given!r}; choose {flag} from {listed(there)}.")
    if missing := [name for name in config.answer_columns if name not in there]:
        what = f"column{'s' * (len(missing) > 1)} {listed(missing)}"
        raise DataError(f"{table.name} has no {what}; choose --answer-columns from {listed(there)}.")
    text = config.text_column or choose_text(table, None)
    given_for = {text: "text", config.label_column: "label"} | dict.fromkeys(config.answer_columns, "answer")
    for name, kind in given_for.items():
        refuse_nested(table, name or "", kind)
    others = [name for name in there if name != text and name not in table.nested]
    if not others:
        instead = f", in place of {listed(table.nested)}" if table.nested else ""
        raise DataError(
            f"{table.name} has no column for a teacher's answers beside that of the texts, {text!r}. Give "
            f"one a class, or one with its choice{instead}."
        )
    gold, chosen = config.label_column, list(config.answer_columns)
    if not chosen:
        numeric = [name for name in others if name != gold and _is_numeric(table.frame[name])]
        classes = _classes(
            table, numeric, gold or guess_gold([name for name in others if name not in numeric])
        )
        words = [
            name
            for name in others
            if name not in (gold, *classes) and (name not in numeric or not _is(NO_CLASS, name))
        ]
        if config.answers == "guess" and _are_of_something_else(table, classes, words):
            classes = []
        chosen = (_choice(words) if not classes or config.answers == "labels" else []) or classes
    if not chosen:
        raise DataError(
            f"Which columns of {table.name} hold the teacher's answers? Give --answer-columns, one a class "
            f"or one with its choice: {listed(others)}."
        )
    if gold is None:
        gold = guess_gold([name for name in others if name not in chosen])
    if len(chosen) == 1:
        return Columns(text, gold, {"": chosen[0]})
    said = set(table.frame[gold].map(normalised)) - {""} if gold in table.frame else set()
    as_named = bool(said) and said <= set(map(normalised, chosen))  # LABEL_0, say
    return Columns(text, gold, dict(zip(chosen if as_named else _without_affix(chosen), chosen, strict=True)))


def _classes(table: Table, numeric: Sequence[str], gold: str | None) -> list[str]:
    """The columns of numbers that are a class's, if several are. A "number" may be one or a row's, a "label"
    one or stars: what the labels are and what the numbers sum to tells."""
    named = set(table.frame[gold].str.strip()) if gold in table.frame else set()
    values = _numbers(table, numeric)

    def may_be_none(name: str) -> bool:
        is_label = _is(f"{CHOICE_NAMES}|{_GOLD}", name) and bool((values[name].dropna() % 1 == 0).all())
        return name not in named and (is_label or _is(NO_CLASS, name))

    found = list(numeric)
    rest = [name for name in found if not may_be_none(name)]
    if rest != found and (_shares(values) <= 0.5 or _shares(values) < _shares(values[rest])):
        found = rest
    return found if len(found) > 1 else []


def _are_of_something_else(table: Table, classes: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the numbers are likes and views, say, beside a column with the teacher's choices."""
    said = [name for name in words if _is(CHOICE_NAMES, name) and not _is(_GOLD, name)]
    if not (classes and said) or _shares(_numbers(table, classes)) > 0.5:
        return False
    names = {normalised(name) for name in _without_affix(classes)}
    return not any(names & set(table.frame[name].map(normalised)) for name in said)


def _shares(values: pd.DataFrame) -> float:
    """The part of the rows that sum to 1 or 100, as they are or as logarithms."""
    with np.errstate(over="ignore"):
        sums = np.stack([values.sum(axis=1), values.sum(axis=1) / 100, np.exp(values).sum(axis=1)])
    return float((np.abs(sums - 1) <= TOLERANCE).mean(axis=1).max())


def _choice(words: Sequence[str]) -> list[str]:
    """The column with the teacher's choice, if it can be told."""
    choice = [name for name in words if _is(CHOICE_NAMES, name)]
    if len(choice) > 1:  # "label" and "answer": the gold one is the other
        choice = [name for name in choice if not _is(GOLD_NAMES[-2], name)] or choice
    rest = [name for name in words if name != guess_gold(words)] or words
    return next((list(names) for names in (choice, rest) if len(names) == 1), [])


def guess_gold(columns: Sequence[str]) -> str | None:
    """The one whose name says that it has a person's labels."""
    fits = (name for names in GOLD_NAMES for name in columns if _is(names, name))
    return next(fits, None)


def _is(pattern: str, name: str) -> bool:
    return bool(re.fullmatch(pattern, name.casefold()))


def _numbers(table: Table, columns: Sequence[str]) -> pd.DataFrame:
    numbers: pd.DataFrame = table.frame[list(columns)].apply(pd.to_numeric, errors="coerce")
    return numbers


def _is_numeric(cells: pd.Series[str]) -> bool:
    given = cells[cells.str.strip() != ""]
    return bool(len(given)) and bool(pd.to_numeric(given, errors="coerce").notna().mean() > 0.5)


def _without_affix(columns: Sequence[str]) -> list[str]:
    """prob_sport, prob_tech -> sport, tech."""
    first, last = min(columns), max(columns)  # what these two share at the front, all do
    same = next((i for i, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), len(first))
    shared = re.sub(r"[^_.:\- ]*$", "", first[:same])
    stripped = [name.removeprefix(shared).strip() for name in columns]
    return stripped if all(stripped) else list(columns)


def listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
