"""All runs: find them, compare several, keep them in order, free disk space."""

import streamlit as st

from kd_core.errors import KDError
from kd_core.jobs.states import LABELS
from pages.review.runs.actions import actions, open_run, undo_bar
from pages.review.runs.compare import compare
from pages.review.runs.disk_space import disk_space
from pages.review.runs.index import offer_index
from pages.review.runs.table import VERDICTS, choose, clicked, verdict_of
from pages.shared import addresses
from pages.shared.state import store
from pages.shared.text import escape

st.title("Runs", anchor=False)
try:
    undo_bar()
    offer_index()
    runs = store().runs(kind="distil")
    if not runs and (runs := store().runs(kind="distil", status=("deleted",))):
        st.info("All runs are deleted. Tick one to bring it back.", icon=":material/delete:")
    if not runs:
        st.markdown("All distillations: find them, compare several, and keep them in order.")
        st.info(
            "No runs yet. Set up a distillation, and it is listed here from the moment you start it.",
            icon=":material/list:",
        )
        st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
        st.stop()
    st.markdown("**Report** opens a run. Tick one to name or delete it, or several to see them side by side.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            placeholder="Name, task, model or tag",
            icon=":material/search:",
            live=True,
            key="runs.text",
            bind="query-params",
        )
        status = st.multiselect(
            "Status",
            list(LABELS),
            format_func=LABELS.__getitem__,
            placeholder="Any",
            key="runs.status",
            bind="query-params",
        )
        verdict = st.multiselect(
            "Verdict", list(VERDICTS), placeholder="Any", key="runs.verdict", bind="query-params"
        )
        tasks = sorted({run.task for run in runs if run.task})  # one that cannot be read has none
        task = st.selectbox("Task", ["", *tasks], format_func=lambda task: task or "Any", key="runs.task")
    if text or status or task:
        deleted = {run.status for run in runs if run.status == "deleted"}  # where these are all there are
        matching = store().runs(kind="distil", text=text, status=status or deleted, task=task)
    else:
        matching = runs
    if verdict:
        matching = [run for run in matching if verdict_of(run) in verdict]
    bar = st.container(key="runs.bar")  # above the table, though it depends on what is chosen there
    if matching:
        if run := clicked(matching):
            open_run(run)
        chosen = choose(matching)
        with bar:
            actions(chosen, len(matching))
        if len(chosen) > 1:
            compare(chosen)
    else:
        st.info(
            "No run matches these filters. Clear one of them to see more.", icon=":material/filter_alt_off:"
        )
    disk_space()
except KDError as error:
    st.error(escape(error), icon=":material/error:")
