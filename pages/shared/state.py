"""What all sessions of a server share: the store and the runner."""

from __future__ import annotations

import atexit
import threading

import streamlit as st

from kd_core.errors import StoreError
from kd_core.job_kinds import HANDLERS, prepare
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from pages.shared.visitors import in_classroom

SCRIPT_THREAD = "ScriptRunner.scriptThread"  # Streamlit's name for each that draws a page
LONGEST_SCRIPT = 10.0  # seconds


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """Raises: StoreError in a classroom, which keeps nothing."""
    if in_classroom():
        raise StoreError("A classroom has no runs: it shows what was recorded.")
    return Store()


@st.cache_resource(show_spinner=False, on_release=Runner.close)
def runner() -> Runner:
    """The one background runner of this process. It imports torch beside it, from the first visit on.

    ``runner.clear()`` closes it.
    """
    runner = Runner(store(), HANDLERS, prepare=prepare)
    runner.start()
    atexit.register(_await_scripts)
    return runner


def _await_scripts() -> None:
    """Until no page computes: as a daemon inside torch, its thread would abort the process that ends."""
    for thread in threading.enumerate():
        if thread.name == SCRIPT_THREAD:
            thread.join(LONGEST_SCRIPT)
