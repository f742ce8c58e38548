"""What every page has: its configuration, the navigation and the sidebar. Started by ``app.py``."""

from __future__ import annotations

import streamlit as st

from pages.access import require_access
from pages.navigation import entry, learn_pages
from pages.shared import addresses
from pages.shared.charts import charts_ahead
from pages.shared.presenting import present, presenting
from pages.shared.state import runner
from pages.shared.style import ICON, LOGO, STYLE
from pages.sidebar import strip

st.set_page_config(page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
st.html(STYLE)
require_access()
present()


page = st.navigation(
    {
        "Start": [entry(addresses.HOME, "Home", "home", default=True)],
        "Build": [
            entry(addresses.DATA, "Data", "table"),
            entry(addresses.DISTILL, "Distill", "science"),
            entry(addresses.SEARCH, "Search", "grid_on"),
        ],
        "Review": [
            entry(addresses.RUNS, "Runs", "list"),
            entry(addresses.REPORT, "Report", "lab_profile"),
            entry(addresses.TRADEOFFS, "Trade-offs", "scatter_plot"),
            entry(addresses.CAPACITY, "Capacity", "dns"),
        ],
        "Learn": learn_pages(),
        "Use": [
            entry(addresses.PLAYGROUND, "Playground", "forum"),
            entry(addresses.EXPORT, "Export", "archive"),
        ],
    },
    expanded=True,
    position="top" if presenting() else "sidebar",
)
runner()  # at the first visit, so that it is warm when somebody starts a run
if not presenting():
    with st.sidebar:
        strip()
page.run()
charts_ahead()
