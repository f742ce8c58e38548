"""The sidebar's strip: what is running, seen from every page."""

from __future__ import annotations

import streamlit as st

from kd_core.distillation import events
from kd_core.errors import KDError
from kd_core.jobs.states import ACTIVE, PENDING
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.badges import STATUSES
from pages.shared.state import runner, store
from pages.shared.text import escape


def strip() -> None:
    """Progress and a link while a job of this machine is under way or waits, nothing otherwise.

    It updates itself, so that it also shows what another browser or ``kd distill`` has started.
    """
    st.fragment(_strip, run_every=3)()


def _strip() -> None:
    try:
        jobs = store().runs(status=PENDING, here=True)
    except KDError as error:  # the database may be away for a while; training goes on
        st.caption(f":material/warning: {escape(error)}")
        return
    if not jobs:
        return
    if trouble := runner().state.trouble:
        st.caption(f":material/warning: Queued runs do not start: {escape(trouble)} It is tried again.")
    current = next((job for job in jobs if job.status in ACTIVE), jobs[-1])  # or the next one
    waiting = sum(job.status == "queued" for job in jobs if job is not current)
    with st.container(border=True, gap="xsmall", key="strip"):
        page, parameters = _place(current)
        st.page_link(
            page,
            label=f"**{escape(current.title)}**",
            icon=STATUSES[current.status][1],
            query_params=parameters,
            help="Open the page where you can watch and stop it",
        )
        st.progress(current.progress)
        st.caption(_where(current))
        if waiting:
            st.caption(f"{waiting} {'run waits' if waiting == 1 else 'runs wait'} in the queue")


def _place(job: RunRow) -> tuple[str, dict[str, str]]:
    """The page that shows a job, and its address."""
    match job.kind:
        case "distil":
            return addresses.DISTILL, {"run": job.id}
        case "export":
            return addresses.EXPORT, {"run": job.config["run"]}
        case "bench" | "curve":
            return addresses.REPORT, {"run": job.config["run"]}
        case "lab":
            lab = job.config.get("lab", "transfer")
            if lab == "transfer":
                return addresses.lab(lab), {"job": job.id}
            from kd_core.learn.claims import claims  # scipy comes with it: not on every page

            return addresses.lab("claims"), {"claims.claim": claims()[lab].paper, "job": job.id}
        case "search":
            return addresses.SEARCH, {"study": job.study}
        case "ladder":
            return addresses.DISTILL, {"ladder": job.id}
    return addresses.RUNS, {}


def _where(job: RunRow) -> str:
    """ "46 % · 3 Distill · 19 s left", "46 % · Paused" or "Waits for its turn", as Markdown.

    The share is the whole job's, as the bar above it; a stage has one of its own on the job's page.
    """
    if job.status == "queued":
        return "Waits for its turn"
    label = job.label or "starting"
    stage = events.STEP_NAMES[job.stage] if job.stage else escape(formatting.capitalised(label))
    stage = "Paused" if job.status == "paused" else stage
    parts = [formatting.percent(job.progress, 0), stage]
    if job.seconds_left is not None and job.status == "running":
        parts.append(f"{formatting.duration(job.seconds_left)} left")
    return " · ".join(parts)
