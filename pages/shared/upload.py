"""The upload form: files, what is asked about them, and what they would give as a task."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from kd_core.config import TaskConfig
from kd_core.data import uploads
from kd_core.data.apart import read_file
from kd_core.data.columns import choose_text, refuse_nested
from kd_core.data.decode import encoding_previews
from kd_core.data.read import KINDS
from kd_core.data.summary import Summary
from kd_core.data.table import MAX_ROWS, Table
from kd_core.data.uploads import SavedTask, Upload
from kd_core.errors import DataError
from kd_core.jobs.store import RunRow
from kd_core.system import paths
from pages.shared.text import escape, plain_words

SEPARATORS = {"": "Detect", ",": "Commas", "tab": "Tabs", ";": "Semicolons", "|": "Bars"}
CONSENTS: tuple[str, ...] = ("label_empty", "drop_empty", "merge_labels", "drop_overlap", "drop_rare")
BLANK = {"label_empty": "The teacher labels them: they become transfer texts", "drop_empty": "Drop them"}

_read = st.cache_data(max_entries=4, show_spinner="Reading the file")(read_file)
_preview = st.cache_data(max_entries=8, show_spinner="Reading the file")(uploads.preview)
_checked = st.cache_data(
    max_entries=8,
    show_spinner="Checking the texts",
    hash_funcs={TaskConfig: TaskConfig.model_dump_json},
)(uploads.check)


def stamp(task: TaskConfig) -> list[int]:
    """Changes when one of the task's files does."""
    names = (task.name, task.knowledge, task.test_file, task.transfer_file)
    files = [paths.moved(paths.expanded(name)) for name in names if name]  # as what reads them does
    return [file.stat().st_mtime_ns for file in files if file.is_file()]


def choose_files(sample: Path | None = None) -> tuple[dict[str, Upload], str]:
    """The files by the field of ``TaskConfig`` that names them, and a token of the first one.

    ``sample`` stands for it while none is uploaded.
    """
    main = st.file_uploader(
        "File of labelled texts",
        type=[*KINDS, ".txt"],
        key="data.file",
        help=f"One row for each text, at most {MAX_ROWS:,} rows. It stays on this machine. A .txt file has "
        "a tab between text and label, or fastText's lines: __label__, the label, the text.",
    )
    st.caption("From a spreadsheet (.xlsx, .ods): save the sheet as CSV (UTF-8), and give that.")
    with st.expander(
        "Unlabelled texts, or test texts of your own, as further files", icon=":material/note_add:"
    ):
        test = st.file_uploader(
            "Own test file",
            type=[*KINDS, ".txt"],
            key="data.test_file",
            help="With the same columns. Without it, a quarter of the rows is kept apart for the test.",
        )
        transfer = st.file_uploader(
            "Transfer file",
            type=[*KINDS, ".txt"],
            key="data.transfer_file",
            help="Texts of the same kind without labels: the teacher labels them for the student. "
            "In a .txt file, each line is a text.",
        )
    uploaded = {"name": main, "test_file": test, "transfer_file": transfer}
    files = {field: Upload(file.name, file.getvalue()) for field, file in uploaded.items() if file}
    if sample and not main:
        return {"name": Upload(sample.name, sample.read_bytes()), **files}, sample.name
    return files, main.file_id if main else ""


def in_utf8(files: Mapping[str, Upload], token: str) -> dict[str, Upload] | None:
    """The files in UTF-8, or None while an encoding is still asked for. Raises: DataError."""
    readable: dict[str, Upload] = {}
    for field, upload in files.items():
        try:
            _preview(upload)
        except DataError as error:
            if "encoding" in error.settings and (readings := encoding_previews(upload.data)):
                encoding = _ask_encoding(error, readings, key=f"data.encoding.{field}.{token}")
                if not encoding:
                    return None
                upload = uploads.recoded(upload, encoding)
        readable[field] = upload
    return readable


def one_table(file: Any, run: RunRow) -> Table | None:
    """What an uploader's one file holds, a header of which may have the names of the columns of the ``run``'s
    task; None while an encoding is asked for. Raises: DataError."""
    readable = in_utf8({"name": Upload(file.name, file.getvalue())}, file.file_id)
    columns = tuple(filter(None, (run.config["task"].get(f"{what}_column") for what in ("text", "label"))))
    return _read(readable["name"].data, uploads.safe_name(file.name), columns=columns) if readable else None


def text_column(table: Table, key: str, container: Any = st) -> str | None:
    """The column that holds the texts, or None while it is asked for. Raises: DataError."""
    guess = None
    with suppress(DataError):  # where it cannot be guessed, the user chooses
        guess = choose_text(table, None)
    chosen = _column(container, "Text column", list(table.frame.columns), guess, key)
    if chosen:
        refuse_nested(table, chosen, "text")
    return chosen


