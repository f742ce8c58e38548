"""The dashboard: ``make app``, ``kd app`` or ``streamlit run app.py``."""

import streamlit as st

from app_pages.shared.access import require_access
from app_pages.shared.chrome import ICON, LOGO, STYLE
from app_pages.shared.state import runner
from app_pages.shared.strip import strip

st.set_page_config(page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
st.html(STYLE)
require_access()

page = st.navigation(
    {
        "Start": [st.Page("app_pages/start/home.py", title="Home", icon=":material/home:", default=True)],
        "Build": [
            st.Page("app_pages/build/data.py", title="Data", icon=":material/table:", url_path="data"),
            st.Page(
                "app_pages/build/distill.py", title="Distill", icon=":material/science:", url_path="distill"
            ),
        ],
        "Review": [
            st.Page("app_pages/review/runs.py", title="Runs", icon=":material/list:", url_path="runs"),
            st.Page(
                "app_pages/review/report.py", title="Report", icon=":material/lab_profile:", url_path="report"
            ),
        ],
    }
)
runner()  # at the first visit, so that it is warm when somebody starts a run
with st.sidebar:
    strip()
page.run()
