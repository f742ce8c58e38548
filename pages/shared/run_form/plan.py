"""What the form needs to know of a task and two models: read once, then remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from kd_core.config import ControlsConfig, DistillConfig, ObjectiveConfig, TaskConfig, TeacherConfig
from kd_core.data import load_task
from kd_core.data.spans import augmented
from kd_core.data.task import Task
from kd_core.distillation.events import Estimated
from kd_core.job_kinds import prepare
from kd_core.jobs.estimate import Estimate, PastRun, calibrate, estimate, past_runs
from kd_core.jobs.plan import Plan, Vocabulary, make_plan, read_vocabulary
from kd_core.search import Outlook, SearchConfig, outlook
from kd_core.search.estimate import rung_seconds, rungs
from pages.shared.live_job import under_way
from pages.shared.state import runner, store
from pages.shared.upload import stamp

if TYPE_CHECKING:
    from kd_core.search.ladder import LadderConfig


@st.cache_resource(max_entries=4, show_spinner="Reading the texts", hash_funcs={TaskConfig: repr})
def read_task(config: TaskConfig, stamp: list[int]) -> Task:
    return augmented(load_task(config), config)


@st.cache_data(
    max_entries=16,
    show_spinner="Reading the texts as the teacher does",
    hash_funcs={TaskConfig: repr, TeacherConfig: repr},
)
def _vocabulary(teacher: TeacherConfig, task: TaskConfig, stamp: list[int]) -> Vocabulary:
    return read_vocabulary(teacher, read_task(task, stamp), task.max_length)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs={DistillConfig: repr})
def _plan(config: DistillConfig, stamp: list[int]) -> Plan:
    task = read_task(config.task, stamp)
    return make_plan(config, task, _vocabulary(_by_name(config.teacher), config.task, stamp))


def plan_of(config: DistillConfig) -> Plan:
    """Raises: KDError."""
    prepare()  # the runner may be importing torch in this moment
    chosen = {"objective": config.objective, "controls": config.controls}
    # These change no size, and no text decides whether they are possible: moving them computes nothing again.
    free = ObjectiveConfig().model_dump(include={"temperature", "alpha", "divergence"})
    asked = {"objective": config.objective.model_copy(update=free), "controls": ControlsConfig()}
    plan = _plan(config.model_copy(update=asked), stamp(config.task))
    return replace(plan, config=plan.config.model_copy(update=chosen))


@st.cache_data(ttl=20, show_spinner=False)
def _past() -> list[PastRun]:
    return past_runs(store())


@st.cache_resource(show_spinner=False)
def _calibrated() -> float:
    return calibrate()


def estimate_of(plan: Plan) -> Estimate:
    """Raises: KDError."""
    return estimate(plan, _past(), _calibrated)


def outlook_of(config: SearchConfig) -> Outlook:
    """Raises: KDError."""
    prepare()
    task, changes = config.distill.task, stamp(config.distill.task)
    vocabulary = _vocabulary(_by_name(config.distill.teacher), task, changes)
    return outlook(config, read_task(task, changes), vocabulary, _past(), _calibrated)


def seconds_of(ladder: LadderConfig) -> float:
    """Of all its students. Raises: KDError."""
    return sum(rung_seconds(ladder, rungs(ladder, plan_of).values(), _past(), _calibrated))


def start(config: DistillConfig, expected: Estimate | None, *, name: str = "") -> str:
    """The id of the run. A second click, or a second tab, finds the one that is under way.

    ``expected`` None: nobody could say yet how long it takes.
    """
    if run := under_way(config, "distil"):
        return run.id
    run_id = runner().submit(config, name)
    if expected:
        store().write(run_id, [(datetime.now(UTC), Estimated(expected.seconds, expected.work))])
    return run_id


def _by_name(teacher: TeacherConfig) -> TeacherConfig:
    """Only the name decides the word pieces; the sliders of a new teacher do not."""
    return TeacherConfig(model=teacher.model)
