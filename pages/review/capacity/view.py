"""Capacity: what is asked, what it needs, and the arithmetic behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kd_core import figures
from kd_core.deployment.benchmark_notes import conditions
from kd_core.deployment.capacity import (
    FORMS,
    Load,
    Measured,
    Quality,
    Requirement,
    from_bench,
    latency_by_load,
    loads,
    money,
    one_at_a_time,
    rounded,
    saving,
    servers_by_load,
    with_teacher,
)
from kd_core.deployment.reports import BenchReport
from kd_core.deployment.runtimes import form_name
from kd_core.deployment.times import Measurement
from kd_core.distillation import report_times
from kd_core.distillation.report import Report
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.charts import chart, is_dark
from pages.shared.fields import field
from pages.shared.text import escape, unbroken

LABELS = {
    "million_texts": "Texts a day (millions)",
    "peak": "Peak, times the average",
    "target_ms": "Latency at most (ms, p95)",
    "utilisation": "Cores busy at most (%)",
    "cores_per_server": "Cores of a server",
    "price": "Price of a core-hour",
    "currency": "Currency",
}
FIRST = ("million_texts", "target_ms")
FOLDED = (("peak", "utilisation"), ("cores_per_server", "price", "currency"))


def ask_load() -> tuple[Load, DeltaGenerator]:
    """Two numbers that everybody has, and the rest folded; and the place for more of that kind."""
    values = {}

    def ask(names: Sequence[str], place: DeltaGenerator) -> None:
        for column, name in zip(place.columns(len(names)), names, strict=True):
            shape = {"format": "%g"} if name == "peak" else {}  # 3, not 3.00
            values[name] = field(
                Load, name, key=f"capacity.{name}", label=LABELS[name], container=column, **shape
            )

    ask(FIRST, st.container())
    folded = st.expander("Peak, servers and prices", icon=":material/tune:")
    for names in FOLDED:
        ask(names, folded)
    return Load.from_dict(values | {"currency": values["currency"] or ""}), folded


def measured(report: Report, measurement: Measurement, folded: DeltaGenerator) -> tuple[list[Measured], str]:
    """What each form needs, and how that was measured."""
    if measurement.kind != "bench":
        return one_at_a_time(report, measurement), report_times.latency_conditions(report)
    measured: BenchReport = measurement.report
    batches = sorted({cell["batch"] for cell in measured["cells"]})
    batch = folded.segmented_control(
        "Texts in a batch",
        batches,
        default=batches[0],
        required=True,
        key="capacity.batch",
        help="Batches take less time for a text, but a text waits until its batch is full and done",
        bind="query-params",
    )
    return from_bench(measured, batch), conditions(measured)


def answer(forms: Sequence[Measured], needs: Sequence[Requirement], report: Report, run: RunRow) -> None:
    """What the smallest saves, and then servers and price of each model beside how good it is."""
    st.markdown(f"**{escape(saving(needs))}**")
    if doubt := report_times.unsteady(report):
        st.warning(escape(doubt), icon=":material/timer:")
        _to_speed(run)
    for column, form, need in zip(st.columns(len(needs)), forms, needs, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{need.name}**")
            with st.container(horizontal=True):
                st.metric("Servers", f"{need.servers:,}", width="content")
                st.metric("Price a day", escape(_price(need)), width="content")
            st.caption(formatting.counted(need.cores, "core"))
            _target(need)
            if form.quality:
                score, (low, high) = form.quality.score, form.quality.span or (None, None)
                st.metric(
                    escape(formatting.capitalised(report.measured[form.quality.metric])),
                    formatting.percent(score),
                    formatting.plus_minus(score, low, high) or None,
                    delta_color="off",
                    delta_arrow="off",
                )
                if form is not forms[0]:
                    st.caption(unbroken(_lost(form.quality)))
                elif len(forms) > 1:
                    st.caption("The others are compared with this one.")


def _lost(quality: Quality) -> str:
    """What it costs in right answers, as far as the test texts can show."""
    if quality.gap is None:
        return "An older version measured it and kept no comparison; measure again in the report."
    delta, low, high = quality.gap
    told = "" if low > 0 or high < 0 else " That may be nothing."
    span = f"95 % interval {formatting.interval(low, high)}"
    return f"{formatting.points(delta)} against {quality.other} ({span}).{told}"


def stairs(load: Load, forms: Sequence[Measured], needs: Sequence[Requirement]) -> None:
    """How many servers each form needs, up to twice the load."""
    drawn = {form_name(*form): form for form in FORMS}  # a cascade has no line
    known = [
        ((*drawn[form.name], servers_by_load(load, form)), need)
        for form, need in zip(forms, needs, strict=True)
        if form.name in drawn
    ]
    lines, shown = zip(*known, strict=True)
    spoken = "; ".join(f"{need.name}: {formatting.counted(need.servers, 'server')}" for need in shown)
    chart(
        figures.servers_by_load(lines, loads(load), shown, load.million_texts, dark=is_dark()),
        key="capacity.servers",
        alt=f"Servers by texts a day. At {load.million_texts:g} million: {spoken}",
    )
    if len(shown) < len(needs):
        st.caption("The pictures show the models one by one; the cascade has its numbers in the table.")


def _price(need: Requirement) -> str:
    return money(f"{need.cost_per_day:,.2f}", need.currency)


def _target(need: Requirement) -> None:
    if need.meets_target is None:
        st.badge("Latency not known", icon=":material/help:", color="gray")
    elif math.isinf(need.latency_ms or 0):
        st.badge("More texts come than it can do", icon=":material/close:", color="red")
    elif need.meets_target:
        st.badge("Within the latency", icon=":material/check:", color="green")
    else:
        st.badge("Too slow for the latency", icon=":material/close:", color="red")


def table(needs: Sequence[Requirement]) -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": need.name,
                    "Texts/s of a core": rounded(need.texts_per_second),
                    "Cores": f"{need.cores:,}",
                    "Servers": f"{need.servers:,}",
                    "Price a day": _price(need),
                    "Busy at the peak": formatting.percent(need.busy, 0),
                    "Latency p95": _latency(need),
                    "One server carries": f"{_millions(need.most_texts_per_day)} texts a day",
                }
                for need in needs
            ]
        ),
        column_config={"Model": st.column_config.TextColumn(pinned=True)},
        hide_index=True,
        key="capacity.table",
        alt="What each model needs",
    )


def _millions(texts: float) -> str:
    return f"{texts / 1e6:,.1f} M" if texts >= 1e5 else f"{texts:,.0f}"


def _latency(need: Requirement) -> str:
    return "no end" if math.isinf(need.latency_ms or 0) else formatting.milliseconds(need.latency_ms)


def latency(load: Load, forms: Sequence[Measured], needs: Sequence[Requirement]) -> None:
    """How long a text takes the busier the cores are, waiting included."""
    drawn = {form_name(*form): form for form in FORMS}  # a cascade has no line, nor has a teacher's file
    known = [
        ((*drawn[form.name], times), need)
        for form, need in zip(forms, needs, strict=True)
        if form.name in drawn and (times := latency_by_load(load, form))
    ]
    if not known:
        return
    lines, shown = zip(*known, strict=True)
    spoken = "; ".join(f"{need.name}: {formatting.percent(need.busy, 0)}, {_latency(need)}" for need in shown)
    chart(
        figures.latency_by_load(lines, shown, load.target_ms, dark=is_dark()),
        key="capacity.latency",
        alt=f"95th percentile of the latency, waiting included, by how busy the cores are. {spoken}",
    )
    filling = (
        " In batches a text waits for those that come after it, so a quiet service is slow too; one that "
        "sends off a batch before it is full waits less."
        if forms[0].batch > 1
        else ""
    )
    measure = "; a new benchmark measures it" if with_teacher(forms) else ""  # else there is none
    kept = (
        ""
        if all(form.quantiles for form in forms)
        else " How the times spread was not kept here: a log-normal distribution with their mean and "
        f"p95 stands for it{measure}."
    )
    st.caption(
        "Simulated from the measured times: texts come at random, evenly to all servers, and the cores of a "
        f"server share one queue. An open mark is your load at its peak.{filling}{kept}"
    )


def arithmetic(needs: Sequence[Requirement]) -> None:
    st.subheader("The arithmetic", anchor=False)
    for tab, need in zip(st.tabs([need.name for need in needs]), needs, strict=True):
        tab.text(unbroken("\n".join(need.lines)))


def _to_speed(run: RunRow) -> None:
    st.page_link(
        addresses.REPORT,
        label="Open the report's Speed tab",
        icon=":material/arrow_forward:",
        query_params={"run": run.id, "report.tab": "Speed"},
    )


def source(conditions: str, report: Report, measurement: Measurement, run: RunRow) -> None:
    if measurement.kind != "bench":
        whose = f"the {measurement.name}" if measurement.job else "the run itself"
        missing = "batches" if ("student", "int8") in measurement.latencies else "ONNX int8 and batches"
        more = f" Measure in the report's Speed tab to see {missing}."
        said = f"These times come from {whose}: one text at a time."
        st.info(said + more * (not report.teacher_is_file), icon=":material/timer:")
        if not report_times.unsteady(report):  # else it stands with the headline
            _to_speed(run)
    whose = report.whose_students
    if whose and not measurement.job:
        whose = f"Times are of the student {report.first_seed}; its scores are means over the seeds."
    st.caption(
        "Cores are taken to serve texts independently of each other, at the speed of 1 thread, and what they "
        "carry goes by the mean time, which is above the median. "
        f"{whose} {escape(conditions)}"
    )
