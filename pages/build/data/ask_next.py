"""Data, What to ask next: the texts of a pool whose answers would teach a student most, as a file."""

from __future__ import annotations

from typing import get_args

import pandas as pd
import streamlit as st

from kd_core.config import TaskConfig
from kd_core.data import load_task, uploads
from kd_core.data.bundled import TASKS
from kd_core.data.read import KINDS
from kd_core.data.spreadsheets import safe_csv
from kd_core.deployment import ask
from kd_core.errors import KDError
from kd_core.job_kinds import prepare
from kd_core.jobs.store import RunRow
from kd_core.system.formatting import counted
from pages.shared import addresses, upload
from pages.shared.state import store
from pages.shared.text import escape, plain_words, run_line

FILE = "A file of texts"
BY = {
    "spread": "Spread: the least sure of each group of like texts",
    "margin": "Margin: its first two answers are nearly as likely",
    "entropy": "Entropy: all of its answers are nearly as likely",
}


def ask_next() -> None:
    st.write(
        "Every answer of a large model costs something, and many say what a student knows already. "
        "Give a pool of texts that nobody has answered: a trained student says of which it is least "
        "sure, and these are the ones to send to the teacher or, where it was trained here, to label by "
        "hand. Put them into your file, and distill again."
    )
    runs = {run.id: run for run in store().runs(kind="distil", status=("done",))}
    if not runs:
        st.info(
            "No run is done yet. It takes a trained student to tell what it does not know: distill one from "
            "the answers that you have, a hundred say.",
            icon=":material/contact_support:",
        )
        st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
        return
    left, right = st.columns(2, gap="medium")
    chosen = left.selectbox(
        "Student of the run",
        list(runs),
        format_func=lambda run: run_line(runs[run]),
        key="data.ask_run",
    )
    saved = {task.id: task for task in uploads.saved()}
    pool = right.selectbox(
        "Pool",
        [FILE, *TASKS, *saved],
        format_func=lambda name: saved[name].name if name in saved else name,
        key="data.ask_pool",
        help="A file, or the training and transfer texts of a task, without those that the run knows",
    )
    file = table = column = None
    if pool == FILE:
        file = st.file_uploader(
            "Texts without answers",
            type=[*KINDS, ".txt"],
            key="data.ask_file",
            help="A column of texts or, in a .txt file, a text in each line",
        )
        if file:
            try:
                if table := upload.one_table(file, runs[chosen]):
                    column = upload.text_column(table, f"data.ask_column.{file.file_id}")
            except KDError as error:
                st.error(escape(_words(error)), icon=":material/error:")
    left, right = st.columns(2, gap="medium")
    count = left.number_input("How many texts", 1, 100_000, 100, key="data.ask_count")
    by = right.selectbox(
        "Chosen by",
        get_args(ask.By)[::-1],
        format_func=BY.__getitem__,
        key="data.ask_by",
        help="Spread avoids a hundred texts that are all alike",
    )
    asked = f"{chosen}-{pool}-{file.file_id if file else ''}-{column}-{count}-{by}"
    if st.button(
        "Choose the texts",
        key="data.ask",
        type="primary",
        icon=":material/filter_alt:",
        disabled=pool == FILE and column is None,
    ):
        try:
            with st.spinner("Asking the student"):
                if table and column:
                    texts = [text for text in table.frame[column].str.strip() if text]
                else:
                    texts = _task_texts(saved[pool].config if pool in saved else TaskConfig(name=pool))
                st.session_state["data.asked"] = asked, _choose(chosen, texts, int(count), by)
        except KDError as error:
            st.error(escape(_words(error)), icon=":material/error:")
    kept, result = st.session_state.get("data.asked", ("", None))
    if kept == asked:
        _show(runs[chosen], *result)
    elif pool == FILE and file is None:
        st.caption("The file stays on this machine; nothing is sent to anybody from here.")


def _task_texts(config: TaskConfig) -> list[str]:
    task = load_task(config)
    return [*task.train["text"][:], *task.transfer["text"][:]]


def _choose(run_id: str, texts: list[str], count: int, by: ask.By) -> tuple[list[str], int]:
    """The texts to ask about, and from how many new ones."""
    new = ask.unanswered(run_id, texts)
    prepare()
    from kd_core.deployment.forms import open_form  # torch comes with it

    places = ask.next_texts(open_form(run_id, "student", "pytorch"), new, count, by)
    return [new[place] for place in places], len(new)


def _show(run: RunRow, texts: list[str], new: int) -> None:
    table = pd.DataFrame({"text": texts})
    of_a_file = run.config["task"].get("knowledge")  # a teacher that was trained here would only guess
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download the texts",
            safe_csv(table),
            f"ask-{run.id}.csv",
            "text/csv",
            key="data.ask_csv",
            icon=":material/download:",
            on_click="ignore",
            help=f"A CSV file to {'send to the teacher' if of_a_file else 'label by hand'}",
        )
        st.caption(
            f"{len(texts):,} of {counted(new, 'new text')}, the least sure first. "
            + (
                "Add a column with the teacher's answers, and bring it as *Answers of a teacher*."
                if of_a_file
                else "Label them, add them to your labelled texts, and upload these as a task."
            )
        )
    st.dataframe(
        table,
        hide_index=True,
        key="data.ask_table",
        height=min(380, 38 + 35 * len(texts)),
        column_config={"text": st.column_config.TextColumn("Text", width="large")},
        alt="Texts that the teacher should answer next",
    )


def _words(error: KDError) -> str:
    return plain_words(error).replace("-n must", "The number of texts must")
