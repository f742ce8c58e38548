"""Trade-offs: a student that passes on what it is unsure of, and what the pair costs."""

from __future__ import annotations

from typing import get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kd_core import figures
from kd_core.deployment import cascade as engine
from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, Role
from kd_core.distillation.run_folder import PREDICTIONS, find
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared.charts import chart, is_dark
from pages.shared.state import store
from pages.shared.text import escape, run_line

METHODS = {"clopper_pearson": "With 95 % confidence", "conformal": "On average"}


def cascade() -> None:
    """One slider: in how many cases the pair is to agree with the teacher."""
    runs = {run.id: run for run in store().runs(kind="distil", status=("done",))}
    st.subheader("A cascade", anchor=False)
    st.markdown(
        "The student answers what it is sure of and passes the rest on to its teacher. **Say how often the "
        "pair is to agree with the teacher**; the threshold is found on the validation texts, and "
        "the promise "
        "is checked on the test texts."
    )
    left, right = st.columns([4, 7], gap="medium")
    with left.container(border=True):
        chosen = st.selectbox(
            "Run", list(runs), format_func=lambda run: run_line(runs[run]), key="tradeoffs.cascade_run"
        )
        percent = st.slider(
            "Agrees with the teacher, of all texts (%)",
            *(80.0, 99.5, 97.0, 0.5),
            key="tradeoffs.agree",
            bind="query-params",
        )
        method = st.segmented_control(
            "The promise holds",
            get_args(engine.Method),
            default="clopper_pearson",
            required=True,
            format_func=METHODS.__getitem__,
            key="tradeoffs.cascade_method",
        )
    try:
        _show(runs[chosen], percent / 100, method, left, right)
    except KDError as error:
        right.info(escape(error), icon=":material/info:")


def _show(
    run: RunRow, agree: float, method: engine.Method, left: DeltaGenerator, right: DeltaGenerator
) -> None:
    found = engine.cascade(run.id, agree, method)
    folder = find(run.id)
    report = Report.read(folder)
    shown: list[Role] = [who for who in ("student", "alone", "hard_answers") if who in report.models]
    curves = {who: engine.risk_coverage(engine.recorded(folder, report, PREDICTIONS, who)) for who in shown}
    with right:
        chart(
            figures.risk_coverage(curves, found.answered, dark=is_dark()),
            key="tradeoffs.risk_coverage",
            alt=f"Share of answers that differ from the teacher's, for {', '.join(NAMES[w] for w in shown)}",
        )
        st.markdown(f"**{escape(found.sentence)}**")
    with left:
        st.metric("Answered by the student", formatting.percent(found.answered), border=True)
        if found.latency_ms is not None:
            st.metric(
                "A text takes on average",
                formatting.milliseconds(found.latency_ms),
                border=True,
                help="The student is asked first. "
                f"The teacher alone: {formatting.milliseconds(found.teacher_ms)}",
            )
        st.caption(f"As a command: `kd cascade {run.id} --agree {100 * agree:g}`")
