"""Who may use a dashboard that others can reach: those who log in, and nobody where there is no log-in."""

from __future__ import annotations

import streamlit as st

from kd_core.system.process import is_loopback
from pages.shared.visitors import admit, has_log_in


def require_access() -> None:
    """Stop the page for a visitor who may not use it."""
    log_in = has_log_in()
    if log_in and not st.user.get("is_logged_in", False):
        st.title("KD Studio", anchor=False)
        st.markdown("This dashboard is for a team. Log in to see its runs and start your own.")
        st.button("Log in", key="access.log_in", type="primary", icon=":material/login:", on_click=st.login)
        st.stop()
    if not log_in and not is_loopback(st.get_option("server.address") or ""):
        st.title("KD Studio", anchor=False)
        st.error(
            "This server can be reached from the network, but no log-in is configured. Start it with "
            "kd app, which serves this machine alone, or add a section [auth] to .streamlit/secrets.toml.",
            icon=":material/lock:",
        )
        st.stop()
    admit()
