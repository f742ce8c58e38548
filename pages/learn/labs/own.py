"""What labs show besides recordings: what this dashboard has run and measured. A classroom has neither."""

from __future__ import annotations

import streamlit as st

from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.learn.lab_results import LabConfig, LabName
from pages.shared.live_job import submit_once
from pages.shared.state import store
from pages.shared.text import escape
from pages.shared.visitors import in_classroom


def finished_runs() -> dict[str, RunRow]:
    """The last ones by id. Raises: KDError."""
    if in_classroom():
        return {}
    return {run.id: run for run in store().runs(kind="distil", status=("done",), limit=50)}


def measure(config: LabConfig, name: str, shown: str) -> None:
    """Queue it once, and choose it in the session's ``shown``; for a button's ``on_click``."""
    try:
        st.session_state[shown] = submit_once(config, name, kind="lab")
    except KDError as error:
        st.error(escape(error), icon=":material/error:")


def measurements(lab: LabName = "transfer") -> dict[str, RunRow]:
    """The jobs of a lab by id, finished or not. Raises: KDError."""
    jobs = [] if in_classroom() else store().runs(kind="lab", limit=50)
    return {job.id: job for job in jobs if job.config.get("lab", "transfer") == lab}
