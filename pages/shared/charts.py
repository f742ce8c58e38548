"""A figure on a page, the same everywhere: its own fonts and colours, no toolbar, words beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v1 import declare_component

from kd_core.figures.style import enlarged
from pages.shared.presenting import LARGER, presenting
from pages.shared.style import ASSETS

AHEAD = "charts.ahead"

_draw = st.components.v2.component(
    "kd_studio.chart", js=(ASSETS / "chart.js").read_text("utf-8"), isolate_styles=False
)


def is_dark() -> bool:
    return st.context.theme.type == "dark"


def chart(figure: Any, *, key: str, alt: str, clickable: bool = False) -> Any:
    """``alt`` says in words what the chart shows, for those who cannot see it.

    The ``customdata`` of the mark that was just clicked, in a ``clickable`` chart; else None.
    """
    if presenting():
        figure = enlarged(figure, LARGER)
    data = {"source": _plotly(), "figure": figure.to_json(), "alt": alt, "clickable": clickable}
    events: dict[str, Any] = {"on_themed_change": _nothing}
    if clickable:
        events["on_clicked_change"] = _nothing
    # Its room from the start, so that nothing below it jumps.
    return _draw(key=key, data=data, height=figure.layout.height, **events).get("clicked")


def charts_ahead() -> None:
    """Let the browser load what draws charts (5 MB) while the visitor reads the first page."""
    if AHEAD not in st.session_state:
        # It takes a second, for which no page should wait. The runner's thread may be importing pandas just
        # now, and plotly would take it half imported: importing it here first waits for the rest.
        import pandas  # noqa: F401
        import plotly.graph_objects  # noqa: F401

        with st.container(key="charts_ahead"):
            _draw(key=AHEAD + ".chart", data={"source": _plotly()})
        st.session_state[AHEAD] = True


@cache
def _plotly() -> str:
    """Where the browser finds plotly: in the Python package, whose figures it draws."""
    import plotly

    folder = Path(plotly.__file__).parent / "package_data"
    served = declare_component("plotly", path=folder)  # Streamlit's way to serve a folder
    return f"component/{served.name}/plotly.min.js?{plotly.__version__}"


def _nothing() -> None:
    """A component reports something only where it has a callback for it; this one has nothing to do."""
