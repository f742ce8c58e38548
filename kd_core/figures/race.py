"""A race: the students of several runs on one chart, and the level of their teacher."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from kd_core.figures.style import DASHES, colour_of
from kd_core.figures.training import overlay
from kd_core.words import percent


def race_chart(
    curves: Mapping[str, pd.DataFrame], teacher: float | None, steps: int, *, dark: bool = False
) -> go.Figure:
    """Validation accuracy over ``steps``, the length of the course, so that the axis stands still."""
    figure = overlay(curves, "accuracy", dark=dark)
    figure.update_layout(title_text="Validation accuracy", uirevision="race")
    seen = [100 * float(value) for curve in curves.values() for value in curve["accuracy"]]
    if teacher is not None:
        seen.append(100 * teacher)
        figure.add_scatter(
            x=[0, steps],
            y=[100 * teacher] * 2,
            name=f"Teacher, {percent(teacher)}",
            mode="lines",
            line={"color": colour_of("teacher", dark), "dash": DASHES["teacher"], "width": 2},
            hovertemplate="Teacher %{y:.1f} %<extra></extra>",
        )
    figure.update_xaxes(range=[0, 1.02 * steps])  # the last marker is not cut
    figure.update_yaxes(range=[max(0, 10 * (min(seen, default=0) // 10) - 3), 100])
    return figure
