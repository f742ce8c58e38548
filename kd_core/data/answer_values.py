"""What a teacher that is a file says, as logits: probabilities, log-probabilities, logits or choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.config import AnswerKind, TaskConfig
from kd_core.data.answer_columns import TOLERANCE, Columns, listed
from kd_core.data.table import Table
from kd_core.errors import ConfigError, DataError
from kd_core.system.formatting import counted

FLOOR = 1e-6  # of a probability, before its logarithm: no class is impossible
LARGEST = float(np.finfo(np.float32).max)  # logit, as they are kept; nor is NaN one
SHOWN = 6  # columns, where a task has hundreds


def answer_logits(
    table: Table,
    columns: Columns,
    names: Sequence[str],
    rows: pd.DataFrame,
    config: TaskConfig,
    notes: list[str],
) -> tuple[AnswerKind, NDArray[np.float32]]:
    """The kind of the answers, and their logits (rows, classes). Raises: DataError, ConfigError."""
    frame = table.frame.loc[rows.index]
    if "" in columns.answers:
        if config.answers not in ("guess", "labels"):
            raise ConfigError(
                f"--answers {config.answers} needs a column for each class, and there is one: "
                f"{columns.answers['']!r}; give --answer-columns, or --answers labels"
            )
        return "labels", _of_choices(table, rows["choice"], names, config, notes)
    asked: str = config.answers
    if asked == "labels":
        raise ConfigError(
            f"--answers labels needs one column, got {len(columns.answers)}; give --answer-columns"
        )
    values = frame[list(columns.answers.values())].apply(pd.to_numeric, errors="coerce")
    broken = ~(np.abs(values.to_numpy(np.float64)) <= LARGEST)
    if broken.any():
        place, column = (int(i[0]) for i in np.nonzero(broken))
        raise DataError(
            f"{table.name}: {counted(int(broken.any(axis=1).sum()), 'row')} without a number for each class; "
            f"{at(rows, place)} has {frame.iloc[place][values.columns[column]]!r} for "
            f"{list(columns.answers)[column]!r}. Fill them in, or remove such rows."
        )
    read = list(columns.answers.values())
    which = f"of {listed(read[:SHOWN])}{', ...' if len(read) > SHOWN else ''}"
    kind, logits = _of_numbers(table.name, which, values.to_numpy(np.float64), rows, config, notes)
    guessed = " (guessed; --answers says otherwise)" if asked == "guess" else ""
    notes.append(
        f"{table.name}: the answers of {listed(list(columns.answers))} are read as "
        f"{kind.replace('_', '-')}{guessed}."
    )
    return kind, logits


def _of_choices(
    table: Table, chosen: pd.Series[str], names: Sequence[str], config: TaskConfig, notes: list[str]
) -> NDArray[np.float32]:
    if (chosen == "").any():
        line = chosen.index[chosen == ""][0]
        raise DataError(
            f"{table.name}: {counted(int((chosen == '').sum()), 'row')} without an answer, the first in "
            f"{chosen.index.name} {line:,}. Fill them in, or remove such rows."
        )
    notes.append(
        f"{table.name}: the teacher gives labels alone. They carry no dark knowledge: nothing says how "
        f"close the other classes were. Each has {1 - config.smoothing:g}, the others share "
        f"{config.smoothing:g} (--smoothing)."
    )
    hot = np.eye(len(names))
    of_class = _logarithms(hot * (1 - config.smoothing) + (1 - hot) * config.smoothing / (len(names) - 1))
    return of_class[chosen.map({name: place for place, name in enumerate(names)})]


def _of_numbers(
    source: str,
    which: str,
    values: NDArray[np.float64],
    rows: pd.DataFrame,
    config: TaskConfig,
    notes: list[str],
) -> tuple[AnswerKind, NDArray[np.float32]]:
    sums, log_sums = values.sum(axis=1), np.logaddexp.reduce(values, axis=1)
    if config.answers != "guess":
        kind: AnswerKind = config.answers
    elif (values <= 0).all() and (np.abs(log_sums) < 0.5).mean() > 0.5:
        kind = "log_probabilities"
    elif (values.min() < 0 or values.max() > 1) and not (_nearly_sums(sums, 1) or _nearly_sums(sums, 100)):
        kind = "logits"
    else:
        kind = "probabilities"
    if kind == "logits":
        return kind, values.astype(np.float32)
    if kind == "log_probabilities":
        values, sums = np.exp(values), np.exp(log_sums)
    if (values < 0).any():
        place = int((values < 0).any(axis=1).argmax())
        raise DataError(
            f"{source}: a probability is below 0 ({values[place].min():g} in {at(rows, place)}). If these "
            "are logits, say so with --answers logits."
        )
    off = np.abs(sums - 1) > TOLERANCE
    if off.any() and not config.normalise:
        place = int(off.argmax())
        if _nearly_sums(sums, 100):
            raise DataError(
                f"{source}: the answers look like percent ({at(rows, place)} sums to {sums[place]:g}). "
                "Divide them by their sum with --normalise.",
                settings=("normalise",),
            )
        raise DataError(
            f"{source}: the probabilities of {counted(int(off.sum()), 'row')} do not sum to 1 "
            f"({at(rows, place)}: {sums[place]:.3g}, {which}). Divide them by their sum with --normalise; "
            "or a class is missing, or they are logits (--answers logits).",
            settings=("normalise",),
        )
    if (sums <= 0).any():
        raise DataError(f"{source}: the answers in {at(rows, int((sums <= 0).argmax()))} are all 0.")
    if off.any():
        notes.append(
            f"{source}: {counted(int(off.sum()), 'answer')} divided by the sum, to be probabilities."
        )
    return kind, _logarithms(values / sums[:, None])


def _nearly_sums(sums: NDArray[np.float64], total: float) -> bool:
    """Whether most rows do."""
    return bool((np.abs(sums - total) <= TOLERANCE * total).mean() > 0.5)


def _logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.log(np.maximum(probabilities, FLOOR)).astype(np.float32)


def at(rows: pd.DataFrame, place: int) -> str:
    return f"{rows.index.name or 'row'} {rows.index[place]:,}"
