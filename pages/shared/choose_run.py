"""Which finished run a page works on: the one of the link, or else the newest."""

from __future__ import annotations

import streamlit as st

from kd_core.errors import RunError
from kd_core.jobs.states import JobKind
from kd_core.jobs.store import RunRow
from pages.shared import addresses
from pages.shared.state import store
from pages.shared.text import escape, run_line


def linked_run() -> RunRow | None:
    """The run of the address. Raises: KDError, where it is gone or a job of another kind."""
    return linked_job("run", "distil", "distillation")


def linked_job(parameter: str, kind: JobKind, noun: str) -> RunRow | None:
    """The job that a parameter of the address names. Raises: KDError, where it is gone or of another kind."""
    if not (job_id := st.query_params.get(parameter)):
        return None
    job = store().run(job_id)
    if job.kind != kind:
        raise RunError(f"{job_id} is no {noun} but another job: {job.title}.")
    return job


def choose_run(page: str, *, needs: str, nothing: str, icon: str) -> RunRow:
    """``needs``: what only a finished run has. Without one, ``nothing`` says what to do, and the page ends.

    Raises: KDError if the link's run is gone.
    """
    runs = {run.id: run for run in store().runs(kind="distil", status=("done",))}
    linked = st.query_params.get("run")
    if linked not in runs and (row := linked_run()):
        st.warning(
            f"The run {escape(row.title)} is {row.status}: only a finished run has {needs}. "
            "Another one is shown.",
            icon=":material/hourglass_top:",
        )
    if not runs:
        st.info(f"No run is done yet. {nothing}", icon=icon)
        st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
        st.stop()
    ids = list(runs)
    shown = linked if linked in runs else ids[0]
    # A key of its own for each link: what was chosen before must not win over what the link asks for.
    chosen = st.selectbox(
        "Run",
        ids,
        index=ids.index(shown),
        format_func=lambda run_id: run_line(runs[run_id]),
        key=f"{page}.run.{shown}",
        width=560,
    )
    st.query_params["run"] = chosen  # so that the address is a link to what is shown
    if chosen != shown:
        st.rerun()
    return runs[chosen]
