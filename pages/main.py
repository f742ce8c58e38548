"""What every page has: its configuration, the navigation and the sidebar. Started by ``app.py``."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.access import require_access
from pages.learn.labs.catalogue import LABS
from pages.shared import addresses
from pages.shared.charts import charts_ahead
from pages.shared.state import runner
from pages.shared.style import ICON, LOGO, STYLE
from pages.sidebar import strip

st.set_page_config(page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
st.html(STYLE)
require_access()


def entry(script: str, title: str, icon: str, **options: Any) -> Any:
    """A page; its address is its folder's name, and the default page needs none."""
    options.setdefault("url_path", None if options.get("default") else script.split("/")[-2])
    return st.Page(script, title=title, icon=f":material/{icon}:", **options)


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
        "Learn": [
            entry(addresses.LABS, "Labs", "school", url_path="learn"),
            *(
                st.Page(lab.page, title=lab.title, icon=lab.icon, url_path=lab.name, visibility="hidden")
                for lab in LABS
            ),
            entry(addresses.LESSONS, "Lessons", "cast_for_education"),
            entry(addresses.RACE, "Race", "flag"),
            entry(addresses.GLOSSARY, "Glossary", "menu_book"),
        ],
        "Use": [
            entry(addresses.PLAYGROUND, "Playground", "forum"),
            entry(addresses.EXPORT, "Export", "archive"),
        ],
    },
    expanded=True,
)
runner()  # at the first visit, so that it is warm when somebody starts a run
with st.sidebar:
    strip()
page.run()
charts_ahead()