def choose_columns(upload: Upload, token: str) -> TaskConfig | None:
    """The settings that read the file, or None while a column is still asked for. Raises: DataError."""
    separator, text_place, label_place = st.columns(3)
    delimiter = None
    if upload.name.lower().endswith((".csv", ".tsv")):
        delimiter = separator.selectbox(
            "Columns are separated by",
            list(SEPARATORS),
            format_func=lambda value: SEPARATORS.get(value, value),
            accept_new_options=True,
            key=f"data.delimiter.{token}",
            help="Choose, or type another character.",
        )
    preview = _preview(upload, delimiter or None)
    text = _column(text_place, "Text column", preview.columns, preview.text, f"data.text_column.{token}")
    label = _column(label_place, "Label column", preview.columns, preview.label, f"data.label_column.{token}")
    for note in preview.notes:
        st.caption(f":material/info: {escape(note)}")
    shown = len(preview.head)
    every = "The only row" if shown == 1 else f"All {shown} rows"
    st.caption(f"The first {shown} of {preview.rows:,} rows" if shown < preview.rows else every)
    st.dataframe(preview.head, key=f"data.preview.{token}", hide_index=True, alt="The first rows of the file")
    if not (text and label):
        question, missing = plain_words(DataError(preview.question or "")), "label" if text else "text"
        if (text or label) and preview.asked != f"{missing}_column":
            question = f"Choose the {missing} column too."
        if question:
            st.info(escape(question), icon=":material/help:")
        return None
    return TaskConfig(text_column=text, label_column=label, delimiter=delimiter or None)


def check(
    files: Mapping[str, Upload], settings: TaskConfig, token: str, consents: tuple[str, ...] = CONSENTS
) -> tuple[TaskConfig, Summary | None]:
    """The settings with what was agreed to, and the task, or None where something is in its way."""
    keys = {name: f"data.{name}.{token}" for name in consents}
    agreed = {name: bool(st.session_state.get(key)) for name, key in keys.items()}
    blank = f"data.blank.{token}"
    if way := st.session_state.get(blank):  # of two, so that one question asks for both
        agreed[way] = True
    settings = settings.model_copy(update=agreed)
    summary = None
    wanted: tuple[str, ...] = ()
    try:
        summary = _checked(files, settings)
    except DataError as error:
        wanted = tuple(name for name in error.settings if name in consents)
        show = st.warning if wanted else st.error
        show(escape(plain_words(error)), icon=":material/help:" if wanted else ":material/error:")
    apart = {"label_empty"}
    if way or "label_empty" in wanted:
        st.radio("Rows without a label", list(BLANK), index=None, format_func=BLANK.__getitem__, key=blank)
        if way != "label_empty":  # else those of a test file, which no teacher labels, have a switch
            apart.add("drop_empty")
    for name, key in keys.items():
        if name not in apart and (agreed[name] or name in wanted):
            st.toggle(str(TaskConfig.model_fields[name].description), key=key)
    return settings, summary


def offer(
    files: Mapping[str, Upload], settings: TaskConfig, token: str, label: str, key: str
) -> SavedTask | None:
    """The task under the name that it is given, once the button is pressed. Raises: DataError."""
    head, place, action = st.columns([2, 1, 1], vertical_alignment="bottom")
    head.subheader("What it gives as a task", anchor=False)
    file = Path(uploads.safe_name(files["name"].name))
    name = place.text_input(
        "Name of the task",
        file.stem,
        max_chars=40,
        key=f"data.name.{token}",
        help="What lists and reports call it. What is neither letter nor digit becomes a hyphen.",
    )
    if not action.button(label, key=key, type="primary", icon=":material/save:", width="stretch"):
        return None
    called = f"{name.strip().removesuffix(file.suffix) or file.stem}{file.suffix}"
    return uploads.save({**files, "name": replace(files["name"], name=called)}, settings)


def _ask_encoding(error: DataError, readings: Mapping[str, str], *, key: str) -> str | None:
    problem = str(error).partition(" Give its --encoding")[0]
    if not st.session_state.get(key):
        st.warning(f"{escape(problem)} Which of these lines reads right?", icon=":material/translate:")
    st.dataframe(
        {"Encoding": list(readings), "The line would read": list(readings.values())},
        key=f"{key}.readings",
        alt="What the line would read like in each encoding",
    )
    encoding: str | None = st.selectbox(
        "Encoding",
        list(readings),
        index=None,
        key=key,
        placeholder="Choose one, or type another such as cp1251",
        accept_new_options=True,
    )
    return encoding


def _column(container: Any, label: str, names: list[str], guess: str | None, key: str) -> str | None:
    chosen: str | None = container.selectbox(
        label,
        names,
        index=names.index(guess) if guess else None,
        key=key,
        placeholder="Choose a column",
    )
    return chosen
