"""Trade-offs: a student that passes on what it is unsure of, and what the pair costs."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kd_core import figures
from kd_core.deployment import cascade as engine
from kd_core.deployment import int8_answers
from kd_core.deployment.capacity import Load
from kd_core.deployment.runtimes import Runtime
from kd_core.deployment.times import Measurement, timed
from kd_core.distillation import report_times
from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, Role
from kd_core.distillation.run_folder import PREDICTIONS, find
from kd_core.errors import KDError
from kd_core.job_kinds import prepare
from kd_core.system import formatting
from pages.shared.charts import chart, is_dark
from pages.shared.fields import field
from pages.shared.state import store
from pages.shared.text import escape, run_line, unbroken

METHODS = {"clopper_pearson": unbroken("With 95 % confidence"), "conformal": "On average"}
JUDGES: dict[engine.Judge, str] = {"teacher": "agrees with the teacher", "gold": "is right"}
FORMS: dict[Runtime, str] = {"pytorch": "PyTorch", "int8": "ONNX int8"}


def cascade(above: Collection[str]) -> None:
    """One slider: in how many cases the pair is to agree with the teacher, or to be right.

    ``above``: the runs of the task that the rest of the page is about; one of them comes first.
    """
    runs = {run.id: run for run in store().runs(kind="distil", status=("done",))}
    if not runs:  # another tab has deleted the last one
        return
    st.subheader("A cascade", anchor=False)
    st.markdown(
        "The student answers what it is sure of and passes the rest on to its teacher. **Say how often the "
        "pair is to agree with the teacher**; the threshold is found on the validation texts, and the "
        "promise is checked on the test texts."
    )
    left, right = st.columns([4, 7], gap="medium")
    box = left.container(border=True)
    with box:
        linked = st.query_params.get("run")
        first = next((run for run in runs if run in above), next(iter(runs)))
        shown = linked if linked in runs else first
        chosen = st.selectbox(
            "Run",
            list(runs),
            index=list(runs).index(shown),
            format_func=lambda run: run_line(runs[run]),
            key=f"tradeoffs.cascade_run.{shown}",  # another task's choice would win over what is asked for
        )
        percent = field(
            engine.CascadeConfig,
            "agree",
            key="tradeoffs.agree",
            label="Of all texts, at least (%)",
            format="%g",
        )
    try:
        find(chosen)  # says where the answers of a run are, if not here
        report, measurement = timed(store(), chosen)
        with box:
            judge, method, runtime = _promise(chosen, report)
        _show(chosen, report, measurement, percent / 100, method, judge, runtime, left, right)
    except KDError as error:
        right.info(escape(error), icon=":material/info:")


def _promise(run_id: str, report: Report) -> tuple[engine.Judge, engine.Method, Runtime]:
    judge: engine.Judge | None = "teacher"
    if report.config["task"].get("gold") not in ("none", "test"):
        judge = st.segmented_control(
            "The pair",
            list(JUDGES),
            default="teacher",
            required=True,
            format_func=JUDGES.__getitem__,
            key="tradeoffs.judge",
        )
    method = st.segmented_control(
        "The promise holds",
        get_args(engine.Method),
        default="clopper_pearson",
        required=True,
        format_func=METHODS.__getitem__,
        key="tradeoffs.cascade_method",
        help="The first is kept for 19 of 20 choices of validation texts (Clopper-Pearson), the second only "
        "on average over them (conformal risk control), and lets the student answer more",
    )
    if int8_answers.measured(run_id):
        runtime = st.segmented_control(
            "The student runs in",
            list(FORMS),
            default="pytorch",
            required=True,
            format_func=FORMS.__getitem__,
            key="tradeoffs.cascade_runtime",
        )
        return judge or "teacher", method, runtime
    if st.button(
        "Add the student in int8",
        key="tradeoffs.cascade_int8",
        icon=":material/compress:",
        help="Converts it, asks it about the validation and test texts, and takes its time: some seconds",
    ):
        with st.spinner("Measuring the student in int8"):
            prepare()
            int8_answers.measure(run_id)
        st.rerun()
    return judge or "teacher", method, "pytorch"


def _show(
    run_id: str,
    report: Report,
    measurement: Measurement,
    agree: float,
    method: engine.Method,
    judge: engine.Judge,
    runtime: Runtime,
    left: DeltaGenerator,
    right: DeltaGenerator,
) -> None:
    found = engine.cascade(run_id, agree, method, judge, runtime, times=measurement.latencies)
    folder = find(run_id)
    shown: list[Role] = [who for who in ("student", "alone", "hard_answers") if who in report.models]
    curves = {
        NAMES[who]: (who, engine.risk_coverage(engine.recorded(folder, report, PREDICTIONS, who, judge)))
        for who in shown
    }
    if int8_answers.measured(run_id):
        answers = engine.recorded(folder, report, PREDICTIONS, "student", judge, "int8")
        curves[f"{NAMES['student']}, int8"] = "student", engine.risk_coverage(answers)
    wrong = "are wrong" if judge == "gold" else "differ from the teacher's"
    with right:
        chart(
            figures.risk_coverage(
                curves, found.answered, against="right" if judge == "gold" else "teacher", dark=is_dark()
            ),
            key="tradeoffs.risk_coverage",
            alt=f"Share of answers that {wrong}, for {', '.join(curves)}",
        )
        does, _, promised = unbroken(escape(found.sentence)).partition(". ")
        st.markdown(f"**{does}.** {promised}")
        with st.container(horizontal=True):
            st.metric(
                "Answered by the student", formatting.percent(found.answered), border=True, width="content"
            )
            if found.latency_ms is not None:
                st.metric(
                    "A text takes on average",
                    formatting.milliseconds(found.latency_ms),
                    border=True,
                    width="content",
                    help="The student is asked first. Both were timed in turns, one text at a time. "
                    f"The teacher alone: {formatting.milliseconds(found.teacher_ms)}",
                )
            costs = st.container(width="content")
        doubt = found.doubt if runtime == "int8" else report_times.unsteady(report)
        if found.teacher_ms and doubt:
            st.caption(escape(doubt))
        if found.teacher_ms is None:
            st.caption(
                "The teacher is a file: how long it takes to answer is not known."
                if report.teacher_is_file
                else "The teacher is no longer kept here, so nothing was timed beside it."
            )
        flags = " --right" * (judge == "gold") + " --int8" * (runtime == "int8")
        flags += f" --method {method}" * (method != "clopper_pearson")
        st.caption("As a command:")
        st.code(f"kd cascade {run_id} --agree {100 * agree:g}{flags}", language="sh", wrap_lines=True)
    with left:
        _costs(found, report, costs)


def _costs(found: engine.Cascade, report: Report, place: DeltaGenerator) -> None:
    """What a million texts cost by the pair, and by the teacher alone; the prices are asked for here."""
    currency = Load.model_fields["currency"].default
    columns = st.columns(2)
    core = columns[0].number_input(
        f"Price of a core-hour ({currency})",
        0.0,
        value=float(Load.model_fields["price"].default),
        step=0.01,
        format="%g",
        key="tradeoffs.core_hour",
    )
    answer = None
    if report.teacher_is_file:
        answer = columns[1].number_input(
            f"1,000 answers of the teacher ({currency})",
            0.0,
            value=None,
            step=0.1,
            format="%g",
            placeholder="not known",
            key="tradeoffs.answers",
            help="What the large language model charges for as many texts",
        )
    costs = found.costs(core, answer)
    if costs is None:
        return
    mix, alone = costs
    sign = "+" if mix > alone else "−"
    place.metric(
        "A million texts cost",
        f"{currency}{mix:,.2f}",
        f"{sign}{currency}{abs(mix - alone):,.2f} against the teacher alone",
        delta_color="off",
        delta_arrow="off",
        border=True,
        width="content",
        help=f"Computing alone, with every core busy. The teacher alone: {currency}{alone:,.2f}",
    )
