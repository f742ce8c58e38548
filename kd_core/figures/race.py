"""A race: the students of several runs on one chart, and the level of their teacher."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from kd_core.figures.style import new_figure
from kd_core.figures.training import students, teacher_level


def race_chart(
    curves: Mapping[str, pd.DataFrame], teacher: float | None, steps: int, *, dark: bool = False
) -> go.Figure:
    """Validation accuracy over ``steps``, the length of the course, so that the axis stands still."""
    traces = [*students(curves, "accuracy", dark)]
    seen = [100 * float(value) for curve in curves.values() for value in curve["accuracy"]]
    if teacher is not None:
        seen.append(100 * teacher)
        traces.append(teacher_level(teacher, steps, dark))
    layout = {
        "xaxis": {"range": [0, 1.02 * steps]},  # the last marker is not cut
        "yaxis": {"range": [max(0, 10 * (min(seen, default=0) // 10) - 3), 100]},
        "uirevision": "race",
    }
    return new_figure("Validation accuracy", "Step", "Accuracy (%)", traces, layout, dark=dark, height=380)
