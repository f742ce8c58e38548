"""The lanes of a race: two or three settings, and what they have in common."""

from __future__ import annotations

import streamlit as st

from kd_core.config import LESSON, DistillConfig, ObjectiveConfig, StudentConfig, TaskConfig
from kd_core.distillation.roles import CORE_ONLY
from kd_core.errors import KDError
from kd_core.jobs.estimate import Estimate
from kd_core.learn.race import LETTERS, TAG, lane_names
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.fields import field
from pages.shared.live_job import say_what_waits
from pages.shared.run_form.plan import estimate_of, plan_of, start
from pages.shared.state import store
from pages.shared.text import escape, term

TEMPERATURES = (1.0, 4.0, 12.0)  # what the lanes start with
TEXTS = (0, 500, 2_000, 8_000, 12_000)
STUDENTS = ("static", "cnn", "tiny", "mini", "third", "half", "bilstm")
STEPS = (150, 300, 900)


def race_form() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.segmented_control(
            "Lanes", [2, 3], default=2, required=True, key="race.lanes", bind="query-params"
        )
        steps = st.segmented_control(
            "Training steps",
            STEPS,
            default=300,
            required=True,
            key="race.steps",
            bind="query-params",
            help="Fewer are over sooner, and tell less of what a long training would do",
        )
    columns = st.columns(count)
    configs = [
        _lane(column, letter, first, steps)
        for column, letter, first in zip(columns, LETTERS, TEMPERATURES, strict=False)
    ]
    problem, expected = _problem(configs), []
    if problem is None:
        try:
            expected = [estimate_of(plan_of(config)) for config in configs]
        except KDError as error:
            problem = str(error)
    if problem:
        st.error(escape(problem), icon=":material/error:")
    label = f"Start the race · {formatting.duration(_seconds(expected))}" if expected else "Start the race"
    if st.button(
        label, key="race.start", type="primary", icon=":material/flag:", disabled=problem is not None
    ):
        _start(configs, expected)
    say_what_waits()
    st.caption(
        "The lanes run one after the other, with the same teacher, seed and number of steps: this machine "
        "does one thing at a time, so none slows another down. It is one seed: a narrow win may be its luck."
    )


def _lane(column: st.delta_generator.DeltaGenerator, letter: str, first: float, steps: int) -> DistillConfig:
    place = column.container(border=True)
    place.markdown(f"**Lane {letter}**")
    key = f"race.{letter.lower()}"
    changes = {
        "objective.temperature": field(
            ObjectiveConfig,
            "temperature",
            key=f"{key}_temperature",
            container=place,
            value=first,
            help=term("temperature"),
        ),
        "objective.alpha": field(
            ObjectiveConfig,
            "alpha",
            key=f"{key}_alpha",
            container=place,
            value=LESSON.objective.alpha,
            help=term("alpha"),
        ),
        "task.transfer_texts": field(
            TaskConfig,
            "transfer_texts",
            key=f"{key}_texts",
            container=place,
            options=TEXTS,
            format_func="{:,}".format,
            help=term("transfer set"),
        ),
        "student.model": field(
            StudentConfig,
            "model",
            key=f"{key}_student",
            label="Student",
            container=place,
            options=STUDENTS,
            help=term("student"),
        ),
    }
    common = {"training.steps": steps, "controls.shifted": False, **CORE_ONLY}
    return LESSON.change(changes | common)


def _problem(configs: list[DistillConfig]) -> str | None:
    if len({config.model_dump_json() for config in configs}) < len(configs):
        return "Two lanes have the same settings, so they would end the same. Change one of them."
    return None


def _seconds(expected: list[Estimate]) -> float:
    """The first lane teaches; the others find the teacher in the cache."""
    first, *others = expected
    return first.total + sum(lane.total - lane.seconds["teach"] for lane in others)


def _start(configs: list[DistillConfig], expected: list[Estimate]) -> None:
    try:
        ids = []
        for config, lane, name in zip(configs, expected, lane_names(configs), strict=True):
            run_id = start(config, lane, name=f"Race {name}")
            store().change_tags(run_id, add=[TAG])
            ids.append(run_id)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
    else:
        st.switch_page(addresses.RACE, query_params={"runs": ",".join(ids)})
