"""The top of a report: which run, what can be done with it, and the verdict with its three measures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

import streamlit as st

from kd_core import figures
from kd_core.config import LAST_SEED, MOST_SEEDS, DistillConfig
from kd_core.distillation import report_tables, report_times, roles
from kd_core.distillation.report import ModelReport, Report
from kd_core.figures.html_report import html_report
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.badges import floor_badge, status_badge, verdict_badge
from pages.shared.charts import chart, is_dark
from pages.shared.run_form.link import run_link
from pages.shared.run_time import time_against_estimate
from pages.shared.state import runner, store
from pages.shared.text import FIND_SMALLEST, escape, plain_words, term, unbroken, verdict_words

COSTS: tuple[Literal["size", "latency"], ...] = ("size", "latency")
SAME_SHAPE = {*roles.STUDENTS} - {"student"}  # as the distilled student
NOT_BY_SIZE = (
    "Speed does not follow size: what is computed takes the time, and a look-up in the table of word pieces, "
    "which holds many of the parameters, takes almost none."
)
AS_GOOD, BETTER = "A control does as well", "A control does better"
ENDED = {"failed": "failed", "stopped": "was stopped", "interrupted": "was interrupted"}


def actions(run: RunRow, report: Report) -> None:
    with st.container(horizontal=True, key="report.actions"):
        st.download_button(
            "Download HTML",
            lambda: _html(run, report),
            file_name=f"kd-{run.id}.html",
            mime="text/html",
            icon=":material/download:",
            key="report.html",
            on_click="ignore",
            help="The whole report as one file that needs neither KD Studio nor a network",
        )
        st.download_button(
            "Download JSON",
            lambda: json.dumps(store().report_json(run.id), indent=1, ensure_ascii=False),
            file_name=f"kd-{run.id}.json",
            mime="application/json",
            icon=":material/data_object:",
            key="report.json",
            on_click="ignore",
        )
        duplicate(run)
        _more_seeds(run, report)
        if st.button("Export", icon=":material/archive:", key="report.export"):
            st.switch_page(addresses.EXPORT, query_params={"run": run.id})
        if st.button("Open in playground", icon=":material/forum:", key="report.playground"):
            st.switch_page(addresses.PLAYGROUND, query_params={"run": run.id})


def duplicate(run: RunRow) -> None:
    if st.button(
        "Duplicate",
        icon=":material/content_copy:",
        key="report.duplicate",
        help="Open the form with this run's settings",
    ):
        st.switch_page(addresses.DISTILL, query_params=run_link(run))


def _more_seeds(run: RunRow, report: Report) -> None:
    """A new run with two seeds more: teacher, knowledge, cached controls and this run's students are kept."""
    config = DistillConfig.from_dict(report.config)
    seeds = config.training.seeds
    if max(seeds) + 2 > LAST_SEED or len(seeds) + 2 > MOST_SEEDS:
        return
    if st.button(
        "Add two seeds",
        icon=":material/casino:",
        key="report.seeds",
        help=f"Train the students {len(seeds) + 2} times in all; what is trained already stays",
    ):
        title = f"{run.title}, {len(seeds) + 2} seeds"
        run_id = runner().submit(config.with_more_seeds(2), title, token=f"seeds {run.id}")
        st.switch_page(addresses.DISTILL, query_params={"run": run_id})


def title(run: RunRow, seconds: float | None = None) -> None:
    st.title(escape(run.title), anchor=False)
    facts = [escape(run.models)] if run.name else []
    facts += [f"{run.created.astimezone():%d %b %Y}"]
    facts += [formatting.duration(seconds)] if seconds is not None else []
    st.caption(", ".join([*facts, f"`{run.id}`"]))


def verdict(run: RunRow, report: Report) -> None:
    title(run, sum(report.seconds.values()))
    with st.container(border=True, key="report.verdict"):
        with st.container(horizontal=True):
            if report.verdict:
                verdict_badge(report.verdict.kind, report.verdict.seeds, help=term("verdict"))
            if report.as_good and report.verdict and report.verdict.kind == "helped":
                st.badge(_control_does(report), color="orange", icon=":material/balance:")
            if report.over_floor:
                floor_badge(report.over_floor.kind, help=term("TF-IDF"))
        if verdict_words(report.sentence):
            st.page_link(
                addresses.DISTILL,
                label=FIND_SMALLEST,
                icon=":material/stairs:",
                query_params=run_link(run),
                width="content",
            )
        all_right = report.student.accuracy == report.control.accuracy == 1  # nothing is above that
        if report.verdict and report.verdict.kind == "no_difference" and not all_right:
            _what_now(report)
        for note in report.notes:
            st.caption(escape(plain_words(note)))
        if comparison := time_against_estimate(run, report.seconds):
            st.caption(comparison)


def _control_does(report: Report) -> str:
    """Of ``as_good``, in words."""
    return BETTER if any(report.gains[who].kind == "hurt" for who in report.as_good) else AS_GOOD


