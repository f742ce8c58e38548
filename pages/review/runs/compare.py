"""Several runs side by side: curves, results, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from kd_core import config, figures
from kd_core.distillation import report_tables, roles
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared.charts import chart, is_dark
from pages.shared.state import store
from pages.shared.text import escape

NONE = "–"
CURVES: dict[Literal["accuracy", "loss"], str] = {
    "accuracy": "Validation accuracy",
    "loss": "Training loss",
}
MOST = len(figures.RUNS)  # as many as there are lines that can be told apart


def compare(runs: Sequence[RunRow]) -> None:
    st.subheader("Side by side", anchor=False)
    if len(runs) > MOST:
        st.caption(f"Of {len(runs):,} chosen runs, the first {MOST} are drawn and compared.")
    shown = dict(zip(_labels(runs[:MOST]), runs[:MOST], strict=True))
    left, right = st.columns(2)
    with left:
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
            else:
                chart(
                    figures.overlay(curves, value, log=log and value == "loss", dark=is_dark()),
                    key="runs.overlay",
                    alt=f"{value.capitalize()} of the distilled students over the training steps",
                )
                if unstarted:
                    st.caption(escape(f"Without a curve of its student: {', '.join(unstarted)}."))
    done = {label: run for label, run in shown.items() if run.verdict}
    with right:
        if done:
            gains = {label: run.gain for label, run in done.items() if run.gain}
            chart(
                figures.verdicts(gains, dark=is_dark()),
                key="runs.verdicts",
                alt="; ".join(f"{label}: {formatting.points(delta)}" for label, (delta, *_) in gains.items()),
            )
            st.caption("Bars are 95 % intervals. Grey: the test texts cannot tell the gain from zero.")
        else:
            st.info("None of these runs is done, so there are no results yet.", icon=":material/info:")
    if done:
        st.markdown("**Results**")
        st.dataframe(
            pd.DataFrame({label: _results(run) for label, run in done.items()}),
            key="runs.results",
            alt="Results of the chosen runs",
        )
    st.markdown("**Settings that differ**")
    differing = config.differing([run.config for run in shown.values()])
    if differing:
        rows = {setting: [_shown(value) for value in values] for setting, values in differing.items()}
        st.dataframe(
            pd.DataFrame.from_dict(rows, orient="index", columns=list(shown)),
            key="runs.settings",
            alt="Settings in which the chosen runs differ",
        )
    else:
        st.caption("None: these runs have the same settings.")


def _labels(runs: Sequence[RunRow]) -> list[str]:
    """The runs' titles; with the end of the id where two share one."""
    names = [run.title for run in runs]
    return [
        f"{name} ({run.id[-4:]})" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]


def _results(run: RunRow) -> dict[str, str]:
    """Of one run, in words; accuracies with half of their 95 % interval."""
    report = store().report(run.id)
    quality = report.measures.capitalize()
    rows = {
        f"{quality}, {formatting.in_sentence(name)}": f"{formatting.percent(model.accuracy)} "
        f"{formatting.plus_minus(model.low, model.high)}"
        if (model := report.judged.get(who))
        else NONE
        for who, name in roles.NAMES.items()
    }
    return rows | {
        "Gain over its control": report_tables.gain(report.verdict) if report.verdict else NONE,
        "Agreement with the teacher": formatting.percent(report.fidelity.agreement),
        "Calibration error": formatting.percent(report.student.ece),
        "Parameters": formatting.count(report.student.params),
        "Size": formatting.megabytes(report.student.size_mb),
        "Latency, p50": formatting.milliseconds(report.student.p50),
    }


def _shown(value: object) -> str:
    match value:
        case None:
            return NONE
        case bool():
            return "on" if value else "off"
        case list():
            return ", ".join(map(str, value))
    return str(value)
