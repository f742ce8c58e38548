"""What the labs that train have measured: accuracy by transfer texts, and by the student's size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_core.events import Who
from kd_core.figures.style import (
    INK,
    SYMBOLS,
    TEXT_COLOURS,
    colour_of,
    new_figure,
    pick,
    scale_of,
)
from kd_core.words import count, milliseconds, percent

SizeMeasure = Literal["accuracy", "params", "embedding_share", "latency_ms"]
SIZE_MEASURES: dict[SizeMeasure, str] = {
    "accuracy": "Accuracy",
    "params": "Parameters",
    "embedding_share": "Embedding share",
    "latency_ms": "Latency",
}


def transfer_curve(curve: pd.DataFrame, teacher: float | None, *, dark: bool = False) -> go.Figure:
    """Mean accuracy and its interval by what the student learned from, with a small mark for each seed."""
    figure = new_figure("Accuracy on the test texts", "Transfer texts", "Accuracy (%)", dark=dark, height=420)
    places = list(range(len(curve)))
    distilled = [place for place, who in zip(places, curve["who"], strict=True) if who != "alone"]
    figure.add_scatter(
        x=distilled,
        y=100 * curve["accuracy"].iloc[distilled],
        mode="lines",
        line={"color": colour_of("student", dark), "width": 1.5},
        hoverinfo="skip",
    )
    rows: list[dict[Hashable, Any]] = curve.to_dict("records")
    for place, row in enumerate(rows):
        who: Who = "student" if row["transfer"] else "alone" if row["who"] == "alone" else "labelled_only"
        colour, mean = colour_of(who, dark), 100 * row["accuracy"]
        figure.add_scatter(
            x=[place],
            y=[mean],
            mode="markers",
            marker={
                "color": colour,
                "symbol": SYMBOLS[who],
                "size": 13,
                "line": {"width": 2, "color": colour},
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [100 * row["high"] - mean],
                "arrayminus": [mean - 100 * row["low"]],
                "color": colour,
                "thickness": 2,
                "width": 6,
            },
            hovertemplate=f"{setting_name(row['who'], row['transfer'])}: {percent(row['accuracy'])}, "
            f"95 % interval {percent(row['low'])} to {percent(row['high'])}, "
            f"mean of {row['seeds']} seeds<extra></extra>",
        )
        figure.add_annotation(
            x=place,
            y=100 * row["low"],
            text=f"<b>{percent(row['accuracy'])}</b>",
            yanchor="top",
            yshift=-4,
            showarrow=False,
            font={"color": pick(TEXT_COLOURS[who], dark)},
        )
        if row["seeds"] > 1:
            figure.add_scatter(
                x=np.full(row["seeds"], place - 0.14),
                y=100 * np.array(row["accuracies"]),
                mode="markers",
                marker={"color": colour, "symbol": "line-ew-open", "size": 10, "line": {"width": 2}},
                hovertemplate="One seed: %{y:.1f} %<extra></extra>",
            )
    if teacher is not None:
        figure.add_hline(
            100 * teacher, line={"color": colour_of("teacher", dark), "dash": "dash", "width": 2}
        )
        figure.add_annotation(
            x=0,
            xref="paper",
            y=100 * teacher,
            text=f"Teacher {percent(teacher)}",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font={"color": pick(TEXT_COLOURS["teacher"], dark)},
        )
    names = ["alone" if row["who"] == "alone" else f"{row['transfer']:,}" for row in rows]
    figure.update_xaxes(
        tickvals=places,
        ticktext=names,
        range=[-0.45, max(places, default=0) + 0.6],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(showlegend=False, hovermode="closest")
    return figure


def setting_name(who: str, transfer: int) -> str:
    return "Student alone" if who == "alone" else f"Distilled, {transfer:,} transfer texts"


def size_grid(
    grid: pd.DataFrame,
    measure: SizeMeasure = "accuracy",
    *,
    marked: dict[tuple[int, int], str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """A cell for each architecture; ``marked`` are words in the cells of (layers, width)."""
    table = grid.pivot(index="layers", columns="hidden", values=measure)
    layers, widths = sorted(set(grid["layers"])), sorted(set(grid["hidden"]))
    records: list[dict[Hashable, Any]] = grid.to_dict("records")
    rows = {(row["layers"], row["hidden"]): row for row in records}
    marked = marked or {}
    figure = new_figure(SIZE_MEASURES[measure], "Width (hidden size)", "Layers", dark=dark, height=420)
    words, hover = [], []
    for layer in layers:
        cells = [rows[layer, width] for width in widths]
        words.append([_cell(row, measure, marked.get((layer, row["hidden"]))) for row in cells])
        hover.append([_facts(row) for row in cells])
    figure.add_heatmap(
        x=[str(width) for width in widths],
        y=[str(layer) for layer in layers],
        z=table.to_numpy(),
        colorscale=scale_of("student", dark),
        showscale=False,
        xgap=3,
        ygap=3,
        text=words,
        texttemplate="%{text}",
        textfont={"size": 14},
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
    )
    for layer, width in marked:
        x, y = widths.index(width), layers.index(layer)
        figure.add_shape(
            type="rect",
            x0=x - 0.48,
            x1=x + 0.48,
            y0=y - 0.47,
            y1=y + 0.47,
            line={"color": pick(INK, dark), "width": 2.5},
        )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False)
    figure.update_layout(hovermode="closest")
    return figure


def _cell(row: Mapping[Any, Any], measure: SizeMeasure, mark: str | None) -> str:
    return f"<b>{measured(row, measure)}</b>" + (f"<br>{mark}" if mark else "")


def measured(row: Mapping[Any, Any], measure: SizeMeasure) -> str:
    """A row of ``lab_results.size_grid`` by one of its measures, with its unit."""
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
        f"{row['layers']} layers, width {row['hidden']}",
        f"{percent(row['accuracy'])}, 95 % interval {percent(row['low'])} to {percent(row['high'])}",
        f"{count(int(row['params']))} parameters, {percent(row['embedding_share'], 0)} of them embeddings",
    ]
    if not np.isnan(row["latency_ms"]):
        facts.append(f"{milliseconds(row['latency_ms'])} for one text")
    return "<br>".join(facts)
