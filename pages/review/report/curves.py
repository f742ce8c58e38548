"""Report, Curves: how the models of the run learned."""

from __future__ import annotations

import streamlit as st

from kd_core import figures
from kd_core.distillation import report_tables, roles
from kd_core.distillation.report import Report
from kd_core.jobs.store import RunRow
from pages.shared.charts import chart, is_dark
from pages.shared.state import store


def curves(run: RunRow, report: Report) -> None:
    curve, evaluations = store().curve(run.id), store().evaluations(run.id)
    trained = [who for who in report.models if (curve["who"] == who).any()]
    if not trained:
        st.info("The curves of this run were not recorded in this database.", icon=":material/show_chart:")
        return
    evaluations, measure = report_tables.validation_scores(
        evaluations, report.metric, chosen=report.learns_choices
    )
    validation, loss = st.columns(2)
    with validation:
        level = report_tables.teacher_validation(evaluations, report.config)
        chart(
            figures.validation_curves(evaluations, level, measure=measure, dark=is_dark()),
            key="report.validation_curves",
            alt=f"Validation {measure} of each model over the training steps",
        )
        drawn = set(evaluations["who"])
        if cached := [roles.NAMES[who] for who in report.models if who not in {*drawn, roles.FLOOR}]:
            st.caption(f"From the cache, so without a curve here: {', '.join(cached).lower()}.")
    with loss:
        container = st.container()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            who = st.segmented_control(
                "Model",
                trained,
                default="student" if "student" in trained else trained[0],
                required=True,
                format_func=roles.SHORT_NAMES.__getitem__,
                key="report.curve_model",
            )
            log = st.toggle("Log scale", key="report.log")
        with container:
            chart(
                figures.loss_curves(curve, who=who, log=log, dark=is_dark()),
                key="report.loss_curves",
                alt=f"Training loss over the steps: {roles.NAMES[who]}",
            )
