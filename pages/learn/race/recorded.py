"""A race that was run before, shown again: a bet first, then the lanes look by look, then the podium."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kd_core import figures
from kd_core.distillation.metrics import wilson
from kd_core.learn.race import (
    ALONE,
    RACES,
    Pair,
    pairs_of,
    places,
    recorded_curves,
    recorded_right,
    standing,
)
from kd_core.learn.recorded import recorded_race as recorded
from kd_core.system import formatting
from pages.learn.race.podium import last_look, leader, place, podium, result, winners
from pages.shared import addresses
from pages.shared.charts import chart, is_dark
from pages.shared.presenting import presenter_switch, presenting, reset_button
from pages.shared.room.browsers import is_presenter
from pages.shared.room.vote_view import ask_the_room
from pages.shared.room.votes import Question
from pages.shared.text import escape
from pages.shared.visitors import in_classroom

TICK = 0.8  # seconds between two looks at the validation texts
STARTED, BET, COURSE = "race.started", "race.bet", "race.course"


def recorded_race(head: DeltaGenerator) -> None:
    """Once it is started it goes on by itself until all lanes are through. Its buttons go into ``head``."""
    course = next(iter(RACES))
    with head:
        if len(RACES) > 1:
            course = st.segmented_control(
                "Course",
                list(RACES),
                default=course,
                required=True,
                format_func=lambda name: RACES[name].title,
                label_visibility="collapsed",
                key=COURSE,
                on_change=_reset,
            )
        reset_button("race.reset", _reset)
        presenter_switch()
    looks = _looks(course)
    running = 0 <= _moment() < len(looks)
    if _moment() < 0:
        _bet(course)
    st.fragment(_view, run_every=TICK if running else None)(course, running)
    if in_classroom() and _moment() >= 0:
        ask_the_room(_question(course), "race")


def _reset() -> None:
    for key in (STARTED, BET):
        st.session_state.pop(key, None)


def _start() -> None:
    st.session_state[STARTED] = time.monotonic()
    st.session_state["race.bet_on"] = st.session_state.get(BET)


def _moment() -> int:
    """How many looks are over; −1 before the start."""
    started = st.session_state.get(STARTED)
    return -1 if started is None else int((time.monotonic() - started) / TICK)


@st.cache_data(max_entries=4, show_spinner=False)
def _curves(course: str) -> dict[str, pd.DataFrame]:
    return recorded_curves(recorded(course))


@st.cache_data(max_entries=4, show_spinner=False)
def _looks(course: str) -> list[int]:
    """The steps at which the students were looked at."""
    return sorted(_curves(course)[ALONE]["step"].unique())


def _lowest(course: str) -> float:
    """Where the axis begins: the lines come up from below it, and where they part there is room."""
    late = [
        curve[curve["step"] >= _looks(course)[-1] / 4]["accuracy"].min() for curve in _curves(course).values()
    ]
    return float(int(20 * min(late)) / 20)


@st.cache_data(max_entries=4, show_spinner="Comparing")
def _compared(course: str) -> list[Pair]:
    return pairs_of(recorded_right(recorded(course)))


def _question(course: str) -> Question:
    """The same bet for the room."""
    lanes = recorded_right(recorded(course))
    first = winners(places(list(lanes), _compared(course)))
    by_accuracy = sorted(lanes, key=lambda name: -lanes[name].mean())
    because = "Right on the test texts: " + ", ".join(
        f"{name} {formatting.percent(float(lanes[name].mean()))}" for name in by_accuracy
    )
    if len(first) > 1:
        because += f". {len(first)} share the first place: these texts cannot tell them from the best"
    return Question(
        escape(RACES[course].question),
        tuple(lanes),
        tuple(first),
        escape(f"{because}."),
        (addresses.RACE, "Watch the race"),
    )


def _bet(course: str) -> None:
    """One's own; in a classroom the presenter lets the room bet."""
    if in_classroom() and is_presenter():
        ask_the_room(_question(course), "race")
        _start_button(blocked=False)
        return
    with st.container(border=True, horizontal=True, vertical_alignment="bottom", key="race.betting"):
        st.radio(
            f":material/help: **First a bet.** {RACES[course].question}",
            list(_curves(course)),
            index=None,
            horizontal=True,
            key=BET,
            width="stretch",
        )
        _start_button(blocked=st.session_state.get(BET) is None and not presenting())


