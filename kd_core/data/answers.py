"""A teacher that is a file: texts with the answers of any model, a large language model say.

Answers are one column a class (probabilities, log-probabilities or logits) or one column with the chosen
class. Rows that have a gold label are the labelled ones, the others the transfer set; where none has one, the
teacher's choices stand for labels, and what is measured is agreement.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset
from numpy.typing import NDArray

from kd_core.config import Gold, TaskConfig
from kd_core.data.answer_columns import Columns, choose, guess_gold, listed
from kd_core.data.answer_values import answer_logits, at
from kd_core.data.assemble import UNSEEN, build_task, clean_texts, merge_labels, sort_labels
from kd_core.data.decode import existing_file
from kd_core.data.files import read_own
from kd_core.data.foreign import advice
from kd_core.data.read import KINDS
from kd_core.data.splits import normalised
from kd_core.data.spreadsheets import without_apostrophe
from kd_core.data.table import Table
from kd_core.data.task import Answers, Task
from kd_core.errors import ConfigError, DataError
from kd_core.system.formatting import counted
from kd_core.system.paths import existing_folder

MIN_ROWS = 20


def load_answers(config: TaskConfig) -> Task:
    """The file ``config.knowledge`` as a task whose teacher has answered already.

    Raises: DataError, ConfigError, naming the flag that helps.
    """
    if config.transfer_file:
        raise ConfigError(
            "--transfer-file has no answers of a teacher; put its texts into the file of --knowledge, "
            "without a gold label"
        )
    _check_file(config.knowledge or "")
    notes: list[str] = []
    table = _read(config.knowledge or "", config, notes)
    columns = choose(table, config)
    rows = _rows(table, columns, config, notes, [name for name in columns.answers if name])
    gold_here = config.gold in ("any", "rows") and bool((rows["label"] != "").any())
    names = _class_names(table, columns, rows if gold_here else rows.assign(label=""))
    kind, logits = answer_logits(table, columns, names, rows, config, notes)
    if len(rows) < MIN_ROWS:
        raise DataError(
            f"{table.name} has {counted(len(rows), 'text')} with an answer; give at least {MIN_ROWS}."
        )
    rows, logits = _without_repeats(table, rows, logits, notes)

    choices = np.array(names)[logits.argmax(axis=1)]
    if not gold_here and (choices == choices[0]).all():
        raise DataError(
            f"{table.name}: of all {len(rows):,} texts the teacher says {str(choices[0])!r}; a task needs at "
            "least two classes. Are these its answers? Choose others with --answer-columns."
        )
    known = rows["label"] != ""
    rows = rows[["text", "label"]]
    parts = {"train": rows[known] if gold_here else rows.assign(label=choices)}
    transfer = [rows.loc[~known, "text"]] if gold_here else []
    gold: Gold = "rows" if gold_here else "none"
    if config.test_file:
        test, test_logits, gold = _test_rows(config, columns, names, gold, notes)
        parts["test"] = test
        rows, logits = pd.concat([rows, test]), np.concatenate([logits, test_logits])
    _note_gold(gold, int(known.sum()) if gold_here else 0, int((~known).sum()), notes)
    _check_gold(config, gold)
    if gold_here:
        _check_classes(names, set(rows["label"]))
    task = build_task(
        Path(config.knowledge or "").stem, parts, transfer, config, notes, names, chosen=not gold_here
    )
    by_text = {normalised(text): row for row, text in enumerate(rows["text"])}
    return _with_answers(task, Answers(by_text, logits, kind, gold), names)


def _with_answers(task: Task, answers: Answers, names: Sequence[str]) -> Task:
    """The task with the answers for its own classes: of ``names`` it may have dropped some (--drop-rare).

    Where the teacher chooses one of those, a transfer text is of no class here, and of labels alone nothing
    is left to learn: such rows go too. Raises: DataError where a class loses all its training texts.
    """
    places = [names.index(label) for label in task.labels]
    parts: dict[str, Dataset] = {}
    lost = 0
    if len(places) < len(names):
        known = np.isin(answers.logits.argmax(axis=1), places)
        for part in ("transfer", *(("train", "validation", "test") if answers.kind == "labels" else ())):
            split = getattr(task, part)
            kept = [row for row, text in enumerate(split["text"][:]) if known[answers.rows[normalised(text)]]]
            lost += len(split) - len(kept)
            parts[part] = split.select(kept)
    if lost:
        said = f"{counted(lost, 'text')} for which the teacher chooses a dropped class dropped too."
        task = replace(task, **parts, notes=(*task.notes, said))
        _check_classes(task.labels, {task.labels[label] for label in task.train["label"][:]})
    return replace(task, answers=replace(answers, logits=answers.logits[:, places]))


def _check_file(file: str) -> None:
    """Raises: DataError for what a person might take for a file of answers: a task, a data set, a folder."""
    if Path(file).suffix.lower() not in KINDS or existing_folder(file):
        raise DataError(
            f"--knowledge must be a file of texts and a teacher's answers ({', '.join(KINDS)}), got "
            f"{file!r}. {advice(file) or 'For a bundled task, a Hub data set or labelled texts give --task.'}"
        )
    existing_file(file, "--knowledge")


def _read(file: str, config: TaskConfig, notes: list[str]) -> Table:
    columns = [name for name in (config.text_column, config.label_column, *config.answer_columns) if name]
    return read_own(file, config, columns, notes)


def _rows(
    table: Table, columns: Columns, config: TaskConfig, notes: list[str], names: Sequence[str]
) -> pd.DataFrame:
    """text, label (gold; "" where there is none), and a choice where the file has choices, by line.

    Where labels may be merged, they are spelled as ``names``, the classes as far as they are known.
    """
    written = clean_texts(table.frame[columns.text], table.name, notes)
    texts = written.map(without_apostrophe)  # the texts to answer came from kd ask, say
    if count := int((texts != written).sum()):
        notes.append(
            f"{table.name}: {counted(count, 'text')} read without the apostrophe that keeps a spreadsheet "
            "from running it as a formula."
        )
    frame = table.frame.loc[texts.index]
    if frame.empty:
        raise DataError(f"{table.name} has no rows with a text.")
    gold = pd.Series("", index=frame.index)
    if columns.gold in frame:
        # Gold labels of a test file alone may be written as the columns, whose affix is not a class's.
        named = {column: name for name, column in columns.answers.items() if name}
        gold = frame[columns.gold].str.strip().map(lambda label: named.get(label, label))
    rows = pd.DataFrame({"text": texts, "label": gold})
    if "" in columns.answers:  # a large language model writes Sport and sport
        written = pd.concat([frame[columns.answers[""]].str.strip(), gold])
        written[written != ""] = merge_labels(written[written != ""], config.merge_labels, notes)
        rows["choice"], rows["label"] = written.iloc[: len(rows)], written.iloc[len(rows) :]
    if config.merge_labels:
        spelled = {normalised(name): name for name in names} | {name: name for name in names}
        for column in rows.columns.drop("text"):
            written = rows[column]
            rows[column] = [spelled.get(label, spelled.get(normalised(label), label)) for label in written]
            if count := int((rows[column] != written).sum()):
                notes.append(f"{table.name}: {counted(count, column)} spelled as the class now.")
    return rows


def _no_class(says: str, label: str, names: Sequence[str]) -> DataError:
    """With what helps where ``label`` is a class that is just written otherwise."""
    if normalised(label) not in map(normalised, names):
        return DataError(says)
    says += f" It differs from a class only in {UNSEEN}: merge them with --merge-labels."
    return DataError(says, settings=("merge_labels",))


def _class_names(table: Table, columns: Columns, rows: pd.DataFrame) -> list[str]:
    """The classes in the order of the answers. Raises: DataError where gold labels are none of them."""
    gold = sort_labels(set(rows["label"]) - {""})
    if "" in columns.answers:
        names = sort_labels({*rows["choice"], *gold} - {""})
        if len(names) < 2:
            raise DataError(
                f"All answers in the column {columns.answers['']!r} of {table.name} are {names[0]!r}; a "
                "task needs at least two classes. Choose another with --answer-columns."
                if names
                else f"The column {columns.answers['']!r} of {table.name} is empty."
            )
        return names
    names = list(columns.answers)
    if unknown := [label for label in gold if label not in names]:
        says = (
            f"{table.name}: the gold label {unknown[0]!r} has no column of answers; they are for "
            f"{listed(names)}. Name the columns as the labels are written, choose them with "
            "--answer-columns, or leave the gold labels out with --gold none."
        )
        raise _no_class(says, unknown[0], names)
    return names


def _check_classes(names: Sequence[str], gold: Set[str]) -> None:
    if missing := [name for name in names if name not in gold]:
        raise DataError(
            f"No text has the gold label {missing[0]!r}, a class of the teacher's answers. Label such "
            "texts, or leave the gold labels out with --gold none."
        )


def _without_repeats(
    table: Table, rows: pd.DataFrame, logits: NDArray[np.float32], notes: list[str]
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Each text once. Raises: DataError where the teacher answers one in two ways."""
    keys = rows["text"].map(normalised)
    first = keys.map({key: place for place, key in reversed(list(enumerate(keys)))}).to_numpy()
    other = (np.abs(logits - logits[first]) > 1e-4).any(axis=1)
    if other.any():
        place = int(other.argmax())
        raise DataError(
            f"{table.name}: {counted(int(other.sum()), 'text')} with two answers; the text of "
            f"{at(rows, int(first[place]))} has another in {at(rows, place)}. Keep one of them."
        )
    again = (first != np.arange(len(rows))) & (rows["label"].to_numpy() == rows["label"].to_numpy()[first])
    if again.any():
        notes.append(f"{table.name}: {counted(int(again.sum()), 'row')} that repeat another dropped.")
    return rows[~again], logits[~again]


