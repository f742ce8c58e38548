"""Who uses this server: people at this machine, or a team that logs in; and which sessions have."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

CLASSROOM = "classroom"  # the main script of such a server
# A header of every answer: nobody shows these pages inside their own.
FRAMES = (b"content-security-policy", b"frame-ancestors 'self'")
_ADMITTED: set[str] = set()


def has_log_in() -> bool:
    """Whether a log-in is configured for this server."""
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets


def admit() -> None:
    """From now on this session may upload files."""
    if context := get_script_run_ctx():
        _ADMITTED.add(context.session_id)


def is_admitted(session_id: str) -> bool:
    return session_id in _ADMITTED


def on_a_phone() -> bool:
    """Whether this browser says so of itself, for what no style sheet reaches: the cells of a table."""
    return "Mobi" in st.context.headers.get("User-Agent", "")


def in_classroom() -> bool:
    """Whether this server shows *Learn* alone, to everybody on its network: its main script says so."""
    context = get_script_run_ctx()
    return context is not None and Path(context.pages_manager.main_script_path).stem == CLASSROOM
