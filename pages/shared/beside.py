"""Parts of a page that are drawn by themselves: what goes wrong in one is said in its place."""

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
    with st.skeleton(height=ROOM):
        _show(show, *given)


def again(show: Callable[..., None], *given: Any, every: float | None) -> None:
    """Drawn anew after so many seconds, over and over; None: drawn once.

    A job may be deleted meanwhile in another tab, and the database may be away for a moment.
    """
    st.fragment(_show, run_every=every)(show, *given)


def _show(show: Callable[..., None], *given: Any) -> None:
    try:
        show(*given)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
