"""The dashboard: ``make app``, ``kd app`` or ``streamlit run app.py``."""

from typing import Any

import streamlit as st

from app_pages.shared.access import require_access
from app_pages.shared.charts import charts_ahead
from app_pages.shared.chrome import ICON, LOGO, STYLE
from app_pages.shared.lab_cards import LABS
from app_pages.shared.state import runner
from app_pages.shared.strip import strip

st.set_page_config(page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
st.html(STYLE)
require_access()


def entry(script: str, title: str, icon: str, **options: Any) -> Any:
    """A page of app_pages; its address is the script's name unless ``options`` say otherwise."""
    options.setdefault("url_path", None if options.get("default") else script.rpartition("/")[2])
    return st.Page(f"app_pages/{script}.py", title=title, icon=f":material/{icon}:", **options)


page = st.navigation(
    {
        "Start": [entry("start/home", "Home", "home", default=True)],
        "Build": [
            entry("build/data", "Data", "table"),
            entry("build/distill", "Distill", "science"),
            entry("build/search", "Search", "grid_on"),
        ],
        "Review": [
            entry("review/runs", "Runs", "list"),
            entry("review/report", "Report", "lab_profile"),
            entry("review/tradeoffs", "Trade-offs", "scatter_plot"),
            entry("review/capacity", "Capacity", "dns"),
        ],
        "Learn": [
            entry("learn/index", "Labs", "school", url_path="learn"),
            *(
                st.Page(lab.page, title=lab.title, icon=lab.icon, url_path=lab.name, visibility="hidden")
                for lab in LABS
            ),
            entry("learn/lessons", "Lessons", "cast_for_education"),
            entry("learn/race", "Race", "flag"),
            entry("learn/glossary", "Glossary", "menu_book"),
        ],
        "Use": [entry("use/playground", "Playground", "forum"), entry("use/export", "Export", "archive")],
    },
    expanded=True,
)
runner()  # at the first visit, so that it is warm when somebody starts a run
with st.sidebar:
    strip()
page.run()
charts_ahead()
