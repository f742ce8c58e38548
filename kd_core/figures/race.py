"""A race: the students of several runs on one chart, and the level of their teacher."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.roles import NAMES
from kd_core.figures.style import DASHES, SYMBOLS, colour_of, new_figure
from kd_core.figures.training import students, teacher_level


def race_chart(
    curves: Mapping[str, pd.DataFrame],
    teacher: float | None,
    steps: int,
    *,
    alone: pd.DataFrame | None = None,
    lowest: float | None = None,
    names_above: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Validation accuracy over ``steps``, the length of the course, so that the axis stands still.

    ``alone``: the evaluations of the student alone, who runs beside the lanes. ``lowest``: where the axis
    begins, as a share; by itself it begins below whatever was seen. ``names_above``: the legend above the
    lines, where a room sees it whatever the height of the projector's picture; it takes a wide one.
    """
    traces = [*students(curves, "accuracy", dark)]
    everybody = [*curves.values()]
    if alone is not None:
        everybody.append(alone)
        mean = alone.groupby("step", as_index=False)["accuracy"].mean()
        traces.append(
            {
                "type": "scatter",
                "x": mean["step"].to_numpy(),
                "y": 100 * mean["accuracy"].to_numpy(),
                "name": NAMES["alone"],
                "mode": "lines+markers",
                "line": {"color": colour_of("alone", dark), "dash": DASHES["alone"], "width": 2.2},
                "marker": {"symbol": SYMBOLS["alone"]},
                "hovertemplate": "%{fullData.name}: %{y:.1f} %, step %{x:,}<extra></extra>",
            }
        )
    seen = [100 * float(value) for curve in everybody for value in curve["accuracy"]]
    if teacher is not None:
        seen.append(100 * teacher)
        traces.append(teacher_level(teacher, steps, dark))
    bottom = max(0, 10 * (min(seen, default=0) // 10) - 3) if lowest is None else 100 * lowest
    layout = {
        "xaxis": {"range": [0, 1.02 * steps]},  # the last marker is not cut
        "yaxis": {"range": [bottom, 100]},
        "uirevision": "race",
        "showlegend": True,  # also where the teacher's level is all there is yet
    }
    if names_above:
        layout |= {"legend": {"y": 1.02, "yanchor": "bottom"}, "margin": {"t": 72}}
    return new_figure("Validation accuracy", "Step", "Accuracy (%)", traces, layout, dark=dark, height=380)
