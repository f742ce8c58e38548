"""Which temperature and alpha to take: cross-validation on the training data, watched cell by cell."""

import streamlit as st

from kd_core.errors import KDError
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from pages.build.search.folds import folds_view
from pages.build.search.form import search_form
from pages.build.search.view import example_view, search_view, searches, study_line
from pages.shared.text import escape


def choose_search(jobs: dict[str, RunRow]) -> str | None:
    """The study in the link, else one under way, else the newest; the address then names it."""
    if not jobs:
        return None
    linked = st.query_params.get("study")
    if linked and linked not in jobs:
        st.warning(f"There is no search named {escape(linked)} here. Another one is shown.")
    under_way = (study for study, row in jobs.items() if row.status in PENDING)
    chosen = linked if linked in jobs else next(under_way, next(iter(jobs)))
    if len(jobs) > 1:
        studies = list(jobs)
        if st.session_state.get("search.shown_for") != chosen:  # a new search is shown at once
            st.session_state["search.study"] = st.session_state["search.shown_for"] = chosen
        chosen = st.selectbox(
            "Search", studies, format_func=lambda study: study_line(study, jobs[study]), key="search.study"
        )
        st.session_state["search.shown_for"] = chosen
    else:
        st.caption(escape(study_line(chosen, jobs[chosen])))  # the form beside it may be about another task
    st.query_params["study"] = chosen
    return chosen


st.title("Search", anchor=False)
st.markdown(
    "Find the temperature and alpha for your task by cross-validation. **See how long it takes, then "
    "start**; the map fills in cell by cell."
)
jobs: dict[str, RunRow] = {}
failure = None
try:
    jobs = searches()
except KDError as error:
    failure = error
# Columns stack on a phone: there the search that is shown comes first (app.css).
left, right = st.container(key="found_first" if jobs else "example_first").columns([4, 8], gap="large")

with left:
    search_form()

with right:
    if failure:
        st.error(escape(failure), icon=":material/error:")
    study = choose_search(jobs)
    if study:
        search_view(study, jobs[study])
    elif not failure:
        st.info(
            "No search yet. Keep the settings or change them, then press Start search: each cell of the map "
            "is a student that is trained and measured on texts it has not seen.",
            icon=":material/grid_on:",
        )
        example_view()
        folds_view(st.session_state["search.folds"])
