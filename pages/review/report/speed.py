"""Report, Speed: latency with its conditions, and where the run's own time went."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kd_core.distillation import events, report_times, roles
from kd_core.distillation.events import STAGES
from kd_core.distillation.report import Report
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.review.report.benchmark import benchmark
from pages.shared.text import escape, term


def speed(run: RunRow, report: Report) -> None:
    pair: tuple[roles.Role, ...] = ("teacher", "student")
    timed = {who: times for who in pair if (times := report.models[who].latency_ms)}  # a file has none
    for column, (who, times) in zip(st.columns(2), timed.items(), strict=False):
        with column.container(border=True):
            st.markdown(f"**{roles.NAMES[who]}**", help=term(who))
            with st.container(horizontal=True):
                st.metric("Median (p50)", formatting.milliseconds(times.p50), help=term("latency"))
                st.metric("p95", formatting.milliseconds(times.p95), help=term("p50 and p95"))
                st.metric(
                    "Texts per second",
                    f"{1000 / times.p50:,.0f}",
                    help="Of one thread, one text after the other, at the median time; batches are faster. "
                    "Capacity counts with the mean, which is longer",
                )
    st.caption(escape(report_times.latency_conditions(report)))
    benchmark(run, report)
    st.subheader("Where the time of this run went", anchor=False)
    reused = ["from the cache" if report.cached.get(stage) else "" for stage in STAGES]
    if report.teacher_is_file:
        reused[STAGES.index("teach")] = "not needed"
    steps = {
        "Step": list(events.STEP_NAMES.values()),
        "Time": [formatting.duration(report.seconds[stage]) for stage in STAGES],
    }
    st.dataframe(
        pd.DataFrame(steps | ({"": reused} if any(reused) else {})),
        hide_index=True,
        width="content",
        key="report.stages",
        alt="Time of the four steps",
    )
