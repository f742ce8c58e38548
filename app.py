"""The dashboard: ``make app``, ``kd app`` or ``streamlit run app.py``."""

import streamlit as st

from pages.shared.chrome import ICON, LOGO, STYLE
from pages.shared.state import runner
from pages.shared.strip import strip

st.set_page_config(page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
st.html(STYLE)

page = st.navigation(
    {
        "Start": [st.Page("pages/start/home.py", title="Home", icon=":material/home:", default=True)],
        "Build": [
            st.Page("pages/build/data.py", title="Data", icon=":material/table:", url_path="data"),
            st.Page("pages/build/distill.py", title="Distill", icon=":material/science:", url_path="distill"),
        ],
        "Review": [
            st.Page("pages/review/runs.py", title="Runs", icon=":material/list:", url_path="runs"),
            st.Page(
                "pages/review/report.py", title="Report", icon=":material/lab_profile:", url_path="report"
            ),
        ],
    }
)
runner()  # at the first visit, so that it is warm when somebody starts a run
with st.sidebar:
    strip()
page.run()
