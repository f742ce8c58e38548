"""Report, Fidelity: how closely the student follows its teacher, and the texts behind each number."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation import report_tables
from kd_core.distillation.metrics import wilson
from kd_core.distillation.report import Report
from kd_core.errors import RunError
from kd_core.jobs.store import RunRow
from kd_core.system import formatting, paths
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, term
from pages.shared.visitors import on_a_phone

LABELS = {
    "new_error": "New errors",
    "mended": "Mended",
    "inherited": "Inherited errors",
    "both_right": "Both right",
}


# Where the teacher's answers are all that there is to compare with.
SAME = {"new_error": "Another answer than the teacher's", "both_right": "The teacher's answer"}


def fidelity(run: RunRow, report: Report) -> None:
    counts = asdict(report.fidelity)
    judged = report.measures == "accuracy"
    labels = LABELS if judged else SAME
    left, right = st.columns(2)
    if judged:
        with left:
            chart(
                figures.four_way(report, dark=is_dark()),
                key="report.four_way",
                alt=", ".join(f"{label}: {counts[cell]:,} texts" for cell, label in labels.items()),
            )
    with (right if judged else left).container(horizontal=True):
        st.metric(
            "Agreement",
            formatting.percent(report.fidelity.agreement),
            formatting.plus_minus(
                report.fidelity.agreement, *wilson(report.fidelity.agreement, report.rows["test"])
            ),
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="How often the student's answer is the teacher's, right or wrong, with half of its 95 % "
            f"interval on {report.rows['test']:,} test texts",
        )
        if not report.teacher_gives_labels:  # else there are no probabilities to be near to
            st.metric(
                "Divergence",
                f"{report.fidelity.kl:.3f} nats",
                border=True,
                height="stretch",
                help=f"{term('KL divergence')} Here of the student from the teacher, at T = 1, the mean over "
                "the texts.",
            )
    for cell, label in labels.items() if judged else ():
        right.markdown(f"**{label}:** {report_tables.ABOUT_CELLS[cell]}")
    if len(report.config["training"]["seeds"]) > 1:
        right.caption("Of the first seed's student.")
    st.subheader("The texts behind each cell" if judged else "The texts behind these numbers", anchor=False)
    cell = st.segmented_control(
        "Cell",
        list(labels),
        default="new_error",
        required=True,
        format_func=lambda cell: f"{labels[cell]} ({counts[cell]:,})",
        key="report.cell",
        label_visibility="collapsed",
    )
    try:
        rows = _texts(run.id, "" if run.is_here else run.machine, report)
    except RunError as error:
        st.warning(escape(error), icon=":material/folder_off:")
        return
    shown = rows[rows["cell"] == cell].drop(columns="cell")
    if shown.empty:
        st.info("There is no such text.", icon=":material/check:")
        return
    sure = st.column_config.NumberColumn("Confidence", format="%.0f %%", width=95)
    st.dataframe(
        shown,
        hide_index=True,
        key="report.texts",
        column_config={
            "text": st.column_config.TextColumn("Text", width="medium" if on_a_phone() else 400),
            "truth": "True class" if judged else None,
            "teacher": "Teacher's answer",
            "teacher_sure": sure,
            "student": "Student's answer",
            "student_sure": sure,
        },
        alt=f"Test texts: {labels[cell]}",
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _texts(run_id: str, machine: str, _report: Report) -> pd.DataFrame:
    """``machine``: another one, that has the folder. Raises: RunError, where it is there, or gone."""
    folder = paths.runs() / run_id
    if not folder.is_dir():
        whereabouts = f"is on another machine, {machine}" if machine else "was removed from this machine"
        raise RunError(
            f"The folder of this run {whereabouts}, so its texts cannot be shown. Its numbers are above."
        )
    return report_tables.texts(folder, _report)
