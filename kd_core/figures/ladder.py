"""What each student of a ladder keeps, against its size."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from kd_core.distillation.roles import FLOOR, ROLES, Role
from kd_core.figures.direct import Named, names_beside
from kd_core.figures.style import INK, LOG_AXIS, colour_of, level, new_figure, pick
from kd_core.search.ladder import LadderResult, Rung
from kd_core.system.formatting import megabytes, percent

# Full where it is shown, else hollow.
SHOWN = ("circle", "circle-open")
HEIGHT, AROUND = 420, 100  # of the figure, and what title and axis take of it


def kept_by_size(result: LadderResult, *, dark: bool = False) -> go.Figure:
    """A mark for each student, a line down to what it keeps at least, and one across at what is wanted."""
    rungs = _measured(result)
    sizes = [rung.size_mb for rung in rungs] or [1.0]
    lowest = min([rung.at_least for rung in rungs] + [result.config.wanted])
    highest = max([rung.kept for rung in rungs] + [1.0])
    across = math.log10(min(sizes) / 2), math.log10(max(sizes) * 2)
    up = 100 * lowest - 2, 100 * highest + 2
    named = [
        Named(math.log10(rung.size_mb), 100 * rung.kept, rung.title, colour_of(_who(rung), dark))
        for rung in rungs
    ]
    layout: dict[str, Any] = {
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": LOG_AXIS | {"range": across},
        "yaxis": {"range": up, "ticksuffix": " %"},
        "annotations": names_beside(named, across, up, HEIGHT - AROUND),
        "shapes": [level(result.config.keep, pick(INK, dark), 1)],
    }
    title = f"What students keep; the line is {result.config.keep:g} %"
    traces = [_mark(rung, dark) for rung in rungs]
    return new_figure(
        title, "Size on disk (MB)", "Of the teacher's accuracy", traces, layout, dark=dark, height=HEIGHT
    )


def kept_in_words(result: LadderResult) -> str:
    marks = [
        f"{rung.title} {percent(rung.kept)}, at least {percent(rung.at_least)}" for rung in _measured(result)
    ]
    return "Share of the teacher's accuracy on the validation texts, by size. " + "; ".join(marks) + "."


def _measured(result: LadderResult) -> list[Rung]:
    return [rung for rung in result.rungs if rung.answer != "failed"]


def _who(rung: Rung) -> Role:
    return FLOOR if rung.student == FLOOR else "student"


def _mark(rung: Rung, dark: bool) -> dict[str, Any]:
    who = _who(rung)
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
        "mode": "markers",
        "name": rung.title,
        "marker": {"symbol": symbol, "size": 12, "color": colour, "line": {"width": 2, "color": colour}},
        "hovertemplate": f"{rung.title}: keeps {percent(rung.kept)}, at least {percent(rung.at_least)}<br>"
        f"{megabytes(rung.size_mb)}, {rung.latency_ms:.2f} ms a text<extra></extra>",
    }
