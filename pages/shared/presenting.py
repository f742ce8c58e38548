"""The presenter view: large type for a room, no sidebar, and keys or a clicker that turn the pages."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.shared.style import ASSETS
from pages.shared.visitors import in_classroom

ON = "presenting"
LARGER = 1.5  # than on a desk: the browser's 16 px become 24
PRESENT_STYLE = ASSETS / "present.css"

_listen = st.components.v2.component(
    "kd_studio.keys", js=(ASSETS / "keys.js").read_text("utf-8"), isolate_styles=False
)


def presenting() -> bool:
    """Whether this session is shown to a room."""
    return bool(st.session_state.get(ON))


def present(always: bool = False) -> None:
    """Call once in a main script: what the presenter view adds to every page."""
    if always or st.query_params.get("view") == "presenter":
        st.session_state[ON] = True
    if presenting():
        st.html(PRESENT_STYLE)
        with st.container(key="presenting"):
            _listen(key="presenting.keys")


def presenter_switch() -> None:
    """A button that starts the presenter view, or ends it.

    None in a classroom: whoever presents there always has that view, and nobody else needs it.
    """
    if in_classroom():
        return
    label, icon = (
        ("Leave presenter view", "close_fullscreen") if presenting() else ("Present", "present_to_all")
    )
    st.button(
        label,
        key="presenting.switch",
        icon=f":material/{icon}:",
        type="tertiary",
        on_click=_switch,
        help="Large type without the sidebar. Arrow keys, or a clicker, go on and back",
    )


def _switch() -> None:
    st.session_state[ON] = not presenting()
    st.query_params.pop("view", None)  # which would switch it on again


def reset_button(key: str, reset: Callable[..., None], *arguments: str) -> None:
    """Everything on the page as it was at first, for the next group or the next try."""
    st.button(
        "Reset",
        key=key,
        icon=":material/restart_alt:",
        type="tertiary",
        on_click=reset,
        args=arguments,
        help="Everything here as it was at first",
    )
