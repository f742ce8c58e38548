"""Risk and coverage: how often a student differs from its teacher, of the texts of which it is surest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.roles import NAMES, SHORT_NAMES, Role
from kd_core.figures.style import INK, colour_of, new_figure, pick, whiskers


def risk_coverage(
    curves: Mapping[str, tuple[Role, pd.DataFrame]],
    answered: float | None = None,
    *,
    against: Literal["teacher", "right"] = "teacher",
    dark: bool = False,
) -> go.Figure:
    """A line for each student, by name, with its 95 % interval; a mark where a cascade stops.

    ``answered``: the share that its student answers. ``against``: what a mistake is. A second line of a role,
    another form of it, is dashed.
    """
    wrong = against == "right"
    figure = new_figure(
        "Where it answers, how often it is wrong" if wrong else "Where it answers, how often it differs",
        "Answered by the student (%)",
        "Wrong (%)" if wrong else "Differs from the teacher (%)",
        dark=dark,
        height=340,
    )
    drawn: set[Role] = set()
    for name, (who, rows) in curves.items():
        dash = "dash" if who in drawn else "solid"
        drawn.add(who)
        figure.add_scatter(
            x=100 * rows["coverage"],
            y=100 * rows["risk"],
            mode="lines+markers",
            name=name.replace(NAMES[who], SHORT_NAMES[who]),
            line={"color": colour_of(who, dark), "width": 2, "dash": dash},
            marker={"size": 5},
            error_y=whiskers(
                100 * rows["risk"], 100 * rows["low"], 100 * rows["high"], colour_of(who, dark), 0.8
            ),
            hovertemplate="%{x:.0f} % answered: %{y:.1f} % "
            + ("are wrong" if wrong else "differ")
            + "<extra></extra>",
        )
    if answered:
        figure.add_vline(100 * answered, line={"color": pick(INK, dark), "width": 1.2, "dash": "dot"})
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(rangemode="tozero")
    return figure
