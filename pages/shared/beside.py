"""A part of a page that the others need not wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from kd_core.errors import KDError
from pages.shared.text import escape

ROOM = 400  # pixels that it is expected to take


@st.fragment(parallel=True)
def beside(show: Callable[..., None], *given: Any) -> None:
    """Drawn while the rest is, with a skeleton in its place; what is pressed in it runs it alone."""
    try:
        with st.skeleton(height=ROOM):
            show(*given)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
