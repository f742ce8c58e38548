"""How many cores and servers a load needs: teacher against student, with the arithmetic."""

import streamlit as st

from kd_core.deployment.capacity import required
from kd_core.deployment.times import timed
from kd_core.errors import KDError
from pages.review.capacity.cascade import with_cascade
from pages.review.capacity.view import answer, arithmetic, ask_load, latency, measured, source, stairs, table
from pages.shared import addresses
from pages.shared.choose_run import choose_run
from pages.shared.state import store
from pages.shared.text import escape

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
    load, folded = ask_load()
    report, measurement = timed(store(), run.id)
    forms, conditions = measured(report, measurement, folded)
    forms = with_cascade(run, forms, measurement)
    needs = [required(load, form) for form in forms]
    answer(forms, needs, report, run)
    stairs(load, forms, needs)
    table(needs)
    latency(load, forms, needs)
    arithmetic(needs)
    source(conditions, report, measurement, run)
except KDError as error:
    st.error(escape(error), icon=":material/error:")
    st.page_link(addresses.RUNS, label="All runs", icon=":material/arrow_forward:")
