"""A figure on a page, the same everywhere: its own fonts and colours, no toolbar, words beside it."""

from __future__ import annotations

from typing import Any

import streamlit as st


def is_dark() -> bool:
    return st.context.theme.type == "dark"


def chart(figure: Any, *, key: str, alt: str, container: Any = st) -> None:
    """``alt`` says what a reader sees, for those who do not."""
    config = {"displayModeBar": False}
    container.plotly_chart(figure, theme=None, width="stretch", key=key, config=config, alt=alt)
