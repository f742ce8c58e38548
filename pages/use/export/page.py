"""A finished run's student to take away: make the bundle, see what each step costs, download it."""

import streamlit as st

from kd_core.deployment.reports import ExportReport
from kd_core.errors import KDError
from pages.shared import addresses
from pages.shared.choose_run import choose_run
from pages.shared.live_job import job_view, jobs_about
from pages.shared.state import store
from pages.shared.text import escape
from pages.use.export.form import ask
from pages.use.export.result import contents, download, how_to_use, stairs

st.title("Export", anchor=False)
st.markdown(
    "Take a student with you, as a zip that works without KD Studio: its weights, its ONNX forms, a model "
    "card, and all that it takes to get it again. **Every form is measured again on the test texts.**"
)
try:
    run = choose_run(
        "export",
        needs="a student to export",
        nothing="Run a distillation, and you can take its student away from here.",
        icon=":material/archive:",
    )
    jobs = jobs_about(run.id, "export")
    done = next((job for job in jobs if job.status == "done"), None)
    row = ask(run, again=done is not None)
    if jobs and jobs[0].status != "done":
        with st.container(border=True):
            job_view(jobs[0], "export.job")
    if done is not None:
        report: ExportReport = store().report_json(done.id)
        with row:
            download(report)
        stairs(report)
        left, right = st.columns(2, gap="large")
        with left:
            contents(report)
        with right:
            how_to_use(run, report)
except KDError as error:
    st.error(escape(error), icon=":material/error:")
    st.page_link(addresses.RUNS, label="All runs", icon=":material/arrow_forward:")
