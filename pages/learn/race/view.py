"""A race while it is run, and its podium."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import DistillConfig
from kd_core.distillation import events, roles
from kd_core.jobs.states import ACTIVE, PENDING
from kd_core.jobs.store import RunRow
from kd_core.learn.race import Pair, lane_names, pairs, places, standing, teacher_accuracy
from kd_core.system import formatting
from pages.learn.race.podium import between_seeds, last_look, leader, place, podium, result
from pages.shared import addresses
from pages.shared.badges import status_badge
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.state import runner, store
from pages.shared.text import escape


def race_view(run_ids: Sequence[str]) -> None:
    """Updates itself every two seconds until the last lane is through. Raises: KDError."""
    under_way = any(store().run(run_id).status in PENDING for run_id in run_ids)
    again(_view, tuple(run_ids), under_way, every=2 if under_way else None)


def _view(run_ids: tuple[str, ...], under_way_before: bool) -> None:
    runs = [store().run(run_id) for run_id in run_ids]
    under_way = any(run.status in PENDING for run in runs)
    if under_way_before and not under_way:
        st.rerun()  # of the whole page: a fragment cannot end its own timer
    configs = [DistillConfig.from_dict(run.config) for run in runs]
    names = dict(zip(run_ids, lane_names(configs), strict=True))
    curves = {names[run.id]: store().evaluations(run.id) for run in runs}
    done = [run for run in runs if run.status == "done"]
    compared = None if under_way or len(done) < 2 else _pairs(tuple(run.id for run in done))
    left, right = st.columns([8, 4], gap="large")
    with left:
        # Not put into an st.empty() later: between two deltas the page would be shorter, and jump.
        if compared is not None:
            st.markdown(result(places([run.id for run in done], compared), names))
        teachers = map(teacher_accuracy, configs, curves.values())
        teacher = max((accuracy for accuracy in teachers if accuracy is not None), default=None)
        steps = max(_steps(run, curves[names[run.id]]) for run in runs)
        _chart(curves, teacher, steps, under_way, compared is None)
    with right:
        for run in runs:
            _lane(run, names[run.id])
    if under_way:
        _stop(runs)
    elif compared is not None:
        _podium(done, names, compared)
    else:
        st.info(
            "The race is over without a podium: it needs two lanes that came to their end. What was "
            "stopped can go on, on Runs.",
            icon=":material/flag:",
        )


def _steps(run: RunRow, curve: pd.DataFrame) -> int:
    """A link may name a run that left them open, as no lane does: then as many as have been looked at."""
    steps = run.config["training"]["steps"]
    if steps == "auto":
        return int(curve["step"].max()) if len(curve) else 1
    return int(steps)


def _chart(
    curves: dict[str, pd.DataFrame], teacher: float | None, steps: int, under_way: bool, undecided: bool
) -> None:
    students = {name: curve[curve["who"] == "student"] for name, curve in curves.items()}
    if undecided and ((standings := standing(students)) or under_way):
        st.markdown(f"**{leader(standings, len(curves))}**")
    chart(
        figures.race_chart(students, teacher, steps, dark=is_dark()),
        key="race.chart",
        alt="Validation accuracy over the steps. " + "; ".join(last_look(*lane) for lane in students.items()),
    )


def _lane(run: RunRow, name: str) -> None:
    with st.container(border=True, gap="xsmall", key=f"race.lane_{run.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escape(name)}**", width="content")
            status_badge(run.status)
        if run.status in ACTIVE:
            left = f", {formatting.duration(run.seconds_left)} left" if run.seconds_left is not None else ""
            st.progress(run.progress, text=f"{_where(run)}{left}")
        elif run.status == "done":
            st.page_link(
                addresses.REPORT,
                label="Report",
                icon=":material/lab_profile:",
                query_params={"run": run.id},
                width="content",
            )
        elif run.error:
            st.caption(escape(run.error))


def _where(run: RunRow) -> str:
    """Who is trained, or else which step it is at."""
    if run.who:
        return roles.NAMES[run.who]
    return events.STEP_NAMES[run.stage] if run.stage else "Getting ready"


def _stop(runs: Sequence[RunRow]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Stop all", key="race.stop", icon=":material/stop:"):
            for run in reversed(runs):  # those that wait first, so that none starts meanwhile
                if run.status in PENDING:
                    runner().stop(run.id)
        st.caption(f"Updated {datetime.now():%H:%M:%S}", width="content")


@st.cache_data(max_entries=16, show_spinner="Comparing")
def _pairs(run_ids: tuple[str, ...]) -> list[Pair]:
    """Raises: RunError."""
    return pairs(run_ids)


def _podium(runs: Sequence[RunRow], names: dict[str, str], compared: Sequence[Pair]) -> None:
    rank = places([run.id for run in runs], compared)
    rows = []
    for run in sorted(runs, key=lambda run: (rank[run.id], -run.accuracy["student"])):
        student = store().report(run.id).student
        rows.append(
            {
                "Place": place(run.id, rank),
                "Lane": names[run.id],
                "Test accuracy": formatting.with_interval(student.accuracy, student.low, student.high),
                "Gain over alone": f"{run.gained} ({formatting.interval(*run.gain[1:])})" if run.gain else "",
                "Parameters": formatting.count(student.params),
            }
        )
    seeds = "All of it is for the one seed that was raced."
    podium(rows, compared, names, seeds)
    st.markdown(
        ":material/casino: One seed is little. In the recorded lab, students of the same setting lie up to "
        f"**{100 * between_seeds():.1f} points** apart by their seed alone. What is closer here may end the "
        "other way round with another seed: compare settings over several of them in Search."
    )
