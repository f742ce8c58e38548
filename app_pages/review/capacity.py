"""How many cores and servers a load needs: teacher against student, with the arithmetic."""

import streamlit as st

from app_pages.shared.capacity_view import answer, arithmetic, ask_load, measured, source, table
from app_pages.shared.finished_run import choose_run
from app_pages.shared.text import escape
from kd_core.capacity import need
from kd_core.errors import KDError

st.title("Capacity", anchor=False)
st.markdown(
    "What compression saves in service: **enter your load, and see the servers that each model needs.**"
)
try:
    run = choose_run(
        "capacity",
        needs="measured times",
        nothing="Start one: its measured times are what this page counts with.",
        icon=":material/dns:",
    )
    load = ask_load()
    forms, conditions, benchmarked = measured(run)
    needs = [need(load, form) for form in forms]
    answer(needs)
    table(needs)
    arithmetic(needs)
    source(conditions, benchmarked, run)
except KDError as error:
    st.error(escape(error), icon=":material/error:")
    st.page_link("app_pages/review/runs.py", label="All runs", icon=":material/arrow_forward:")
