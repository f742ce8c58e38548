"""Several runs side by side: curves, results, and the settings in which they differ."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from kd_core import config, figures
from kd_core.deployment.times import timed
from kd_core.distillation import report_tables, roles
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError
from kd_core.figures.style import label_of
from kd_core.jobs.store import RunRow
from kd_core.search.ladder import NEVER
from kd_core.system import formatting
from pages.shared.charts import chart, is_dark
from pages.shared.state import store
from pages.shared.text import escape, told_apart
from pages.shared.visitors import on_a_phone

NONE = "–"
CURVES: dict[Literal["accuracy", "loss"], str] = {
    "accuracy": "Validation",
    "loss": "Training loss",
}
COLUMN = st.column_config.Column
BASELINE = 250  # pixels; a column that is pinned does not stretch, and cut a gain's interval
OF_PRESETS = ("layers", "hidden", "heads", "intermediate")  # of which a preset has its own
MOST = len(figures.RUNS)  # as many as there are lines that can be told apart


def compare(runs: Sequence[RunRow]) -> None:
    st.subheader("Side by side", anchor=False)
    if len(runs) > MOST:
        st.caption(f"Of {len(runs):,} chosen runs, the first {MOST} are drawn and compared.")
    labels = told_apart({run.id: run.title for run in runs[:MOST]})
    shown = {labels[run.id]: run for run in runs[:MOST]}
    baseline = st.selectbox(
        "Baseline",
        list(shown),
        index=len(shown) - 1,  # the oldest: what came later was to be better
        key=f"runs.baseline.{zlib.crc32(' '.join(run.id for run in shown.values()).encode())}",
        help="The run that the others are compared with. It comes first.",
        width=420,
    )
    shown = {baseline: shown[baseline], **shown}
    _settings(shown)
    left, right = st.columns(2)
    with left:
        _gains(shown)
    with right:
        _over(baseline, shown)
    _curves(shown)
    done = {label: run for label, run in shown.items() if run.verdict}
    if done:
        st.markdown("**Results**")
        results = pd.DataFrame({label: _results(run) for label, run in done.items()}).fillna(NONE)
        st.dataframe(
            results[(results != NONE).any(axis=1)],  # not what none of them has
            key="runs.results",
            column_config=_columns(list(done), baseline),
            row_height=68 if on_a_phone() else None,  # from 65 on words break their lines
            height="content",
            alt="Results of the chosen runs",
        )


def _settings(shown: Mapping[str, RunRow]) -> None:
    st.markdown("**Settings that differ**")
    differing = config.differing([run.config for run in shown.values()])
    if not differing:
        st.caption("None: these runs have the same settings.")
        return
    rows = {
        setting: [_set(run, setting, value) for run, value in zip(shown.values(), values, strict=True)]
        for setting, values in differing.items()
    }
    st.dataframe(
        pd.DataFrame.from_dict(rows, orient="index", columns=list(shown)),
        key="runs.settings",
        column_config=_columns(list(shown), next(iter(shown))),
        alt="Settings in which the chosen runs differ",
    )


def _columns(labels: Sequence[str], baseline: str) -> dict[str, Any]:
    """The baseline stays in sight. On a phone columns are so narrow that two runs fit side by side."""
    if not on_a_phone():
        return {baseline: COLUMN(pinned=True, width=BASELINE)}
    return {"_index": COLUMN(width=124)} | {
        label: COLUMN(width=108, pinned=label == baseline) for label in labels
    }


def _gains(shown: Mapping[str, RunRow]) -> None:
    """What distillation added in each run, over its own student alone."""
    gains = {}
    metrics = {run.judged_by for run in shown.values() if run.gain}
    for label, run in shown.items():
        # Of one metric for all the axis tells: a name is cut where it is long.
        apart = f", in {run.judged_by}" if len(metrics) > 1 and run.judged_by != "accuracy" else ""
        if run.gain:
            gains[f"{label}{apart}{run.over_hard_answers}"] = run.gain
    of = f" of {label_of(metrics.pop())}" if len(metrics) == 1 else ""
    if not gains:
        st.info("None of these runs is done, so there are no results yet.", icon=":material/info:")
        return
    chart(
        figures.verdicts(gains, unit=f"Points{of}", dark=is_dark()),
        key="runs.verdicts",
        alt="; ".join(f"{label}: {formatting.points(delta)}" for label, (delta, *_) in gains.items()),
    )
    hard = any(run.over_hard_answers for run in shown.values() if run.gain)
    st.caption(
        f"Over the student alone{' or, where it is named, on hard answers' * hard}, with 95 % intervals. An "
        "open mark: the test texts cannot tell it from zero."
    )


def _over(baseline: str, shown: Mapping[str, RunRow]) -> None:
    """The other runs' students against the baseline's, on the same test texts."""
    pinned = shown[baseline]
    done = {label: run for label, run in shown.items() if run.status == "done" and label != baseline}
    if pinned.status != "done" or not done:
        return
    alike = {run.judged_by for run in (pinned, *done.values())} == {pinned.judged_by}
    metric = pinned.metric if alike else "accuracy"
    judged = pinned.judged_by if alike else roles.metric_name(metric)
    found: dict[str, Verdict] = {}
    problems = []
    for label, run in done.items():
        try:
            found[label] = _student_over(run.id, pinned.id, metric)
        except RunError as error:
            problems.append(str(error).replace(run.id, label).replace(pinned.id, baseline))
    if found:
        chart(
            figures.verdicts(
                {label: (gap.delta, gap.low, gap.high) for label, gap in found.items()},
                "Distilled students against the baseline's",
                f"Points of {label_of(judged)}, text by text",
                dark=is_dark(),
            ),
            key="runs.over",
            alt="; ".join(f"{label}: {report_tables.gain(gap)}" for label, gap in found.items()),
        )
        st.caption(escape(f"Zero is the student of {baseline}. All have answered the same test texts."))
        seeds = {label: run.config["training"]["seeds"] for label, run in shown.items()}
        if fewer := [label for label in found if len(seeds[label]) != len(seeds[baseline])]:
            whose = f"{', '.join(fewer)} {'has' if len(fewer) == 1 else 'have'} another number of seeds"
            st.caption(
                escape(f"Seeds are compared in pairs. {whose}, so that only the first ones of both count.")
            )
    for problem in dict.fromkeys(problems):
        st.caption(escape(problem))


@st.cache_data(max_entries=32, show_spinner=False)
def _student_over(run_id: str, baseline: str, metric: str) -> Verdict:
    """The folders of runs that are done do not change. Raises: RunError."""
    names = () if metric == "accuracy" else store().report(baseline).labels
    return student_over(run_id, baseline, metric, names)


def _curves(shown: Mapping[str, RunRow]) -> None:
    container = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        value = st.segmented_control(
            "Curve",
            list(CURVES),
            default="accuracy",
            required=True,
            format_func=CURVES.__getitem__,
            label_visibility="collapsed",
            key="runs.curve",
        )
        log = st.toggle("Log scale", key="runs.log", disabled=value != "loss")
    curve_of = store().evaluations if value == "accuracy" else store().curve
    curves = {label: curve_of(run.id) for label, run in shown.items()}
    unstarted = [label for label, curve in curves.items() if "student" not in set(curve["who"])]
    with container:
        if len(unstarted) == len(curves):
            st.info(
                "None of these runs has a curve: their students have not begun to learn. "
                "Open one to see why, or choose others.",
                icon=":material/show_chart:",
            )
            return
        chart(
            figures.overlay(curves, value, log=log and value == "loss", dark=is_dark()),
            key="runs.overlay",
            alt=f"{value.capitalize()} of the distilled students over the training steps",
        )
        if unstarted:
            st.caption(escape(f"Without a curve of its student: {', '.join(unstarted)}."))


def _results(run: RunRow) -> dict[str, str]:
    """Of one run, in words; what it is judged by and accuracies with their 95 % intervals."""
    report, _ = timed(store(), run.id)
    rows = {
        f"{formatting.capitalised(measure)}, {formatting.in_sentence(name)}": (
            report_tables.score(report.judged[who], metric) if who in report.judged else NONE
        )
        for metric, measure in {report.metric: report.judged_by, "accuracy": report.measures}.items()
        for who, name in roles.NAMES.items()
    }
    times = report.student.latency_ms
    beside = ", timed beside other work" if times and times.waited else ""
    gain = report.verdict and report_tables.gain(report.verdict, report.judged_by)
    return rows | {
        "Gain over its control": gain or NONE,
        "Agreement with the teacher": formatting.percent(report.fidelity.agreement)
        + ", first seed" * (len(report.student.seeds) > 1),
        "Calibration error": formatting.percent(report.student.ece),
        "Parameters": formatting.count(report.student.params),
        "Size": formatting.megabytes(report.student.size_mb),
        "Latency, p50": formatting.milliseconds(report.student.p50) + beside,
    }


def _set(run: RunRow, setting: str, value: object) -> str:
    """A setting in words; of one that is left to KD Studio or to a preset, what a finished run made of it."""
    if setting == "training.evaluate_every" and value == NEVER:
        return "at its end alone"
    if setting == "task.name":
        return run.task  # without the folders of a file
    section, name = setting.split(".")
    made = value
    if run.status == "done" and (value == "auto" or name in OF_PRESETS):
        made = store().report(run.id).config.get(section, {}).get(name, value)
    if setting == "task.train_texts" and made == 0:
        return "all"
    return f"{_shown(made)} (auto)" if value == "auto" != made else _shown(made)


def _shown(value: object) -> str:
    match value:
        case None:
            return NONE
        case bool():
            return "on" if value else "off"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(str, value))
    return str(value)
