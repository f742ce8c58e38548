"""What a search has found so far: accuracy by temperature and alpha, with the student alone beside it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_core.figures.style import (
    GRID,
    INK,
    MAX_CELLS_WITH_TEXT,
    new_figure,
    pick,
    scale_of,
    shade_of,
)
from kd_core.system.formatting import percent

SPAN = 4.0  # points that the colours span at least: smaller differences look small
ROW, STRIP = 76, 0.15  # pixels; of a cell's height
AT_ALONE = 0.25  # of a cell: the gap before the student alone
MARKS = {"best": ("solid", "best"), "choice": ("dot", "choice"), "both": ("solid", "both")}


def search_map(
    cells: pd.DataFrame,
    alone: pd.Series[Any] | None = None,
    *,
    measure: str = "accuracy",
    dark: bool = False,
) -> go.Figure:
    """A cell for each temperature and alpha, the student alone as a tall one beside them.

    ``cells`` has temperature, alpha, state, mean, se (shares, NaN where unknown), scores, of (trainings done,
    and in all), same (cannot be told from the best) and mark ("best", "choice", "both" or ""); ``alone`` is
    such a row. A hatched strip says "same", a frame and words the mark.
    """
    across, up = sorted(set(cells["temperature"])), sorted(set(cells["alpha"]))
    height = 116 + max(ROW * len(up), 2 * ROW)
    beside = [] if alone is None else [alone["mean"]]
    low, high = _range(pd.Series([*cells["mean"], *beside], dtype=float))
    narrow = len(across) > MAX_CELLS_WITH_TEXT
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": [], "shapes": []}
    for _, cell in cells.iterrows():
        x, y = across.index(cell["temperature"]), up.index(cell["alpha"])
        setting = f"T {cell['temperature']:g}, alpha {cell['alpha']:g}"
        here = (x, x), (y, y)
        _cell(traces, layout, *here, cell, setting, "student", (low, high), dark=dark, words=not narrow)
    ticks, names = [float(place) for place in range(len(across))], [f"{value:g}" for value in across]
    if alone is not None:
        place = len(across) + AT_ALONE
        ends = (place, place), (0, len(up) - 1)
        _cell(traces, layout, *ends, alone, "Student alone", "alone", (low, high), dark=dark)
        ticks, names = [*ticks, place], [*names, "alone"]
    bare = {"showgrid": False, "zeroline": False, "showline": False}
    alphas = {"tickvals": list(range(len(up))), "ticktext": [f"{value:g}" for value in up]}
    layout |= {
        "xaxis": bare | {"tickvals": ticks, "ticktext": names, "range": [-0.5, ticks[-1] + 0.5]},
        "yaxis": bare | alphas | {"range": [-0.5, len(up) - 0.5]},
        "showlegend": False,
        "hovermode": "closest",
        "barmode": "overlay",
    }
    return new_figure(
        f"Held-out {measure} (%)", "Temperature", "Alpha", traces, layout, dark=dark, height=height
    )


def search_dots(cells: pd.DataFrame, *, measure: str = "accuracy", dark: bool = False) -> go.Figure:
    """A mark for each setting drawn between the ends: a diamond where it cannot be told from the best."""
    low, high = _range(cells["mean"])
    traces = []
    known = cells[cells["mean"].notna()]
    for same, symbol, name in (
        (True, "diamond", "not told from the best"),
        (False, "circle", "other settings"),
    ):
        rows = known[known["same"].astype(bool) == same]
        trace = {
            "type": "scatter",
            "x": rows["temperature"],
            "y": rows["alpha"],
            "mode": "markers",
            "name": name,
            "marker": {
                "symbol": symbol,
                "size": 15,
                "color": 100 * rows["mean"],
                "cmin": low,
                "cmax": high,
                "colorscale": scale_of("student", dark),
                "line": {"color": pick(INK, dark), "width": 1},
                "showscale": same,
                "colorbar": {"thickness": 12, "outlinewidth": 0},
            },
            "customdata": [
                _hover(f"T {row['temperature']:.3g}, alpha {row['alpha']:.3g}", row)
                for _, row in rows.iterrows()
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        traces.append(trace)
    above = {"yshift": 16, "showarrow": False}
    words = [
        above | {"x": row["temperature"], "y": row["alpha"], "text": MARKS[row["mark"]][1]}
        for _, row in known[known["mark"] != ""].iterrows()
    ]
    layout = {"annotations": words, "hovermode": "closest"}
    return new_figure(
        f"Held-out {measure} (%)", "Temperature", "Alpha", traces, layout, dark=dark, height=420
    )


def _cell(
    traces: list[dict[str, Any]],
    layout: dict[str, Any],
    across: tuple[float, float],
    up: tuple[float, float],
    cell: pd.Series[Any],
    name: str,
    who: Any,
    ends: tuple[float, float],
    *,
    dark: bool,
    words: bool = True,
) -> None:
    """One rectangle. A trace of its own, because the student alone is as tall as all others together."""
    x, (bottom, top) = across[0], (up[0] - 0.47, up[1] + 0.47)
    ink, colour = pick(INK, dark), pick(GRID, dark)
    if cell["scores"] > 0:
        share = min(1.0, max(0.0, (100 * cell["mean"] - ends[0]) / (ends[1] - ends[0])))
        colour = shade_of(who, share, dark)
    bar = {"type": "bar", "x": [x], "base": [bottom], "width": 0.95, "showlegend": False}
    whole = {
        "y": [top - bottom],
        "marker": {"color": colour, "line": {"width": 0}},
        "customdata": [_hover(name, cell)],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    traces.append(bar | whole)
    if cell["same"]:
        strip = {
            "y": [STRIP],
            "marker": {
                "color": "rgba(0,0,0,0)",
                "line": {"width": 0},
                "pattern": {"shape": "/", "fgcolor": ink, "size": 7, "solidity": 0.25},
            },
            "hoverinfo": "skip",
        }
        traces.append(bar | strip)
    if words:
        height = (bottom + top) / 2 + (STRIP / 2 if up[0] == up[1] else 0)
        look = {"showarrow": False, "font": {"color": ink, "size": 13}}
        layout["annotations"].append(look | {"x": x, "y": height, "text": _words(cell)})
    if cell["mark"]:
        line = {"color": ink, "width": 2.5, "dash": MARKS[cell["mark"]][0]}
        frame = {"type": "rect", "x0": x - 0.47, "x1": x + 0.47, "y0": bottom, "y1": top, "line": line}
        layout["shapes"].append(frame)


def _words(cell: pd.Series[Any]) -> str:
    if not cell["scores"]:
        return {"running": "…", "failed": "failed"}.get(cell["state"], "")
    lines = [f"<b>{100 * cell['mean']:.1f}</b>"]
    if cell["scores"] < cell["of"] and cell["state"] != "pruned":
        lines.append(f"{cell['scores']} of {cell['of']}")
    elif pd.notna(cell["se"]):
        lines.append(f"± {100 * cell['se']:.1f}")
    if cell["state"] in ("pruned", "failed"):
        lines.append({"pruned": "given up", "failed": "failed"}[cell["state"]])
    if cell["mark"]:
        lines.append(f'<span style="font-size:11px">{MARKS[cell["mark"]][1]}</span>')
    return "<br>".join(lines)


def _hover(name: str, cell: pd.Series[Any]) -> str:
    if not cell["scores"]:
        return f"{name}: {cell['state']}"
    error = f" ± {100 * cell['se']:.1f} (standard error)" if pd.notna(cell["se"]) else ""
    facts = [f"{name}: {percent(cell['mean'])}{error}", f"{cell['scores']} of {cell['of']} trainings"]
    if cell["same"]:
        facts.append("cannot be told from the best")
    if cell["state"] != "done":
        facts.append({"pruned": "given up early"}.get(cell["state"], cell["state"]))
    return "<br>".join(facts)


def _range(means: pd.Series[Any]) -> tuple[float, float]:
    known = 100 * means.dropna()
    high = float(known.max()) if len(known) else 100.0
    return min(float(known.min()) if len(known) else high, high - SPAN), high
