"""The live view of one run: where it is, how it learns, and the buttons that pause and stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import LEARNS_CHOICES
from kd_core.distillation import events, report_tables, roles
from kd_core.distillation.events import Stage
from kd_core.distillation.roles import Role
from kd_core.jobs.states import ACTIVE, PENDING
from kd_core.jobs.store import RunRow, StageRow
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.badges import floor_badge, status_badge, verdict_badge
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.live_job import asked
from pages.shared.run_time import time_against_estimate, why_it_is_slow
from pages.shared.state import runner, store
from pages.shared.text import escape, term, unbroken, verdict_words

ICONS = {
    "waiting": ":material/radio_button_unchecked:",
    "queued": ":material/schedule:",
    "running": ":material/pending:",
    "paused": ":material/pause_circle:",
    "done": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "failed": ":material/error:",
    "interrupted": ":material/power_off:",
}
POINTS = 200  # of a curve: each update costs the training what the browser and this process spend on it
BEFORE = "Reads the texts and loads the teacher, which takes longer while this machine has other work."
NOTHING_YET = "It ended before its first training step, so there are no curves and no checkpoint yet."


def live_view(run: RunRow) -> None:
    """Updates itself every two seconds while the run is under way: more often would slow the training."""
    again(_view, run.id, run.status, every=2 if run.status in PENDING else None)


def stepper(stages: Mapping[Stage, tuple[str, str]]) -> None:
    """The four steps as a timeline: state and a few words for each, and what it does for who opens it.

    All are closed, so that the timeline is as high at the end as at the beginning.
    """
    with st.container(gap=None):
        for stage, (state, text) in stages.items():
            label = f"**{events.STEP_NAMES[stage]}** · {text}"
            with st.expander(label, icon=ICONS[state], type="step"):
                st.caption(events.STEP_SENTENCES[stage])


def _view(run_id: str, status_before: str) -> None:
    run = store().run(run_id)
    if status_before in PENDING and run.status not in PENDING:
        st.rerun()  # of the whole page: a fragment cannot end its own timer
    _head(run)
    if run.status == "queued":
        _queue(run)
        return
    rows = store().stages(run_id)
    stepper({row.stage: (row.state, _step_text(run, row)) for row in rows})
    role = _shown_role(run)
    with st.container(key="live.now"):  # as high while it runs as it is at the end: see app.css
        if run.status in PENDING:
            # In one container, as the verdict is, which takes its place piece by piece.
            with st.container(key="live.progress"):
                _progress(run, rows)
        else:
            _ending(run, began=role is not None)
    if role:
        _curves(run, role)
    for entry in store().events(run.id):  # they come while it runs: below what is watched
        if isinstance(entry.event, events.Note):
            st.info(escape(entry.event.text), icon=":material/info:")


def _head(run: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="live.head"):
        st.subheader(escape(run.title), anchor=False, width="content")
        status_badge(run.status)
    temperature = formatting.or_auto(run.temperature or "auto")
    settings = f"T = {temperature}, alpha = {run.config['objective']['alpha']:g}, run {run.id}"
    if run.name:
        settings = f"{run.models}, {settings}"
    st.caption(unbroken(escape(settings)))


def _queue(run: RunRow) -> None:
    others = store().runs(status=PENDING, here=True)
    ahead = sum(other.status == "queued" and other.created < run.created for other in others)
    ahead += any(other.status in ACTIVE for other in others)  # a ladder and its run are one
    if not run.is_here:
        st.info(
            f"Waits for its turn on {escape(run.machine)}, where it was set up.", icon=":material/schedule:"
        )
    elif ahead:
        st.info(
            f"Position {ahead} in the queue: one run at a time uses this machine. This one starts by itself.",
            icon=":material/schedule:",
        )
    else:
        st.info("Starts in a moment.", icon=":material/schedule:")
    if st.button("Cancel this run", key="live.cancel", icon=":material/close:"):
        runner().cancel(run.id)
        st.rerun()


def _step_text(run: RunRow, row: StageRow) -> str:
    if row.stage == "teach" and run.config["task"].get("knowledge"):
        return "not needed"
    if row.state == "done":
        return "from the cache" if row.cached else formatting.duration(row.seconds or 0)
    prepares = row.stage in ("teach", "distil") and not run.who
    if row.state == "running" and run.steps and not prepares:
        return f"{100 * run.step / run.steps:.0f} %"
    waiting = "waits" if run.status in PENDING else "not begun"
    return {"running": "starting", "waiting": waiting}.get(row.state, row.state)


def _model_name(run: RunRow) -> str:
    return roles.NAMES[run.who] if run.who else ""


def _progress(run: RunRow, rows: Sequence[StageRow]) -> None:
    stage = f"{_model_name(run)}: step" if run.who else escape(formatting.capitalised(run.label or ""))
    parts = ["Getting ready"]
    if run.steps:  # the step is of one training, the bar of the whole run
        parts = [f"{stage} {run.step:,} of {run.steps:,}", f"{100 * run.progress:.0f} % of the run"]
    waits = asked(run)
    if run.status == "paused":
        parts = ["Paused", *parts]
    elif waits:
        parts = [waits, *parts]
    elif run.seconds_left is not None:
        parts.append(f"{formatting.duration(run.seconds_left)} left")
    st.progress(run.progress, text=" · ".join(parts))
    with st.container(horizontal=True, vertical_alignment="center", key="live.buttons"):
        if run.status == "paused":
            if st.button("Resume", key="live.resume", icon=":material/play_arrow:"):
                runner().resume(run.id)
        elif st.button("Pause", key="live.pause", icon=":material/pause:", disabled=bool(waits)):
            runner().pause(run.id)
            st.rerun()
        with st.popover("Stop", icon=":material/stop:", key="live.stop_menu"):
            st.markdown("The last checkpoint is kept, so you can resume this run later.")
            if st.button("Stop this run", key="live.stop", type="primary", disabled=waits == "Stopping"):
                runner().stop(run.id)
                st.rerun()
        st.caption(f"Updated {datetime.now():%H:%M:%S}", width="content")
    now = next((row.stage for row in rows if row.state in ACTIVE), None)
    between = "Between two steps." if any(row.state == "done" for row in rows) else BEFORE
    st.caption(events.STEP_SENTENCES[now] if now else between)
    if run.status == "running" and (slow := why_it_is_slow(run)):
        st.caption(f":material/hourglass_top: {slow}")


def _shown_role(run: RunRow) -> Role | None:
    """The model whose curves are shown: the one in training, or else the first that has any; None without."""
    if run.status in PENDING:
        return run.who or "student"
    reached: tuple[Role, ...] = ("student", "teacher", "alone")
    return next((who for who in reached if len(store().curve(run.id, POINTS, who=who))), None)


def _ending(run: RunRow, *, began: bool) -> None:
    """``began``: whether the run got as far as training."""
    if run.status == "done":
        report = store().report(run.id)
        with st.container(border=True, key="live.verdict"):
            with st.container(horizontal=True):
                if report.verdict:
                    verdict_badge(report.verdict.kind, report.verdict.seeds, help=term("verdict"))
                if report.over_floor:
                    floor_badge(report.over_floor.kind, help=term("TF-IDF"))
            verdict_words(report.sentence)
            if comparison := time_against_estimate(run, report.seconds):
                st.caption(comparison)
            st.page_link(
                addresses.REPORT,
                label="Open the report",
                icon=":material/lab_profile:",
                query_params={"run": run.id},
            )
        if not began:
            st.caption("The curves of this run were not recorded in this database.")
        return
    kept = "Its last checkpoint is kept." if began else NOTHING_YET
    if run.status == "failed":
        st.error(escape(run.error or "It failed without a reason."), icon=":material/error:")
        if not began:
            st.caption(f"{NOTHING_YET} Correct what the message names, in the form or on this machine.")
    elif run.status == "interrupted":
        if began:  # a program that is killed writes no last checkpoint
            kept = "About the last half minute of training is lost at most."
        st.warning(f"The program that ran it went away. {kept}", icon=":material/power_off:")
    else:
        st.info(f"Stopped. {kept}", icon=":material/stop_circle:")
    again = "Resume from the last checkpoint" if began else "Start it again"
    if st.button(again, key="live.resume", icon=":material/play_arrow:"):
        runner().resume(run.id)
        st.rerun()


def _curves(run: RunRow, role: Role) -> None:
    curve = store().curve(run.id, POINTS, who=role)
    config = _resolved(run)
    metric = str(config["training"].get("metric", "accuracy"))  # by what its weights are chosen
    evaluations, measure = report_tables.validation_scores(
        store().evaluations(run.id), metric, chosen=config.get("task", {}).get("gold") in LEARNS_CHOICES
    )
    learning = role == "teacher"
    shown = evaluations[(evaluations["who"] == "teacher") == learning]
    _numbers(curve, evaluations[evaluations["who"] == role], measure)
    log = st.toggle("Log scale", key="live.log")
    chart(
        figures.loss_curves(curve, who=role, log=log, dark=is_dark()),
        key="live.loss",
        alt=f"Training loss over the steps: {roles.NAMES[role].lower()}.",
    )
    level = None if learning else report_tables.teacher_validation(evaluations, config)
    chart(
        figures.validation_curves(shown, level, measure=measure, dark=is_dark()),
        key="live.validation",
        alt=f"Validation {measure} over the steps, with the teacher's as a line.",
    )


def _resolved(run: RunRow) -> Mapping[str, Any]:
    """Its settings without ``auto``, once it has read its task."""
    for entry in store().events(run.id):
        if isinstance(entry.event, events.Resolved):
            return entry.event.config
    return run.config | {"training": run.config["training"] | {"metric": run.metric}}


def _numbers(curve: pd.DataFrame, evaluations: pd.DataFrame, measure: str) -> None:
    """The latest of each; a dash until there is one, so that nothing jumps."""
    last = curve.iloc[-1] if len(curve) else None
    with st.container(horizontal=True, gap="xsmall", key="live.numbers"):
        for label, column, form in (
            ("Training loss", "loss", ".3f"),
            (
                "Texts per second",
                "samples_per_second",
                ",.0f" if last is None or last.samples_per_second >= 10 else ".1f",
            ),
            ("Learning rate", "learning_rate", ".2g"),
        ):
            meaning = term("objective") if column == "loss" else None
            st.metric(label, "–" if last is None else f"{last[column]:{form}}", width=122, help=meaning)
        scores = evaluations["score"].dropna()
        latest = formatting.percent(float(scores.iloc[-1])) if len(scores) else "–"
        what = escape(formatting.capitalised(measure))
        st.metric("Validation", latest, width=122, help=f"{what} on the validation texts, latest look")