def _test_rows(
    config: TaskConfig, columns: Columns, names: Sequence[str], gold: Gold, notes: list[str]
) -> tuple[pd.DataFrame, NDArray[np.float32], Gold]:
    """The rows of ``config.test_file``, their answers, and where gold labels are now known to be."""
    table = _read(config.test_file or "", config, notes)
    needed = [columns.text, *columns.answers.values()]
    if missing := [name for name in needed if name not in table.frame]:
        what = f"column{'s' * (len(missing) > 1)} {listed(missing)}"
        raise DataError(
            f"{table.name} has no {what}: the test file needs the teacher's answers too, in the same columns."
        )
    if config.label_column and config.label_column not in table.frame:
        raise DataError(
            f"{table.name} has no column {config.label_column!r}; choose --label-column from "
            f"{listed(list(table.frame.columns))}."
        )
    if columns.gold not in table.frame:  # that of the test file may have another name
        free = [str(name) for name in table.frame if name not in needed]
        columns = Columns(columns.text, guess_gold(free), columns.answers)
    rows = _rows(table, columns, config, notes, names)
    gold_labels = rows["label"] if config.gold != "none" else ()
    for what, labels in (("answer", rows.get("choice", ())), ("gold label", gold_labels)):
        if unknown := set(labels) - {*names, ""}:
            says = f"{table.name}: the {what} {min(unknown)!r} is none of the classes {listed(names)}."
            raise _no_class(says, min(unknown), names)
    _, logits = answer_logits(table, columns, names, rows, config, notes)
    rows, logits = _without_repeats(table, rows, logits, notes)
    known = (rows["label"] != "").to_numpy()
    if not known.any() or config.gold == "none":
        if gold == "rows":
            raise DataError(
                f"{table.name} has no gold labels, and {Path(config.knowledge or '').name} has. Add them, "
                "or leave them out with --gold none."
            )
        rows = rows[["text"]].assign(label=np.array(names)[logits.argmax(axis=1)])
        return rows, logits, "none"
    if not known.all():
        notes.append(f"{table.name}: {counted(int((~known).sum()), 'row')} without a gold label dropped.")
    return rows.loc[known, ["text", "label"]], logits[known], "rows" if gold == "rows" else "test"


def _note_gold(gold: Gold, known: int, rest: int, notes: list[str]) -> None:
    others = f"the other {rest:,} are the transfer set" if rest else "no other is left as a transfer set"
    notes.append(
        {
            "rows": f"{counted(known, 'row')} with a gold label; {others}.",
            "test": "Gold labels are in the test file alone: students learn from the teacher's choices, and "
            "are judged by the gold labels.",
            "none": "There are no gold labels: the teacher's choices stand for them, and what is measured is "
            "agreement with the teacher.",
        }[gold]
    )


def _check_gold(config: TaskConfig, gold: Gold) -> None:
    """Raises: DataError where gold labels were asked for and are not there."""
    if config.gold not in ("any", gold):
        where = {"rows": "rows with a gold label", "test": "a test file with gold labels"}[config.gold]
        raise DataError(f"--gold {config.gold} needs {where}; give --label-column, or leave --gold out.")
