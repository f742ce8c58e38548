"""A calculation drawn as a flow, in which a number can be followed by pointing, tapping and by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st

from kd_core.distillation.roles import ROLES, Role
from kd_core.learn.flow import Stage
from pages.shared.charts import is_dark
from pages.shared.style import ASSETS

_draw = st.components.v2.component(
    "kd_studio.flow", js=(ASSETS / "flow.js").read_text("utf-8"), isolate_styles=False
)


def flow(stages: Sequence[Stage], *, student: Role, key: str, alt: str) -> None:
    """``student`` is whose colour the student's numbers have; ``alt`` says in words what is calculated."""
    colours = {"teacher": ROLES["teacher"], "student": ROLES[student]}
    data = {
        "stages": [asdict(stage) for stage in stages],
        "colours": {who: entry.text_colour[is_dark()] for who, entry in colours.items()},
        "alt": alt,
    }
    _draw(key=key, data=data)
