"""Ask the models of a run: one text looked at closely, or many at once."""

import streamlit as st

from kd_core.errors import KDError
from kd_core.job_kinds import prepare
from pages.shared import addresses
from pages.shared.choose_run import choose_run
from pages.shared.state import store
from pages.shared.text import escape
from pages.use.playground.many_texts import many_texts
from pages.use.playground.one_text import choose_text, show_answers

VIEWS = ("One text", "Many texts")

st.title("Playground", anchor=False)
st.markdown(
    "Ask a run's models the same thing: its students and, unless that is a file, its teacher. **Type a text "
    "or pick an example**, and see whether they agree."
)
try:
    run = choose_run(
        "playground",
        needs="models to ask",
        nothing="Run a distillation, and its models answer here when it has ended.",
        icon=":material/forum:",
    )
    report = store().report(run.id)
    if report.first_seed:
        st.caption(report.whose_students)
    with st.skeleton(height=320):
        prepare()
    one, many = st.tabs(VIEWS, key="playground.view", on_change="rerun", bind="query-params")
    if one.open:
        with one:
            show_answers(run, *choose_text(run, report))
    if many.open:
        with many:
            many_texts(run)
except KDError as error:
    st.error(escape(error), icon=":material/error:")
    st.page_link(addresses.RUNS, label="All runs", icon=":material/arrow_forward:")
