"""The last runs, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from kd_core.distillation.roles import Role
from kd_core.figures import COLOURS
from kd_core.jobs.states import ACTIVE
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.badges import floor_badge, status_badge, verdict_badge
from pages.shared.text import escape, term

SHOWN: dict[Role, str] = {"teacher": "Teacher", "student": "Student", "alone": "Alone"}


def recent_runs(runs: Sequence[RunRow]) -> None:
    if not runs:
        with st.container(border=True):
            st.markdown("**No runs yet**")
            st.write("Run the demo above to see a whole distillation, or choose your own task and models.")
            st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
        return
    for run in runs:
        with st.container(border=True, key=f"recent.{run.id}"):
            _row(run)
    st.page_link(addresses.RUNS, label="All runs", icon=":material/arrow_forward:")


def _row(run: RunRow) -> None:
    name, curve, result, badge = st.columns([3, 1.5, 3.3, 1.9], vertical_alignment="center", gap="medium")
    with name.container(gap="xxsmall"):
        page = addresses.REPORT if run.status == "done" else addresses.DISTILL
        st.page_link(page, label=f"**{escape(run.title)}**", query_params={"run": run.id})
        st.caption(f"{escape(run.task)} · {escape(run.student)} · {_ago(run.created)}")
    if len(run.sparkline) > 1:
        first, last = formatting.percent(run.sparkline[0]), formatting.percent(run.sparkline[-1])
        alt = f"The student on the validation texts, from {first} to {last}"
        curve.image(sparkline(run.sparkline), width=120, alt=alt)
    scores, measure = run.scores
    with result.container(horizontal=True):
        if run.error:
            st.caption(escape(run.error))
        elif scores:
            for who, label in SHOWN.items():
                if who in scores:
                    label = formatting.capitalised(measure) if run.measures == "agreement" else label
                    st.metric(label, formatting.percent(scores[who]), width=88)
        elif run.status in ACTIVE:
            st.progress(run.progress)
    with badge.container(gap="xxsmall"):
        if run.verdict:
            verdict_badge(run.verdict, run.seeds, help=term("verdict"))
            floor_badge(run.over_floor, help=term("TF-IDF"))
        else:
            status_badge(run.status)
        if run.delta is not None:
            over = run.over_hard_answers or " over itself alone"
            st.caption(escape(f"{formatting.points(run.delta)} of {run.judged_by}{over}"))


def sparkline(values: Sequence[float]) -> str:
    """A line without axes in the student's colour, as SVG; the first and last points span its width."""
    low, high = min(values), max(values)
    step, span = 116 / (len(values) - 1), (high - low) or 1
    points = " ".join(f"{2 + i * step:.1f},{30 - 28 * (v - low) / span:.1f}" for i, v in enumerate(values))
    light, dark = COLOURS["student"]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="32" viewBox="0 0 120 32">'
        f"<style>polyline {{ stroke: {light} }} "
        f"@media (prefers-color-scheme: dark) {{ polyline {{ stroke: {dark} }} }}</style>"
        f'<polyline points="{points}" fill="none" stroke-width="2"/></svg>'
    )


def _ago(moment: datetime) -> str:
    """Like "4 min ago" up to a day, then the date."""
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 24 * 60 else f"{moment.astimezone():%d %b %Y}"
