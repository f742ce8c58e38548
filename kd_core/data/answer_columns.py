"""Which columns of a file hold a teacher's answers, the gold labels and the texts: given, or guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from kd_core.config import TaskConfig
from kd_core.data.columns import choose_text
from kd_core.data.read import LABEL_NAMES, Table
from kd_core.errors import DataError

GOLD_NAMES = ("gold|gold[ _.-]?labels?|true[ _.-]?labels?|ground[ _.-]?truth|truth|human", *LABEL_NAMES)
CHOICE_NAMES = (
    "(teacher|llm|model|predicted|gpt)?[ _.-]?(answers?|predictions?|choices?|labels?)|predicted|teacher"
)
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
        raise DataError(
            f"{table.name} has no column {listed(missing)}; choose --answer-columns from {listed(there)}."
        )
    text = config.text_column or choose_text(table, None)
    others = [name for name in there if name != text and name not in table.nested]
    gold, chosen = config.label_column, list(config.answer_columns)
    if not chosen:
        numeric = [
            name
            for name in others
            if name != gold and _is_numeric(table.frame[name]) and not re.fullmatch(NO_CLASS, name.casefold())
        ]
        chosen = numeric if len(numeric) > 1 else []
    if not chosen:
        words = [name for name in others if name not in (gold, *chosen)]
        choice = [name for name in words if re.fullmatch(CHOICE_NAMES, name.casefold())]
        if len(choice) > 1:  # "label" and "answer": the gold one is the other
            choice = [name for name in choice if not re.fullmatch(GOLD_NAMES[-2], name.casefold())] or choice
        chosen = choice if len(choice) == 1 else words if len(words) == 1 else []
    if not chosen:
        raise DataError(
            f"Which columns of {table.name} hold the teacher's answers? Give --answer-columns, one a class "
            f"or one with its choice: {listed(others)}."
        )
    if gold is None:
        gold = guess_gold([name for name in others if name not in chosen])
    if len(chosen) == 1:
        return Columns(text, gold, {"": chosen[0]})
    return Columns(text, gold, dict(zip(_without_affix(chosen), chosen, strict=True)))


def guess_gold(columns: Sequence[str]) -> str | None:
    """The one whose name says that it has a person's labels."""
    fits = (name for names in GOLD_NAMES for name in columns if re.fullmatch(names, name.casefold()))
    return next(fits, None)


def _is_numeric(cells: pd.Series[str]) -> bool:
    given = cells[cells.str.strip() != ""]
    return bool(len(given)) and bool(pd.to_numeric(given, errors="coerce").notna().mean() > 0.5)


def _without_affix(columns: Sequence[str]) -> list[str]:
    """prob_sport, prob_tech -> sport, tech."""
    first, last = min(columns), max(columns)  # what these two share at the front, all do
    same = next((i for i, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), len(first))
    shared = re.sub(r"[^_.:\- ]*$", "", first[:same])
    stripped = [name.removeprefix(shared) for name in columns]
    return stripped if all(stripped) else list(columns)


def listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
