"""Data, Doubtful labels: those that a run's teacher contradicts, to be marked; and a run with them mended."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kd_core.config import DistillConfig
from kd_core.data import uploads
from kd_core.data.spreadsheets import safe_csv
from kd_core.deployment import ask, mend
from kd_core.distillation.report import Report
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from kd_core.system.formatting import counted
from pages.shared import addresses, upload
from pages.shared.state import runner, store
from pages.shared.text import escape, plain_words, run_line

COLUMN = st.column_config


def suspects() -> None:
    st.write(
        "A person who labels a thousand texts gets some wrong, and a student learns the mistakes too. Where "
        "a teacher is sure of another class, look again. Mark a label as **wrong**, and it becomes the "
        "teacher's; as **right**, and it stays; or **drop** the text. Then start a run with what you have "
        "mended."
    )
    st.caption(
        "Of a teacher that is a file, all texts with a gold label are compared. One that was trained here "
        "has learned the training labels, mistakes included, so only validation and test texts are."
    )
    runs = {run.id: run for run in store().runs(kind="distil", status=("done",))}
    if not runs:
        st.info(
            "No run is done yet. When one is, the labels that its teacher contradicts appear here.",
            icon=":material/rule:",
        )
        st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
        return
    linked = st.query_params.get("run")
    chosen = st.selectbox(
        "Run",
        list(runs),
        index=list(runs).index(linked) if linked in runs else 0,
        format_func=lambda run: run_line(runs[run]),
        key="data.suspects_run",
        width=560,
    )
    try:
        found = _suspects(chosen, upload.stamp(DistillConfig.from_dict(runs[chosen].config).task))
        if found.empty:
            st.success(
                "The teacher contradicts none of the labels that it was asked about.", icon=":material/check:"
            )
            return
        marked = _marked(chosen, found)
        _either(store().report(chosen))
        _mend(runs[chosen], marked, len(found))
    except KDError as error:
        st.info(escape(plain_words(error)), icon=":material/info:")


@st.cache_data(max_entries=8, show_spinner="Comparing")
def _suspects(run_id: str, stamp: list[int]) -> pd.DataFrame:
    """Read once: each mark draws the page anew, and the task of a teacher's file is read with its texts."""
    return ask.suspects(run_id)


def _marked(run_id: str, found: pd.DataFrame) -> pd.DataFrame:
    """The table as it is edited; a click on a heading sorts it."""
    sure = found["sure"].notna().all()
    order = "the surest first" if sure else "in the order of the task: the teacher gave labels alone"
    st.markdown(f"**{counted(len(found), 'label')} that the teacher contradicts**, {order}")
    marked: pd.DataFrame = st.data_editor(
        found.assign(mark=pd.Series([None] * len(found), dtype="object")),
        hide_index=True,
        disabled=["text", "split", "label", "teacher", "sure"],
        key=f"data.suspects.{run_id}",
        placeholder="–",
        alt="Labels that the teacher contradicts, to be marked",
        height=min(460, 38 + 35 * len(found)),
        column_order=["mark", "text", "label", "teacher", *(["sure"] if sure else []), "split"],
        column_config={
            "mark": COLUMN.SelectboxColumn(
                "Mark", options=list(mend.MARKS), width=115, help="A click chooses; empty: not looked at yet"
            ),
            "text": COLUMN.TextColumn("Text", width="large"),
            "label": COLUMN.TextColumn("Label", width=110),
            "teacher": COLUMN.TextColumn("Teacher says", width=110),
            "sure": COLUMN.NumberColumn("Sure", format="%.1f %%", width=75),
            "split": COLUMN.TextColumn("Part", width=90),
        },
    )
    return marked


def _either(report: Report) -> None:
    """Most of many contradictions are the teacher's own mistakes."""
    if report.measures == "accuracy":
        st.caption(
            f"By its labels, the teacher is right on {formatting.percent(report.teacher.accuracy)} of the "
            f"{report.rows['test']:,} test texts. Where it contradicts one, either may be wrong: the teacher "
            "too, and even where it is sure."
        )


def _mend(run: RunRow, marked: pd.DataFrame, count: int) -> None:
    marks = {
        text: mark for text, mark in zip(marked["text"], marked["mark"], strict=True) if mark in mend.MARKS
    }
    changes = sum(mark != "right label" for mark in marks.values())
    with st.container(horizontal=True, vertical_alignment="center"):
        start = st.button(
            "Start a run with the mended labels",
            key="data.mend",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not changes,
            help="The same settings, and the task as you have marked it. It is kept among the tasks.",
        )
        st.download_button(
            "Download the table",
            safe_csv(marked.fillna({"mark": ""})),
            f"suspects-{run.id}.csv",
            "text/csv",
            key="data.suspects_csv",
            icon=":material/download:",
            on_click="ignore",
            help="With the marks so far. Filled in elsewhere, kd suspects RUN --marks FILE --to FOLDER "
            "takes it",
        )
        st.caption(f"{len(marks):,} of {count:,} marked, {counted(changes, 'text')} to be mended")
    if start:
        with st.spinner("Mending the task"):
            files, settings = mend.mended(run.id, marks)
            config = mend.again(run.id, uploads.save(files, settings).config)
        title = f"{run.title}, {counted(changes, 'text')} mended"
        run_id = runner().submit(config, title, token=f"mended {run.id} {config.task.name}")
        st.switch_page(addresses.DISTILL, query_params={"run": run_id})
