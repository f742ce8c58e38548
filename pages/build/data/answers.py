"""Data, Answers of a teacher: a file that any model has answered, as knowledge for a student."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from kd_core.config import TaskConfig
from kd_core.data import uploads
from kd_core.data.answer_columns import Columns, choose
from kd_core.data.apart import read_file
from kd_core.data.read import KINDS
from kd_core.data.uploads import Upload
from kd_core.errors import DataError, KDError
from kd_core.system.paths import app_folder
from pages.build.data.summary import show_task
from pages.shared import upload
from pages.shared.fields import field
from pages.shared.text import escape, plain_words

SAMPLES = app_folder() / "assets" / "samples"
KINDS_OF_FILE = {
    "answers-probabilities.csv": ("Probabilities", "300 made-up messages, a probability for each class"),
    "answers-some-gold.csv": ("Some gold labels", "The same, and a person's label for 120 of them"),
    "answers-labels.csv": ("Labels alone", "The same, with the teacher's choice and nothing else"),
}
CONSENTS = ("normalise", "merge_labels", "drop_overlap", "drop_rare")
NONE = "none"


def answers_of_a_teacher(show_saved: Callable[[str], None]) -> None:
    """``show_saved(id)`` shows a task that was kept."""
    st.write(
        "A file of texts that a model has answered already, say a large language model: one column of "
        "probabilities, log-probabilities or logits for each class, or one column with the class that it "
        "chose. Gold labels are welcome for any part of the rows. No teacher is taught then: a student "
        "learns from the answers. The file stays on this machine."
    )
    files, token = _files()
    if not files:
        return
    try:
        readable = upload.in_utf8(files, token)
        settings = _settings(readable["name"], token) if readable else None
        if readable and settings:
            settings, summary = upload.check(readable, settings, token, CONSENTS)
            if summary:
                task = upload.offer(readable, settings, token, "Save these answers", "data.save_answers")
                if task:
                    show_saved(task.id)
                show_task(summary, key="data.answers")
    except KDError as error:
        st.error(escape(plain_words(error)), icon=":material/error:")


def _files() -> tuple[dict[str, Upload], str]:
    """The files by the field of ``TaskConfig`` that names them, and a token of the first one."""
    with st.container(horizontal=True, vertical_alignment="center", key="data.answer_samples"):
        st.caption("Try one:", width="content")
        for name, (label, about) in KINDS_OF_FILE.items():
            if st.button(label, key=f"data.sample.{name}", help=about):
                st.session_state["data.answers_sample"] = name
    main = st.file_uploader("File of texts and answers", type=list(KINDS), key="data.answers_file")
    with st.expander("A test file, if you have one", icon=":material/note_add:"):
        test = st.file_uploader(
            "Own test file with answers",
            type=list(KINDS),
            key="data.answers_test",
            help="With the same columns. With gold labels, students are judged by these.",
        )
    sample = st.session_state.get("data.answers_sample")
    files = {}
    if main:
        files["name"] = Upload(main.name, main.getvalue())
    elif sample in KINDS_OF_FILE:
        files["name"] = Upload(sample, (SAMPLES / sample).read_bytes())
    if test and files:
        files["test_file"] = Upload(test.name, test.getvalue())
    return files, main.file_id if main else str(sample)


@st.cache_data(max_entries=8, show_spinner="Reading the file")
def _look_at(file: Upload) -> tuple[pd.DataFrame, int, Columns | None, str]:
    """The first rows, the number of all, the columns that they seem to be, and what is to be asked.

    Raises: DataError.
    """
    table = read_file(file.data, uploads.safe_name(file.name))
    shown, rows = table.frame.head(uploads.PREVIEW_ROWS), len(table.frame)
    try:
        return shown, rows, choose(table, TaskConfig()), "Choose the columns."
    except DataError as error:
        return shown, rows, None, str(error)


def _settings(file: Upload, token: str) -> TaskConfig | None:
    """The settings that read the file, or None while columns are still asked for. Raises: DataError."""
    shown, rows, guess, question = _look_at(file)
    names = list(shown.columns)
    text_place, answer_place, gold_place, kind_place = st.columns([2, 4, 2, 2])
    text = text_place.selectbox(
        "Text column",
        names,
        index=names.index(guess.text) if guess else None,
        key=f"data.answers_text.{token}",
    )
    chosen = answer_place.multiselect(
        "Columns of answers",
        names,
        default=list(guess.answers.values()) if guess else None,
        key=f"data.answer_columns.{token}",
        help="One for each class, or one with the class that the teacher chose",
    )
    gold = gold_place.selectbox(
        "Gold labels",
        [NONE, *names],
        index=names.index(guess.gold) + 1 if guess and guess.gold else 0,
        key=f"data.gold.{token}",
        help="The column with a person's labels, which may be empty for any part of the rows",
    )
    kind = field(
        TaskConfig,
        "answers",
        key=f"data.kind.{token}",
        label="The answers are",
        container=kind_place,
        bind=None,
        format_func=lambda kind: {"guess": "what they look like"}.get(kind, kind.replace("_", " ")),
    )
    smoothing = TaskConfig().smoothing
    if len(chosen) == 1:
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.5,
            smoothing,
            0.05,
            key=f"data.smoothing.{token}",
            help="What the classes share that the teacher did not choose",
        )
    st.caption(f"The first {len(shown)} of {rows:,} rows")
    st.dataframe(shown, key=f"data.answers_head.{token}", hide_index=True, alt="The first rows of the file")
    if not (text and chosen):
        st.info(escape(plain_words(DataError(question))), icon=":material/help:")
        return None
    return TaskConfig(
        knowledge=file.name,
        text_column=text,
        label_column=None if gold == NONE else gold,
        gold="none" if gold == NONE else "any",
        answer_columns=tuple(chosen),
        answers=kind,
        smoothing=smoothing,
    )
