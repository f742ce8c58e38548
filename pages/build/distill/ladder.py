"""The question that people come with: which is the smallest student that keeps enough?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kd_core.config import DistillConfig
from kd_core.distillation.roles import metric_name
from kd_core.errors import KDError, RunError
from kd_core.figures.ladder import kept_by_size, kept_in_words
from kd_core.jobs.plan import Plan
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.search.ladder import LadderConfig, LadderResult, Rung
from kd_core.search.ladder_sentences import conclusion, doubt, on_test, outlook
from kd_core.system.formatting import duration
from pages.shared import addresses
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.choose_run import linked_job
from pages.shared.fields import field
from pages.shared.live_job import job_view, submit_once
from pages.shared.run_form.plan import seconds_of
from pages.shared.state import store
from pages.shared.text import FIND_SMALLEST, escape, unbroken

PARAMETER = "ladder"  # of the address: the job that is shown
LIMITS = (("within_mb", "MB", 1.0), ("within_ms", "ms a text", 0.1))  # with the step of its arrows
ANSWERS = {"shown": "Shown", "likely": "Likely", "no": "No", "failed": "Not possible"}


def choose_ladder(distill: DistillConfig, plan: Plan) -> None:
    """How much is to be kept, what the validation texts can show of that, and the start.

    ``distill`` is what the form says: ``auto`` is another number for each student.
    """
    metric = plan.config.training.metric
    measure = escape(metric_name(metric))
    # Where it is folded nobody sees how long it would take, which takes a moment to say.
    folded = st.expander(FIND_SMALLEST, icon=":material/stairs:", key="ladder.fold", on_change="rerun")
    with folded:
        label = f"Keep at least (% of the teacher's {measure})"
        keep = field(LadderConfig, "keep", key="ladder.keep", label=label)
        limits = {
            name: field(
                LadderConfig,
                name,
                key=f"ladder.{name}",
                label=f"At most ({unit})",
                container=column,
                min_value=0.01,
                step=step,
                placeholder="no limit",
            )
            for column, (name, unit, step) in zip(st.columns(2), LIMITS, strict=True)
        }
        config = LadderConfig(distill=distill, keep=keep, **limits)
        said = (
            f"Tries {', '.join(config.students)}, in this order, each in int8 too, with your other settings. "
            f"Ends when one is shown to keep {keep:g} % and no other could be a smaller file. "
            f"{escape(outlook(config, plan.validation, metric))}"
        )
        st.caption(said.replace(" %", "\u00a0%"))  # no line begins with it
        lasts = f" · up to {duration(seconds_of(config))}" if folded.open else ""
        label = f"Find the smallest{lasts}"
        if st.button(label, key="ladder.start", icon=":material/play_arrow:", width="stretch"):
            try:
                st.query_params[PARAMETER] = submit_once(config, kind="ladder")
            except KDError as error:
                st.error(escape(error), icon=":material/error:")
            else:
                st.rerun()


def chosen_ladder() -> RunRow | None:
    """The one of the link. Raises: KDError if it is gone, or none."""
    return linked_job(PARAMETER, "ladder", "ladder")


def ladder_view(job: RunRow) -> None:
    """Its progress, and what has come out so far."""
    st.subheader(escape(job.title), anchor=False)
    st.caption(f"Task {escape(job.task)}, teacher {escape(job.teacher)}")
    if job.status != "done":
        job_view(job, "ladder.job")
    again(_result, job.id, every=2 if job.status in PENDING else None)
    if job.status not in PENDING and st.button("Close", key="ladder.close", icon=":material/close:"):
        del st.query_params[PARAMETER]
        st.rerun()


def _result(job_id: str) -> None:
    try:
        result = LadderResult.model_validate(store().report_json(job_id))
    except RunError:
        return  # nothing is finished yet
    if not result.rungs:
        return
    if result.next is None:
        boxes = {"shown": st.success, "likely": st.info}  # green is for what is shown alone
        said = " ".join(filter(None, (conclusion(result), on_test(result))))
        (boxes[result.chosen.answer] if result.chosen else st.warning)(unbroken(escape(said)))
    if result.judged:
        chart(kept_by_size(result, dark=is_dark()), key="ladder.chart", alt=kept_in_words(result))
        st.caption(
            "A mark is what the validation texts say, a full one is shown; its line leads to the bound, with "
            "95 % confidence for all students together."
        )
    st.dataframe(
        pd.DataFrame([_row(rung) for rung in result.rungs]),
        alt="What each student keeps",
        key="ladder.table",
        hide_index=True,
        width="stretch",
        height=38 + 35 * len(result.rungs),  # all of them: there are few
        column_config={
            "Kept": st.column_config.NumberColumn(
                format="%.1f %%", help=f"Of the teacher's {escape(result.measure)} on the validation texts"
            ),
            "At least": st.column_config.NumberColumn(
                format="%.1f %%", help="A bound with 95 % confidence for all students together"
            ),
            "Size (MB)": st.column_config.NumberColumn(format="%.1f"),
            "One text (ms)": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    if said := doubt(result):
        st.caption(escape(said))
    for rung in result.rungs:
        if rung.error:
            st.caption(f"{escape(rung.title)}: {escape(rung.error)}")
    if chosen := result.chosen:
        run = {"run": chosen.run_id}
        st.page_link(
            addresses.REPORT,
            label=f"Open the report of {escape(chosen.name)}, with its test texts",
            icon=":material/monitoring:",
            query_params=run,
        )
        if chosen.int8:
            st.page_link(
                addresses.EXPORT,
                label="Export it in int8",
                icon=":material/archive:",
                query_params=run,
            )


def _row(rung: Rung) -> dict[str, object]:
    if rung.answer == "failed":
        return {"Student": rung.title, "Answer": ANSWERS[rung.answer]}
    return {
        "Student": rung.title,
        "Answer": ANSWERS[rung.answer] + ("" if rung.fits else ", beyond the limits"),
        "Kept": 100 * rung.kept,
        "At least": 100 * rung.at_least,
        "Size (MB)": rung.size_mb,
        "One text (ms)": rung.latency_ms,
    }
