"""Runs and other jobs that only their folders know: an offer to list them."""

from __future__ import annotations

import streamlit as st

from kd_core.jobs import index
from kd_core.system import paths
from kd_core.system.formatting import counted
from pages.shared.state import store
from pages.shared.text import escape


def offer_index() -> None:
    """Nothing where the database knows all folders. Raises: KDError."""
    missing = index.missing_runs(store())
    if not missing:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="runs.index_bar"):
        st.markdown(
            f":material/folder_open: {counted(len(missing), 'folder')} of finished work in "
            f"{escape(paths.home())} not listed.",
            width="content",
        )
        if st.button("List them", icon=":material/playlist_add:", key="runs.index", help=index.LOST):
            result = index.rebuild(store())
            for problem in result.unreadable.values():
                st.warning(escape(problem), icon=":material/broken_image:")
            if result.added:
                st.rerun()
