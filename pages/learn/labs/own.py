"""What labs show besides recordings: what this dashboard has run and measured. A classroom has neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from kd_core.config import LESSON, DistillConfig
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.learn.lab_results import LabConfig, LabName
from kd_core.learn.recorded import recorded_lab
from kd_core.system import formatting
from pages.learn.labs.controls import Controls
from pages.shared.live_job import submit_once
from pages.shared.state import store
from pages.shared.text import escape
from pages.shared.visitors import in_classroom

RECORDED, OF_LESSONS = "recorded", "lessons"
SEEDS = (0, 1, 2, 3, 4)


def finished_runs() -> dict[str, RunRow]:
    """The last ones by id. Raises: KDError."""
    if in_classroom():
        return {}
    return {run.id: run for run in store().runs(kind="distil", status=("done",), limit=50)}


def measure(run: RunRow | None, seeds: Sequence[int], shown: str, about: str = "", **lab: Any) -> None:
    """Queue it once, and choose it in the session's ``shown``; for a button's ``on_click``.

    With the settings of ``run``, or the lessons'. ``about`` stands before them in the title; ``lab`` are
    fields of ``LabConfig``.
    """
    try:
        base = DistillConfig.from_dict(run.config) if run else LESSON
        config = LabConfig(distil=base, seeds=tuple(sorted(seeds)), **lab)
        settings = run.title if run else "The lessons' settings"
        title = f"{about}{settings}, {formatting.counted(len(seeds), 'seed')}"
        st.session_state[shown] = submit_once(config, title, kind="lab")
    except KDError as error:
        st.error(escape(error), icon=":material/error:")


def measurements(lab: LabName = "transfer") -> dict[str, RunRow]:
    """The jobs of a lab by id, finished or not. Raises: KDError."""
    jobs = [] if in_classroom() else store().runs(kind="lab", limit=50)
    return {job.id: job for job in jobs if job.config.get("lab", "transfer") == lab}


# The controls that labs with measurements of one's own share


def ask_source(controls: Controls, lab: LabName, *, recorded: bool = True) -> RunRow | None:
    """A measurement made on this machine, or None for the recorded one; at first the one in the link."""
    jobs = measurements(lab)
    linked = st.query_params.get("job")
    sources = [*[RECORDED] * (recorded or not jobs), *jobs]
    shown = "None yet"
    if recorded:
        seeds = {cell["seed"] for cell in recorded_lab(lab)["cells"]}
        shown = f"Recorded: BBC headlines, {formatting.counted(len(seeds), 'seed')}"
    source = controls.add(
        "source",
        "selectbox",
        "Measurement",
        sources,
        index=sources.index(linked) if linked in sources else 0,
        format_func=lambda source: shown if source == RECORDED else f"{jobs[source].title} · {source}",
    )
    return jobs.get(source)


def ask_settings(controls: Controls, runs: dict[str, RunRow], covered: str) -> RunRow | None:
    """The one of ``runs`` whose settings are measured with, or None for the lessons'."""
    chosen = controls.add(
        "settings",
        "selectbox",
        "Settings",
        [OF_LESSONS, *runs],
        format_func=lambda run: "The lessons'" if run == OF_LESSONS else f"{runs[run].title} · {run}",
        help=covered,
    )
    return runs.get(chosen)


def ask_seeds(controls: Controls) -> list[int]:
    seeds: list[int] = controls.add(
        "seeds", "pills", "Seeds", SEEDS, default=SEEDS[:3], selection_mode="multi"
    )
    return seeds