def _what_now(report: Report) -> None:
    """What to conclude, and what may change it: the cheapest first."""
    metric, unlabelled = report.metric, report.has_transfer_set
    helps = {
        "unlabelled texts that the teacher answers (a transfer set, see **Data**)": not unlabelled,
        "a larger student": report.student.by(metric) < report.teacher.by(metric),
        "**Search** for its settings": unlabelled,
    }
    more = ", or ".join(change for change, may in helps.items() if may)
    with st.expander("What to conclude, and what to do next", icon=":material/signpost:", key="report.now"):
        st.markdown(
            "- **Nothing is shown either way.** The interval holds zero, so the gain may be luck. It holds "
            "larger gains too, which these texts cannot rule out.\n"
            "- **The student may be worth using all the same:** see below what it keeps of its teacher, its "
            "size and its speed. But the same student trained alone may do as well.\n"
            "- **To see more, measure more:** press *Add two seeds*, or bring more test texts.\n"
            f"- **To gain more, change something:** {more}."
        )
        st.page_link(
            addresses.LESSONS,
            label="Lesson: When it does not help",
            icon=":material/cast_for_education:",
            query_params={"lesson": "when-not"},
        )


def measures(report: Report) -> None:
    """How good all models are and how far apart, then what compression bought."""
    kept, dark = report_tables.kept(report), is_dark()
    left, right = st.columns(2)
    with left.container(border=True, height="stretch"):
        st.markdown(unbroken(f"**{escape(kept['accuracy'])}**"))
        chart(figures.accuracies(report, dark=dark), key="report.accuracy", alt=_spoken(report, "accuracy"))
        measure = escape(formatting.capitalised(report.judged_by))
        st.caption(f"{measure} on {report.rows['test']:,} test texts. A line is a 95 % interval.")
    with right.container(border=True, height="stretch"):
        _differences(report, dark)
    for column, measure in zip(st.columns(2), COSTS, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{kept[measure]}**")
            figure = figures.bars(report, measure, dark=dark)
            chart(figure, key=f"report.{measure}", alt=_spoken(report, measure))
            if measure == "latency":
                said = (
                    report_times.unsteady(report),
                    report_times.timed_by(report),
                    report_times.ONE_LATENCY,
                    NOT_BY_SIZE,
                )
                st.caption(escape(" ".join(filter(None, said))))


def _differences(report: Report, dark: bool) -> None:
    """The same texts answered by two models tell more than their two intervals: the main picture."""
    controls = [who for who in report.gains if who in roles.STUDENTS]
    if controls:
        heading = "Better than each control" if len(controls) > 1 else "Better than its control"
        if report.as_good:
            heading = _control_does(report)
        st.markdown(f"**{heading}**")
    if report.gains:
        spoken = (f"{roles.NAMES[who]}: {report_tables.gain(gap)}" for who, gap in report.gains.items())
        chart(
            figures.differences(report, dark=dark),
            key="report.differences",
            alt=f"Distilled student against each other model. {'; '.join(spoken)}.",
        )
        st.caption(
            "Both models' answers are compared text by text, which tells more than two intervals side by "
            "side. An open mark: it may be zero."
        )
        for as_good in report_tables.as_good(report):
            st.markdown(unbroken(escape(as_good)))


def unfinished(run: RunRow) -> None:
    """What there is to say of a run without a report, and where to go."""
    title(run)
    status_badge(run.status)
    if run.status in PENDING:
        st.info(
            f"This run is {run.status}, at {formatting.percent(run.progress, 0)}. "
            "Its report opens here when it is done.",
            icon=":material/hourglass_top:",
        )
        link = "Watch it live"
    else:
        st.warning(f"This run {ENDED[run.status]} and has no report.", icon=":material/info:")
        link = "Open it, to see how far it came and to resume it"
    if run.error:
        st.text(run.error)
    st.page_link(
        addresses.DISTILL,
        label=link,
        icon=":material/arrow_forward:",
        query_params={"run": run.id},
    )
    duplicate(run)


def _html(run: RunRow, report: Report) -> str:
    return html_report(
        report,
        name=run.title,
        config=run.config,
        curve=store().curve(run.id),
        evaluations=store().evaluations(run.id),
    )


def _spoken(report: Report, measure: str) -> str:
    """The numbers of the marks, read out."""
    value_of: Callable[[ModelReport], str] = {
        "accuracy": lambda model: formatting.percent(model.by(report.metric)),
        "size": lambda model: formatting.megabytes(model.size_mb),
        "latency": lambda model: formatting.milliseconds(model.p50),
    }[measure]
    numbers = (
        f"{roles.NAMES[who]} {value_of(model)}"
        for who, model in report.models.items()
        if value_of(model) and (measure == "accuracy" or who not in SAME_SHAPE)
    )
    name = report.judged_by if measure == "accuracy" else measure
    return f"{formatting.capitalised(name)}: {', '.join(numbers)}."
