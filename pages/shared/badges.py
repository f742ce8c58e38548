"""How a verdict and a status look; their words are the engine's."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from kd_core.distillation import roles
from kd_core.jobs import states
from kd_core.jobs.states import Status

Look = tuple[Literal["gray", "green", "blue", "orange", "red"], str]  # colour and icon

VERDICTS: dict[str, Look] = {
    "helped": ("green", ":material/trending_up:"),
    "no_difference": ("gray", ":material/trending_flat:"),
    "hurt": ("red", ":material/trending_down:"),
}
FLOORS = {"hurt": "TF-IDF does better", "no_difference": "TF-IDF does as well"}
STATUSES: dict[Status, Look] = {
    "queued": ("gray", ":material/schedule:"),
    "running": ("blue", ":material/play_circle:"),
    "paused": ("gray", ":material/pause_circle:"),
    "done": ("green", ":material/check_circle:"),
    "stopped": ("gray", ":material/stop_circle:"),
    "failed": ("red", ":material/error:"),
    "interrupted": ("orange", ":material/power_off:"),
    "unreadable": ("red", ":material/broken_image:"),
    "deleted": ("gray", ":material/delete:"),
}


def verdict_badge(kind: str, seeds: int, help: str | None = None) -> None:
    colour, icon = VERDICTS[kind]
    st.badge(roles.verdict_name(kind, seeds), color=colour, icon=icon, help=help)


def floor_badge(kind: str | None, help: str | None = None) -> None:
    """Nothing where the student is above TF-IDF, or that is not known."""
    if kind in FLOORS:
        st.badge(FLOORS[kind], color="orange", icon=":material/balance:", help=help)


def status_badge(status: Status) -> None:
    colour, icon = STATUSES[status]
    st.badge(states.LABELS[status], color=colour, icon=icon)
