"""A task whose doubtful labels a person has looked at: the files of a run's task, mended."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from kd_core.config import OF_THE_RUN, DistillConfig, TaskConfig
from kd_core.data import load_task
from kd_core.data.splits import normalised
from kd_core.data.spreadsheets import safe_cell
from kd_core.data.uploads import Upload
from kd_core.deployment.ask import suspects
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import find
from kd_core.errors import ConfigError, DataError

if TYPE_CHECKING:  # datasets comes with it
    from kd_core.data.task import Task

Mark = Literal["wrong label", "right label", "drop"]
MARKS: tuple[Mark, ...] = get_args(Mark)
SPLITS = ("train", "validation", "test")
# What a run took of its task limits the next run again, not the files.
WHOLE = {"train_texts": 0, "transfer_texts": sys.maxsize}


def read_marks(table: pd.DataFrame, found: pd.DataFrame) -> dict[str, Mark]:
    """The marks by text, from a table of ``suspects`` with a column "mark", empty where nobody has decided.

    Raises: ConfigError for another mark, DataError for a text that is none of ``found``.
    """
    if missing := [name for name in ("text", "mark") if name not in table]:
        raise DataError(
            f"--marks needs a column {missing[0]!r}: write the table with kd suspects RUN --to FILE, and put "
            f"{', '.join(map(repr, MARKS))} or nothing into its column 'mark'."
        )
    # As a spreadsheet got them, and as it may have written them: it changes the ends of lines.
    written = {form: text for text in found["text"] for form in (text, str(safe_cell(text)))}
    changed = {normalised(form): text for form, text in written.items()}
    marks: dict[str, Mark] = {}
    for text, mark in zip(table["text"], table["mark"].fillna("").astype(str).str.strip(), strict=True):
        if not mark:
            continue
        if mark not in MARKS:
            raise ConfigError(f"a mark is {', '.join(map(repr, MARKS))} or empty, got {mark!r}; see --marks")
        known = written.get(text) or changed.get(normalised(text))
        if known is None:
            raise DataError(f"--marks has a text that is not among the doubtful ones: {text[:60]!r}.")
        marks[known] = mark
    return marks


def mended(run_id: str, marks: Mapping[str, Mark]) -> tuple[dict[str, Upload], TaskConfig]:
    """The run's task as files (by the fields of ``TaskConfig``), and the settings that read them.

    A text that is marked "wrong label" gets the label that the teacher gives it, one marked "drop" is left
    out; all others are as they were, those too that the run did not take, and test texts stay test texts.
    Raises: RunError, DataError.
    """
    config = DistillConfig.from_dict(Report.read(find(run_id)).config).task
    found = suspects(run_id).drop_duplicates("text").set_index("text")
    answers = {text: str(found.at[text, "teacher"]) for text, mark in marks.items() if mark == "wrong label"}
    dropped = {text for text, mark in marks.items() if mark == "drop"}
    task = load_task(config.model_copy(update=WHOLE))
    rows = {split: _rows(task, split, answers, dropped) for split in (*SPLITS, "transfer")}
    if task.answers is None:
        files = {"name": pd.concat([rows["train"], rows["validation"]]), "test_file": rows["test"]}
        settings = TaskConfig(text_column="text", label_column="label")
    else:
        if task.answers.gold == "test":  # the others have the teacher's choices for labels
            rows |= {split: rows[split].assign(label="") for split in ("train", "validation")}
        parts = [rows["train"], rows["validation"], rows["transfer"]]
        files = {"name": pd.concat(parts), "test_file": rows["test"]}
        files = {field: _answered(task, part) for field, part in files.items()}
        settings = TaskConfig(
            knowledge="answers.jsonl",
            text_column="text",
            label_column="label",
            answer_columns=tuple(name for name in files["name"] if name not in ("text", "label")),
            answers="labels" if task.answers.kind == "labels" else "logits",
            smoothing=config.smoothing,
        )
    if task.answers is None and len(rows["transfer"]):
        files["transfer_file"] = rows["transfer"][["text"]]
    stem = task.name[:30]
    names = {"name": f"{stem}-mended.jsonl", "test_file": "test.jsonl", "transfer_file": "transfer.jsonl"}
    return {field: Upload(names[field], _jsonl(part)) for field, part in files.items()}, settings


def again(run_id: str, task: TaskConfig) -> DistillConfig:
    """The run's settings, as they were resolved, for its mended task."""
    config = DistillConfig.from_dict(Report.read(find(run_id)).config)
    own = config.task.model_dump(mode="json", include=OF_THE_RUN)
    values = config.model_dump(mode="json") | {"task": {**task.model_dump(mode="json"), **own}}
    return DistillConfig.from_dict(values)


def _rows(task: Task, split: str, answers: Mapping[str, str], dropped: set[str]) -> pd.DataFrame:
    data = getattr(task, split)
    texts = data["text"][:]
    labels = [""] * len(texts) if split == "transfer" else [task.labels[label] for label in data["label"][:]]
    kept = [
        (text, answers.get(text, label) if label else "")
        for text, label in zip(texts, labels, strict=True)
        if text not in dropped
    ]
    return pd.DataFrame(kept, columns=["text", "label"])


def _answered(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """With the columns of a teacher that is a file."""
    assert task.answers is not None
    logits = task.answers.of(rows["text"])
    if task.answers.kind == "labels":
        return rows.assign(answer=np.array(task.labels)[logits.argmax(axis=1)])
    if taken := {"text", "label"} & set(task.labels):
        raise DataError(f"The class {min(taken)!r} has the name of a column; call it otherwise in the file.")
    shares = pd.DataFrame(logits.astype(float), rows.index, list(task.labels))
    return pd.concat([rows, shares], axis=1)  # by ``assign`` no class could be called self


def _jsonl(rows: pd.DataFrame) -> bytes:
    """No spreadsheet reads it, so a text stays as it is."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows.to_dict("records"))
    return "".join(f"{line}\n" for line in lines).encode()
