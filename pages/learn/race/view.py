"""A race while it is run, and its podium."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import DistillConfig
from kd_core.distillation import roles
from kd_core.errors import KDError
from kd_core.jobs.states import ACTIVE, PENDING
from kd_core.jobs.store import RunRow
from kd_core.learn.race import Pair, lane_names, pairs, places, standing
from kd_core.learn.recorded import recorded_lab
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.badges import status_badge
from pages.shared.charts import chart, is_dark
from pages.shared.state import runner, store
from pages.shared.text import escape

ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


def race_view(run_ids: Sequence[str]) -> None:
    """Updates itself every two seconds until the last lane is through. Raises: KDError."""
    under_way = any(store().run(run_id).status in PENDING for run_id in run_ids)
    st.fragment(_view, run_every=2 if under_way else None)(tuple(run_ids), under_way)


def _view(run_ids: tuple[str, ...], under_way_before: bool) -> None:
    try:
        runs = [store().run(run_id) for run_id in run_ids]
        under_way = any(run.status in PENDING for run in runs)
        if under_way_before and not under_way:
            st.rerun()  # of the whole page: a fragment cannot end its own timer
        configs = [DistillConfig.from_dict(run.config) for run in runs]
        names = dict(zip(run_ids, lane_names(configs), strict=True))
        curves = {names[run.id]: store().evaluations(run.id) for run in runs}
        left, right = st.columns([8, 4], gap="large")
        with left:
            _chart(curves, max(_steps(run) for run in runs))
        with right:
            for run in runs:
                _lane(run, names[run.id])
        if under_way:
            _stop(runs)
        elif len(done := [run for run in runs if run.status == "done"]) > 1:
            _podium(done, names)
    except KDError as error:  # deleted in another tab, or the database cannot be reached now
        st.error(escape(error), icon=":material/error:")


def _steps(run: RunRow) -> int:
    return int(run.config["training"]["steps"])


def _chart(curves: dict[str, pd.DataFrame], steps: int) -> None:
    together = pd.concat(curves.values())
    teacher_accuracies = together[together["who"] == "teacher"]["accuracy"]
    teacher = float(teacher_accuracies.max()) if len(teacher_accuracies) else None
    students = {name: curve[curve["who"] == "student"] for name, curve in curves.items()}
    standings = standing(students)
    st.markdown(f"**{_leader(standings, len(curves))}**")
    chart(
        figures.race_chart(students, teacher, steps, dark=is_dark()),
        key="race.chart",
        alt="Validation accuracy over the steps. " + "; ".join(_last(*lane) for lane in students.items()),
    )


def _last(name: str, curve: pd.DataFrame) -> str:
    if curve.empty:
        return f"{name} has not started"
    return (
        f"{name} {formatting.percent(float(curve['accuracy'].iloc[-1]))} at step {curve['step'].iloc[-1]:,}"
    )


def _leader(standings: tuple[int, dict[str, float]] | None, lanes: int) -> str:
    if standings is None:
        return "Nobody has started. The first look at the validation texts opens the race."
    step, accuracies = standings
    (first, best), *others = accuracies.items()
    if not others:
        return f"{escape(first)} is alone on the course: {formatting.percent(best)} at step {step:,}."
    second, next_best = others[0]
    field = "all lanes" if len(accuracies) == lanes else "the lanes so far"
    if best == next_best:
        return (
            f"At step {step:,}, which {field} have reached, {escape(first)} and {escape(second)} are level."
        )
    return (
        f"At step {step:,}, which {field} have reached, {escape(first)} leads with "
        f"{formatting.percent(best)}, {100 * (best - next_best):.1f} points before {escape(second)}."
    )


def _lane(run: RunRow, name: str) -> None:
    with st.container(border=True, gap="xsmall", key=f"race.lane_{run.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escape(name)}**", width="content")
            status_badge(run.status)
        if run.status in ACTIVE:
            left = f", {formatting.duration(run.seconds_left)} left" if run.seconds_left is not None else ""
            who = roles.NAMES[run.who] if run.who else "Getting ready"
            st.progress(run.progress, text=f"{who}{left}")
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


def _podium(runs: Sequence[RunRow], names: dict[str, str]) -> None:
    compared = _pairs(tuple(run.id for run in runs))
    rank = places([run.id for run in runs], compared)
    st.subheader("Podium", anchor=False)
    st.markdown(_result(rank, names))
    rows = []
    for run in sorted(runs, key=lambda run: (rank[run.id], -run.accuracy["student"])):
        student = store().report(run.id).student
        shared = list(rank.values()).count(rank[run.id]) > 1
        rows.append(
            {
                "Place": f"{ORDINALS[rank[run.id]]}{', shared' if shared else ''}",
                "Lane": names[run.id],
                "Test accuracy": f"{formatting.percent(student.accuracy)} "
                f"{formatting.plus_minus(student.low, student.high)}",
                "Gain over alone": formatting.points(run.delta or 0),
                "Parameters": formatting.count(student.params),
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="race.podium", alt="Places and test accuracies")
    for pair in compared:
        st.markdown(f"- {_in_words(pair, names)}")
    st.caption(
        "Accuracies ± half of their 95 % interval; differences text by text, each with its 95 % interval. "
        "Both are over the test texts alone, for the one seed that was raced."
    )
    st.markdown(
        ":material/casino: One seed is little. In the recorded lab, students of the same setting lie up to "
        f"**{100 * _between_seeds():.1f} points** apart by their seed alone. What is closer here may end the "
        "other way round with another seed: compare settings over several of them in Search."
    )


def _between_seeds() -> float:
    """The largest distance between two recorded students that differ only in their seed."""
    cells = pd.DataFrame(recorded_lab("transfer")["cells"])
    accuracies = cells.groupby(["who", "transfer"])["accuracy"]
    return float((accuracies.max() - accuracies.min()).max())


def _result(rank: dict[str, int], names: dict[str, str]) -> str:
    first = [escape(names[run_id]) for run_id, place in rank.items() if place == 1]
    if len(first) == 1:
        return f":material/trophy: **{first[0]} wins.**"
    return (
        f":material/balance: **{', '.join(first[:-1])} and {first[-1]} share the first place: the test texts "
        "cannot tell them from the best.**"
    )


def _in_words(pair: Pair, names: dict[str, str]) -> str:
    ahead, behind, gain = escape(names[pair.ahead]), escape(names[pair.behind]), pair.verdict
    span = formatting.interval(gain.low, gain.high)
    gap = f"{formatting.points(gain.delta)} ({span}, {gain.n:,} test texts)"
    if pair.told_apart:
        return f"{ahead} is better than {behind}: {gap}."
    return f"{ahead} and {behind} cannot be told apart: {gap}."
