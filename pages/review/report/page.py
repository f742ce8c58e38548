"""One run: what distillation did, what compression cost and bought, and how to get it again."""

import streamlit as st

from kd_core.deployment.times import timed
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from pages.review.report.curves import curves
from pages.review.report.fidelity import fidelity
from pages.review.report.head import actions, measures, unfinished, verdict
from pages.review.report.quality import quality
from pages.review.report.reproduce import reproduce
from pages.review.report.speed import speed
from pages.shared import addresses
from pages.shared.beside import beside
from pages.shared.choose_run import linked_run
from pages.shared.state import store
from pages.shared.text import escape

TABS = {
    "Quality": quality,
    "Fidelity": fidelity,
    "Speed": speed,
    "Curves": curves,
    "Reproduce": reproduce,
}


def chosen_run() -> RunRow | None:
    """The run in the address, or else the newest that is done."""
    if run := linked_run():
        return run
    return next(iter(store().runs(kind="distil", status=("done",), limit=1)), None)


try:
    run = chosen_run()
    if run is None:
        st.title("Report", anchor=False)
        st.markdown(
            "What a run found: whether distillation helped, what compression cost and bought, and how to get "
            "the run again."
        )
        st.info(
            "No run is done yet. Start one, and its report opens here when it has ended.",
            icon=":material/lab_profile:",
        )
        st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
    elif run.status != "done":
        unfinished(run)
    else:
        report, _ = timed(store(), run.id)
        st.query_params["run"] = run.id  # so that the address is a link to what is shown
        verdict(run, report)
        actions(run, report)
        beside(measures, report)
        tabs = st.tabs(list(TABS), key="report.tab", on_change="rerun", bind="query-params")
        for tab, show in zip(tabs, TABS.values(), strict=True):
            if tab.open:
                with tab:
                    if show is speed:  # its benchmark watches a job, in a fragment of its own
                        speed(run, report)
                    else:
                        beside(show, run, report)
except KDError as error:
    st.title("Report", anchor=False)
    st.error(escape(error), icon=":material/error:")
    st.page_link(addresses.RUNS, label="All runs", icon=":material/arrow_forward:")
