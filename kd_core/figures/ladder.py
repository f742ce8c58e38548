"""What each student of a ladder keeps, against its size."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from kd_core.distillation.roles import FLOOR, ROLES
from kd_core.figures.style import INK, LOG_AXIS, colour_of, level, new_figure, pick
from kd_core.search.ladder import LadderResult, Rung
from kd_core.system.formatting import megabytes, percent

# Full where it is shown, else hollow.
SHOWN = ("circle", "circle-open")


def kept_by_size(result: LadderResult, *, dark: bool = False) -> go.Figure:
    """A mark for each student, a line down to what it keeps at least, and one across at what is wanted."""
    rungs = _measured(result)
    sizes = [rung.size_mb for rung in rungs] or [1.0]
    lowest = min([rung.at_least for rung in rungs] + [result.config.wanted])
    highest = max([rung.kept for rung in rungs] + [1.0])
    layout: dict[str, Any] = {
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": LOG_AXIS | {"range": [math.log10(min(sizes) / 2), math.log10(max(sizes) * 2)]},
        "yaxis": {"range": [100 * lowest - 2, 100 * highest + 2], "ticksuffix": " %"},
        "shapes": [level(result.config.keep, pick(INK, dark), 1)],
    }
    title = f"What students keep; the line is {result.config.keep:g} %"
    traces = [_mark(rung, dark) for rung in rungs]
    return new_figure(
        title, "Size on disk (MB)", "Of the teacher's accuracy", traces, layout, dark=dark, height=340
    )


def kept_in_words(result: LadderResult) -> str:
    marks = [
        f"{rung.title} {percent(rung.kept)}, at least {percent(rung.at_least)}" for rung in _measured(result)
    ]
    return "Share of the teacher's accuracy on the validation texts, by size. " + "; ".join(marks) + "."


def _measured(result: LadderResult) -> list[Rung]:
    return [rung for rung in result.rungs if rung.answer != "failed"]


def _mark(rung: Rung, dark: bool) -> dict[str, Any]:
    who = FLOOR if rung.student == FLOOR else "student"
    symbol = ROLES[FLOOR].symbol if who == FLOOR else SHOWN[rung.answer != "shown"]
    colour = colour_of(who, dark)
    return {
        "type": "scatter",
        "x": [rung.size_mb],
        "y": [100 * rung.kept],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [0],
            "arrayminus": [100 * (rung.kept - rung.at_least)],
            "color": colour,
            "thickness": 2,
            "width": 6,
        },
        "mode": "markers+text",
        "text": [rung.title],
        "textposition": "top center",
        "name": rung.title,
        "marker": {"symbol": symbol, "size": 12, "color": colour, "line": {"width": 2, "color": colour}},
        "hovertemplate": f"{rung.title}: keeps {percent(rung.kept)}, at least {percent(rung.at_least)}<br>"
        f"{megabytes(rung.size_mb)}, {rung.latency_ms:.2f} ms a text<extra></extra>",
    }
