"""A finished run's student to take away: what will be in the bundle, making it, what each step costs."""

import streamlit as st

from kd_core.deployment.reports import ExportReport
from kd_core.deployment.times import timed
from kd_core.errors import KDError
from pages.shared import addresses
from pages.shared.choose_run import choose_run
from pages.shared.live_job import job_view, jobs_about
from pages.shared.state import store
from pages.shared.text import escape
from pages.use.export.form import ask, make
from pages.use.export.result import (
    download,
    earlier,
    how_to_use,
    made_as,
    stairs,
    the_cascade,
    the_student,
    what_is_in_it,
)

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
    done = [job for job in jobs if job.status == "done"]
    report: ExportReport | None = store().report_json(done[0].id) if done else None
    of_run, measurement = timed(store(), run.id)
    zipped = done[0].config if done and done[0].config.get("to") else {}
    wanted = ask(zipped)
    left, right = st.columns(2, gap="large")
    with left:
        what_is_in_it(run, done[0] if done else None, wanted, of_run.teacher.size_mb)
        row = make(run, wanted, again=report is not None and made_as(zipped, wanted))
        if jobs and jobs[0].status != "done":
            with st.container(border=True):
                job_view(jobs[0], "export.job")
    with right:
        the_student(of_run)
        how_to_use(run, wanted.runtimes, report)
        if report and zipped.get("agree"):
            the_cascade(report)
    if report:
        with row:
            download(report, wanted=made_as(zipped, wanted))
        stairs(report, run.measures, measurement)
        earlier(done[1:])
except KDError as error:
    st.error(escape(error), icon=":material/error:")
    st.page_link(addresses.RUNS, label="All runs", icon=":material/arrow_forward:")
