"""A figure on a page, the same everywhere: its own fonts and colours, no toolbar, words beside it."""

from __future__ import annotations

from typing import Any

import streamlit as st

AHEAD = "charts.ahead"


def is_dark() -> bool:
    return st.context.theme.type == "dark"


def charts_ahead() -> None:
    """Let the browser load what draws charts (5 MB) while the visitor reads the first page, not with a chart.

    A chart that nobody sees makes it do so: ``assets/app.css`` hides it.
    """
    if AHEAD not in st.session_state:
        # A second, for which the page has not to wait. The runner's thread may just import pandas, which
        # plotly would take half made: to import it here is to wait until it is whole.
        import pandas  # noqa: F401
        from plotly.graph_objects import Figure

        with st.container(key="charts_ahead"):
            st.plotly_chart(Figure(layout={"height": 10}), theme=None, key=AHEAD + ".chart", alt="Empty")
        st.session_state[AHEAD] = True


def chart(figure: Any, *, key: str, alt: str, container: Any = st, **options: Any) -> Any:
    """``alt`` says what a reader sees, for those who do not; ``options`` are of ``st.plotly_chart``."""
    config = {"displayModeBar": False}
    return container.plotly_chart(
        figure, theme=None, width="stretch", key=key, config=config, alt=alt, **options
    )
