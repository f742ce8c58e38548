"""A job that counts what it has done (a benchmark, an export, a search): progress, and a stop button."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import streamlit as st

from kd_core.config import of_today
from kd_core.errors import KDError
from kd_core.jobs.states import PARTED, PENDING, Command, JobKind
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from kd_core.system.settings import Settings
from pages.shared.badges import status_badge
from pages.shared.beside import again
from pages.shared.state import runner, store
from pages.shared.text import escape

PAUSABLE: tuple[JobKind, ...] = ("search", *PARTED)  # which may take hours
COMMANDS: dict[str, str] = {"export": "kd export", "bench": "kd bench", "search": "kd search"}
OBEYS: dict[Command, str] = {"pause": "Pausing", "stop": "Stopping"}  # until its step is done


def job_view(job: RunRow, key: str) -> None:
    """Updates itself while the job is under way; then says how it ended, unless it is done."""
    again(_view, job.id, job.status, key, every=2 if job.status in PENDING else None)


def jobs_about(run_id: str, kind: JobKind) -> list[RunRow]:
    """The jobs of a kind that concern a run, newest first."""
    return [job for job in store().runs(kind=kind) if job.config.get("run") == run_id]


def submit_once(config: Settings, name: str = "", *, kind: JobKind) -> str:
    """The job's id. A second click, or a second tab, finds the one that is under way. Raises: KDError."""
    job = under_way(config, kind)
    return job.id if job else runner().submit(config, name, kind=kind)


def say_what_waits() -> None:
    """Below a button that starts something: that it would wait, where this machine is at work."""
    with suppress(KDError):  # of a database that is away the page itself tells
        if store().runs(status=PENDING, here=True, limit=1):
            st.caption(
                ":material/schedule: A run is under way here. The next one waits in the queue, then starts."
            )


def under_way(config: Settings, kind: JobKind) -> RunRow | None:
    """The job of this data folder that is not done yet and has these settings."""
    wanted = config.model_dump(mode="json")
    for job in store().runs(kind=kind, status=PENDING, here=True):
        if of_today(job.config) == wanted:
            return job
    return None


def asked(job: RunRow) -> str:
    """What a job was told, by whomever, and has not obeyed yet: "Pausing", "Stopping", or ""."""
    return OBEYS.get(store().command(job.id), "") if job.status == "running" else ""


def _view(job_id: str, status_before: str, key: str) -> None:
    job = store().run(job_id)
    if status_before in PENDING and job.status not in PENDING:
        st.rerun()  # of the whole page: a fragment cannot end its own timer
    if job.status in PENDING:
        _progress(job, key)
    elif job.status != "done":
        _ending(job, key)


def _progress(job: RunRow, key: str) -> None:
    if job.status == "queued":
        machine = "this machine" if job.is_here else escape(job.machine)
        parts = [f"Waits for its turn: one job at a time uses {machine}"]
    else:
        label = job.label or "getting ready"
        parts = [escape(formatting.capitalised(label))]
        if job.steps and job.kind in PARTED:
            parts.append(f"{formatting.percent(job.progress, 0)} of all")
        elif job.steps and job.kind == "search":  # whose last step is the run of the choice
            parts.append(f"{job.step:,} of {job.steps - 1:,} trainings")
        elif job.steps:
            parts.append(f"{job.step:,} of {job.steps:,}")
        if job.status == "paused":
            parts = ["Paused", *parts]
        elif stopping := asked(job):
            parts = [stopping, *parts]
        elif job.seconds_left is not None:
            parts.append(f"{formatting.duration(job.seconds_left)} left")
    st.progress(job.progress, text=" · ".join(parts))
    if job.status == "running" and not job.step:
        terminal = f"; {COMMANDS[job.kind]} in a terminal takes its share" if job.kind in COMMANDS else ""
        st.caption(
            "It loads texts and models first, which takes longer while this machine has other work, since it "
            f"takes only the time that others leave{terminal}."
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.status == "paused" and st.button("Resume", key=f"{key}.resume", icon=":material/play_arrow:"):
            runner().resume(job.id)
        if (
            job.status == "running"
            and job.kind in PAUSABLE
            and st.button("Pause", key=f"{key}.pause", icon=":material/pause:", disabled=bool(asked(job)))
        ):
            runner().pause(job.id)
            st.rerun()
        if st.button("Stop", key=f"{key}.stop", icon=":material/stop:", disabled=bool(asked(job))):
            runner().stop(job.id)
            st.rerun()
        st.caption(f"Updated {datetime.now():%H:%M:%S}", width="content")


def _ending(job: RunRow, key: str) -> None:
    status_badge(job.status)
    st.caption(f"{escape(job.title)}, begun {job.created.astimezone():%d %b %Y, %H:%M}.")
    if job.error:
        st.error(escape(job.error), icon=":material/error:")
    elif job.status == "interrupted":
        st.caption("KD Studio ended meanwhile. What was made before is as it was.")
    if st.button("Start it again", key=f"{key}.again", icon=":material/play_arrow:"):
        runner().resume(job.id)
        st.rerun()
