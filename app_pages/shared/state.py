"""What all sessions of a server share: the store and the runner."""

from __future__ import annotations

import streamlit as st

from kd_core.handlers import HANDLERS, prepare
from kd_core.jobs import Runner
from kd_core.store import Store


@st.cache_resource(show_spinner=False)
def store() -> Store:
    return Store()


@st.cache_resource(show_spinner=False)
def runner() -> Runner:
    """The one background runner of this process. It imports torch on its thread, from the first visit on."""
    runner = Runner(store(), HANDLERS, prepare=prepare)
    runner.start()
    return runner
