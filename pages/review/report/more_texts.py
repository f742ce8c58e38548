"""Report, Quality: whether more texts would help, measured on request."""

from __future__ import annotations

import streamlit as st

from kd_core.distillation.report import Report
from kd_core.errors import KDError, RunError
from kd_core.figures.curve import score_by_texts, score_in_words
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.search.curve import CurveConfig, CurveResult
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.live_job import job_view, jobs_about
from pages.shared.state import runner, store
from pages.shared.text import escape


def more_texts(run: RunRow, report: Report) -> None:
    """Nothing where no text can be left out."""
    try:
        plan = CurveResult.of(CurveConfig(run=run.id), report).plan
    except RunError:
        return
    jobs = jobs_about(run.id, "curve")
    newest = jobs[0] if jobs else None
    st.subheader("Would more texts help?", anchor=False)
    if newest is None or newest.status not in ("done", *PENDING):
        st.markdown(plan)
        if st.button("Find out", key="report.curve", icon=":material/ssid_chart:"):
            try:
                runner().submit(
                    CurveConfig(run=run.id),
                    f"More texts for {run.title}",
                    kind="curve",
                    token=f"curve {run.id} {len(jobs)}",
                )
            except KDError as error:
                st.error(escape(error), icon=":material/error:")
            else:
                st.rerun()
    if newest and newest.status != "done":
        job_view(newest, "report.curve_job")
    if newest:
        again(_result, newest.id, every=5 if newest.status in PENDING else None)


def _result(job_id: str) -> None:
    try:
        result = CurveResult.model_validate(store().report_json(job_id))
    except RunError:
        return  # no part is done yet
    if not result.parts:
        return
    if result.next is None:
        st.markdown(escape(result.sentence))
    kinds = [whole.kind for whole in result.whole if any(part.kind == whole.kind for part in result.parts)]
    for column, kind in zip(st.columns(2), kinds, strict=False):
        with column:
            chart(
                score_by_texts(result, kind, dark=is_dark()),
                key=f"report.curve.{kind}",
                alt=score_in_words(result, kind),
            )
