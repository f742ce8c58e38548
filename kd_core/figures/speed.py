"""How long the forms of a run's models take, by batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from kd_core.deployment.reports import BenchCell
from kd_core.deployment.runtimes import RUNTIME_NAMES, Runtime, form_name, split_form
from kd_core.distillation.roles import SHORT_NAMES
from kd_core.figures.style import LOG_AXIS, colour_of, new_figure
from kd_core.system.formatting import milliseconds

# Who has a colour everywhere; the runtime has a dash and a mark.
RUNTIME_DASHES: dict[Runtime, str] = {"pytorch": "solid", "onnx": "dash", "int8": "dot"}
RUNTIME_SYMBOLS: dict[Runtime, str] = {"pytorch": "circle", "onnx": "square", "int8": "diamond"}


def latency_by_batch(
    cells: Sequence[BenchCell], title: str, span: tuple[float, float], *, dark: bool = False
) -> go.Figure:
    """Median milliseconds of a batch, a line for each form, of one length and number of threads.

    ``span``: the smallest and largest time on the axis, the same for figures that stand side by side.
    """
    traces = []
    for form in dict.fromkeys(cell["form"] for cell in cells):
        who, runtime = split_form(form)
        rows = [cell for cell in cells if cell["form"] == form]
        trace = {
            "type": "scatter",
            "x": [str(cell["batch"]) for cell in rows],
            "y": [cell["p50"] for cell in rows],
            "mode": "lines+markers",
            "name": f"{SHORT_NAMES[who]}, {RUNTIME_NAMES[runtime]}",
            "line": {"color": colour_of(who, dark), "dash": RUNTIME_DASHES[runtime], "width": 2},
            "marker": {"symbol": RUNTIME_SYMBOLS[runtime], "size": 8},
            "customdata": [
                (milliseconds(cell["p50"]), f"{cell['texts_per_second']:,.0f}", cell["passes"])
                for cell in rows
            ],
            "hovertemplate": f"{form_name(who, runtime)}: %{{customdata[0]}}, "
            "%{customdata[1]} texts/s, %{customdata[2]} batches timed<extra></extra>",
        }
        traces.append(trace)
    low, high = (math.log10(value) for value in (span[0] / 1.4, span[1] * 1.4))
    axes = {"xaxis": {"type": "category", "showgrid": False}, "yaxis": LOG_AXIS | {"range": [low, high]}}
    layout = axes | {"hovermode": "closest"}
    return new_figure(title, "Texts in a batch", "Median time (ms)", traces, layout, dark=dark, height=400)
