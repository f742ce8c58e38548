"""What each student of a ladder keeps, from the smallest to the largest."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from kd_core.distillation.roles import FLOOR, ROLES, Role
from kd_core.figures.style import GRID, INK, colour_of, label_of, new_figure, pick, upright, whiskers
from kd_core.search.ladder import LadderResult, Rung
from kd_core.system.formatting import megabytes, percent

# Full where it is shown, else hollow.
SHOWN = ("circle", "circle-open")
ROW, AROUND = 30, 108  # pixels: of a student, and of what stands above and below them all


def kept_by_size(result: LadderResult, *, dark: bool = False) -> go.Figure:
    """A row for each student: its mark, a line back to what it keeps at least; one down at what is wanted.

    The chosen one's row is shaded. Rows, as names beside marks of one plane run into each other on a phone.
    """
    rungs = _measured(result)
    lowest = min([rung.at_least for rung in rungs] + [result.config.wanted])
    highest = max([rung.kept for rung in rungs] + [1.0])
    room = max(1.0, 4 * (highest - lowest))  # percent: half a mark, however long the axis is
    wanted = upright(result.config.keep, pick(INK, dark), 1)
    wanted["line"] = wanted["line"] | {"dash": "dash"}
    chosen = [_band(row, dark) for row, rung in enumerate(rungs) if rung == result.chosen]
    layout: dict[str, Any] = {
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {"range": (100 * lowest - room, 100 * highest + room), "ticksuffix": " %"},
        "shapes": [*chosen, wanted],
    }
    title = f"What students keep; dashed, what is wanted: {result.config.keep:g} %"
    traces = [_mark(row, rung, dark) for row, rung in enumerate(rungs)]
    names = [f"{rung.title}, {megabytes(rung.size_mb)}" for rung in rungs]  # which a figure escapes
    height = AROUND + ROW * len(rungs)
    return new_figure(
        title,
        f"Of the teacher's {label_of(result.measure)}",
        "",
        traces,
        layout,
        dark=dark,
        height=height,
        names=names,
    )


def kept_in_words(result: LadderResult) -> str:
    marks = [
        f"{rung.title} {percent(rung.kept)}, at least {percent(rung.at_least)}" for rung in _measured(result)
    ]
    return (
        f"Share of the teacher's {result.measure} on the validation texts, by size. " + "; ".join(marks) + "."
    )


def _measured(result: LadderResult) -> list[Rung]:
    return sorted(result.judged, key=lambda rung: rung.size_mb)


def _who(rung: Rung) -> Role:
    return FLOOR if rung.student == FLOOR else "student"


def _band(row: int, dark: bool) -> dict[str, Any]:
    ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": row - 0.45, "y1": row + 0.45, "yref": "y"}
    return {"type": "rect", "layer": "below", "fillcolor": pick(GRID, dark), "line": {"width": 0}} | ends


def _mark(row: int, rung: Rung, dark: bool) -> dict[str, Any]:
    who = _who(rung)
    symbol = ROLES[FLOOR].symbol if who == FLOOR else SHOWN[rung.answer != "shown"]
    colour, name = colour_of(who, dark), label_of(rung.title)
    return {
        "type": "scatter",
        "x": [100 * rung.kept],
        "y": [row],
        "error_x": whiskers([100 * rung.kept], [100 * rung.at_least], [100 * rung.kept], colour, 2, 6),
        "mode": "markers",
        "name": name,
        "marker": {"symbol": symbol, "size": 12, "color": colour, "line": {"width": 2, "color": colour}},
        "hovertemplate": f"{name}: keeps {percent(rung.kept)}, at least {percent(rung.at_least)}<br>"
        f"{megabytes(rung.size_mb)}, {rung.latency_ms:.2f} ms a text<extra></extra>",
    }