def _start_button(*, blocked: bool) -> None:
    st.button(
        "Start the race",
        key="race.go",
        type="primary",
        icon=":material/flag:",
        disabled=blocked,
        on_click=_start,
        help="Bet first: a guess is enough" if blocked else None,
    )


def _view(course: str, running_before: bool) -> None:
    looks, moment = _looks(course), _moment()
    if running_before and moment >= len(looks):
        st.rerun()  # of the whole page: a fragment cannot end its own timer
    until = looks[min(moment, len(looks)) - 1] if moment > 0 else 0
    curves = {name: curve[curve["step"] <= until] for name, curve in _curves(course).items()}
    alone = curves.pop(ALONE)
    everybody = curves | {ALONE: alone.assign(who="student")}
    report = recorded(course)
    if moment >= len(looks):
        st.markdown(result(places(list(everybody), _compared(course)), {name: name for name in everybody}))
    elif moment >= 0:
        st.markdown(f"**{leader(standing(everybody), len(everybody))}**")
    chart(
        figures.race_chart(
            curves,
            report["teacher"]["validation"],
            looks[-1],
            alone=alone,
            lowest=_lowest(course),
            names_above=presenting(),
            dark=is_dark(),
        ),
        key="race.recorded",
        alt="Validation accuracy over the steps. "
        + "; ".join(last_look(*lane) for lane in everybody.items()),
    )
    if moment >= len(looks):
        _end(course)
    _conditions(course)


def _end(course: str) -> None:
    report, compared = recorded(course), _compared(course)
    right = {name: float(lane.mean()) for name, lane in recorded_right(report).items()}
    rank = places(list(right), compared)
    if bet := st.session_state.get("race.bet_on"):
        won = bet in winners(rank)
        colour, icon = ("green", "check_circle") if won else ("orange", "lightbulb")
        end = "is among the first" if won and len(winners(rank)) > 1 else f"came in {place(bet, rank)}"
        st.markdown(f":{colour}[:material/{icon}: **Your bet, {escape(bet)}, {end}.**]")
    rows = []
    for name in sorted(right, key=lambda name: (rank[name], -right[name])):
        low, high = wilson(right[name], report["test_texts"])
        rows.append(
            {
                "Place": place(name, rank),
                "Lane": name,
                "Test accuracy": formatting.with_interval(right[name], low, high),
                "Gain over alone": "" if name == ALONE else formatting.points(right[name] - right[ALONE]),
            }
        )
    seeds = len(report["cells"]) // len(right)
    names = {name: name for name in right}
    podium(
        rows,
        compared,
        names,
        f"These are over texts and seeds, {seeds} for each lane; ± is by the test texts alone.",
    )
    st.caption(f"The teacher has {formatting.percent(report['teacher']['accuracy'])} on the test texts.")


def _conditions(course: str) -> None:
    report = recorded(course)
    config, machine = report["config"], report["machine"]
    seeds = len({cell["seed"] for cell in report["cells"]})
    st.caption(
        f"Recorded: {escape(config['task']['name'])}, student {escape(config['student']['model'])}, "
        f"{config['training']['steps']:,} steps; each line is the mean of {seeds} seeds. Shown are "
        f"validation texts; the podium is decided by {report['test_texts']:,} test texts, which no lane "
        "has learned from. "
        f"{escape(machine['processor'])}, PyTorch {escape(machine['torch'])}."
    )
