"""What the labs that train have measured: accuracy by transfer texts, and by the student's size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.roles import Role
from kd_core.figures.style import (
    GRID,
    INK,
    SYMBOLS,
    TEXT_COLOURS,
    colour_of,
    level,
    new_figure,
    pick,
    scale_of,
    shade_of,
    whiskers,
)
from kd_core.system.formatting import count, counted, milliseconds, percent

SizeMeasure = Literal["accuracy", "params", "embedding_share", "latency_ms"]
SIZE_MEASURES: dict[SizeMeasure, str] = {
    "accuracy": "Accuracy",
    "params": "Parameters",
    "embedding_share": "Embedding share",
    "latency_ms": "Latency",
}


def transfer_curve(curve: pd.DataFrame, teacher: float | None, *, dark: bool = False) -> go.Figure:
    """Mean accuracy and its interval by what the student learned from, with a small mark for each seed."""
    # On hard answers last: between two amounts the students' line would go through it.
    curve = curve.sort_values("who", key=lambda who: who == "hard_answers", kind="stable")
    places = list(range(len(curve)))
    distilled = [place for place, who in zip(places, curve["who"], strict=True) if who == "student"]
    line: dict[str, Any] = {
        "type": "scatter",
        "x": distilled,
        "y": 100 * curve["accuracy"].iloc[distilled],
        "mode": "lines",
        "line": {"color": colour_of("student", dark), "width": 1.5},
        "hoverinfo": "skip",
    }
    traces, words, shapes = [line], [], []
    rows: list[dict[Hashable, Any]] = curve.to_dict("records")
    for place, row in enumerate(rows):
        who: Role = "labelled_only" if row["who"] == "student" and not row["transfer"] else row["who"]
        colour, mean = colour_of(who, dark), 100 * row["accuracy"]
        mark = {
            "type": "scatter",
            "x": [place],
            "y": [mean],
            "mode": "markers",
            "marker": {
                "color": colour,
                "symbol": SYMBOLS[who],
                "size": 13,
                "line": {"width": 2, "color": colour},
            },
            "error_y": whiskers([mean], [100 * row["low"]], [100 * row["high"]], colour, 2, 6),
            "hovertemplate": f"{setting_name(row['who'], row['transfer'])}: {percent(row['accuracy'])}, "
            f"95 % interval {percent(row['low'])} to {percent(row['high'])}, "
            f"mean of {counted(row['seeds'], 'seed')}<extra></extra>",
        }
        number = {
            "x": place,
            "y": 100 * row["low"],
            "text": f"<b>{mean:.1f}</b>",  # the axis says %: neighbours stand close
            "yanchor": "top",
            "yshift": -4,
            "showarrow": False,
            "font": {"color": pick(TEXT_COLOURS[who], dark)},
        }
        traces.append(mark)
        words.append(number)
        if row["seeds"] > 1:
            seeds = {
                "type": "scatter",
                "x": np.full(row["seeds"], place - 0.14),
                "y": 100 * np.array(row["accuracies"]),
                "mode": "markers",
                "marker": {"color": colour, "symbol": "line-ew-open", "size": 10, "line": {"width": 2}},
                "hovertemplate": "One seed: %{y:.1f} %<extra></extra>",
            }
            traces.append(seeds)
    if teacher is not None:
        shapes.append(level(100 * teacher, colour_of("teacher", dark), 2))
        name = {
            "x": 0,
            "xref": "paper",
            "y": 100 * teacher,
            "text": f"Teacher<br>{percent(teacher)}",  # on a phone the second bar is near
            "align": "left",
            "xanchor": "left",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"color": pick(TEXT_COLOURS["teacher"], dark)},
        }
        words.append(name)
    names = [
        "alone"
        if row["who"] == "alone"
        else f"{row['transfer']:,}{'<br>hard' if row['who'] == 'hard_answers' else ''}"
        for row in rows
    ]
    axis = {"tickvals": places, "ticktext": names, "range": [-0.45, max(places, default=0) + 0.6]}
    layout = {
        "xaxis": axis | {"showgrid": False, "zeroline": False},
        "annotations": words,
        "shapes": shapes,
        "showlegend": False,
        "hovermode": "closest",
    }
    title = "Accuracy on the test texts"
    return new_figure(title, "Transfer texts", "Accuracy (%)", traces, layout, dark=dark, height=420)


def setting_name(who: str, transfer: int) -> str:
    if who == "alone":
        return "Student alone"
    return f"{'Hard answers' if who == 'hard_answers' else 'Distilled'}, {transfer:,} transfer texts"


def size_grid(
    grid: pd.DataFrame,
    measure: SizeMeasure = "accuracy",
    *,
    marked: dict[tuple[int, int], str] | None = None,
    worse: Mapping[tuple[int, int], bool] | None = None,
    dark: bool = False,
) -> go.Figure:
    """A cell for each architecture; ``marked`` are words in the cells of (layers, width).

    With ``worse`` a colour says only which cells are worse than the best: those are grey, all others alike.
    """
    table = grid.pivot(index="layers", columns="hidden", values=measure)
    layers, widths = sorted(set(grid["layers"])), sorted(set(grid["hidden"]))
    records: list[dict[Hashable, Any]] = grid.to_dict("records")
    rows = {(row["layers"], row["hidden"]): row for row in records}
    marked = marked or {}
    words, hover = [], []
    for layer in layers:
        cells = [rows[layer, width] for width in widths]
        words.append([_cell(row, measure, marked.get((layer, row["hidden"]))) for row in cells])
        hover.append([_facts(row) for row in cells])
    heat = {
        "type": "heatmap",
        "x": [str(width) for width in widths],
        "y": [str(layer) for layer in layers],
        "z": table.to_numpy(),
        "colorscale": scale_of("student", dark),
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "text": words,
        "texttemplate": "%{text}",
        "textfont": {"size": 14},
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    if worse is not None:
        kept = [[float(not worse.get((layer, width), False)) for width in widths] for layer in layers]
        two = [[0, pick(GRID, dark)], [1, shade_of("student", 0.45, dark)]]
        heat |= {"z": kept, "zmin": 0, "zmax": 1, "colorscale": two}
    frames = []
    for layer, width in marked:
        x, y = widths.index(width), layers.index(layer)
        ends = {"x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.47, "y1": y + 0.47}
        frames.append({"type": "rect", "line": {"color": pick(INK, dark), "width": 2.5}} | ends)
    axis = {"type": "category", "showgrid": False}
    layout = {"shapes": frames, "xaxis": axis, "yaxis": axis, "hovermode": "closest"}
    title, x_title = SIZE_MEASURES[measure], "Width (hidden size)"
    return new_figure(title, x_title, "Layers", [heat], layout, dark=dark, height=420)


def _cell(row: Mapping[Any, Any], measure: SizeMeasure, mark: str | None) -> str:
    small = f'<br><span style="font-size:11px">{mark}</span>' if mark else ""  # fits into a cell on a phone
    return f"<b>{measured(row, measure)}</b>{small}"


def measured(row: Mapping[Any, Any], measure: SizeMeasure) -> str:
    """A row of ``lab_results.size_table`` by one of its measures, with its unit."""
    match measure:
        case "accuracy":
            return percent(row["accuracy"])
        case "params":
            return count(int(row["params"]))
        case "embedding_share":
            return percent(row["embedding_share"], 0)
        case "latency_ms":
            return milliseconds(row["latency_ms"])


def _facts(row: Mapping[Any, Any]) -> str:
    facts = [
        f"{counted(row['layers'], 'layer')}, width {row['hidden']}",
        f"{percent(row['accuracy'])}, 95 % interval {percent(row['low'])} to {percent(row['high'])}",
        f"{count(int(row['params']))} parameters, {percent(row['embedding_share'], 0)} of them embeddings",
    ]
    if not np.isnan(row["latency_ms"]):
        facts.append(f"{milliseconds(row['latency_ms'])} for one text")
    return "<br>".join(facts)
