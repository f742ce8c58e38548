"""What all sessions of a server share: the store and the runner."""

from __future__ import annotations

import streamlit as st

from kd_core.errors import StoreError
from kd_core.job_kinds import HANDLERS, prepare
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from pages.shared.visitors import in_classroom


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
    return runner
