"""Curves of a run while it trains and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from kd_core.events import Who
from kd_core.figures.style import (
    DASHES,
    LINE,
    RUN_DASHES,
    RUNS,
    SYMBOLS,
    colour_of,
    label_of,
    log_axis,
    new_figure,
    pick,
)
from kd_core.words import NAMES, percent


def loss_curves(
    curve: pd.DataFrame, *, who: Who = "student", log: bool = False, dark: bool = False
) -> go.Figure:
    """The terms of one model's training loss over its steps; total solid, soft dashed, hard dotted."""
    figure = new_figure(f"Training loss: {NAMES[who].lower()}", "Step", "Loss (nats)", dark=dark)
    mine = curve[curve["who"] == who]
    terms = {"loss": ("total", "solid"), "soft": ("soft", "dash"), "hard": ("hard", "dot")}
    terms["intermediate"] = ("intermediate", "dashdot")
    single = not mine[["soft", "intermediate"]].to_numpy(dtype=float).any()  # then total and hard are one
    for column, (name, dash) in terms.items():
        if (single and column != "loss") or not mine[column].to_numpy(dtype=float).any():
            continue
        for index, (seed, rows) in enumerate(mine.groupby("seed")):
            figure.add_scatter(
                x=rows["step"],
                y=rows[column],
                name=name,
                legendgroup=name,
                showlegend=index == 0,
                line={"color": pick(LINE, dark), "dash": dash, "width": 2.2 if column == "loss" else 1.6},
                opacity=1 if index == 0 else 0.45,
                hovertemplate=f"{name} %{{y:.3f}}, step %{{x:,}}{_seed(mine, seed)}<extra></extra>",
            )
    if log:
        log_axis(figure)
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def accuracy_curves(
    evaluations: pd.DataFrame, teacher_accuracy: float | None = None, *, dark: bool = False
) -> go.Figure:
    """Validation accuracy over the steps. A finished teacher is a level line, not a curve."""
    figure = new_figure("Validation accuracy", "Step", "Accuracy (%)", dark=dark)
    lowest = 100.0
    for who in NAMES:
        mine = evaluations[evaluations["who"] == who]
        if who == "teacher" and (teacher_accuracy is not None or mine["accuracy"].notna().sum() == 0):
            continue
        for index, (seed, rows) in enumerate(mine.groupby("seed")):
            lowest = min(lowest, 100 * float(rows["accuracy"].min()))
            figure.add_scatter(
                x=rows["step"],
                y=100 * rows["accuracy"],
                name=NAMES[who],
                legendgroup=who,
                showlegend=index == 0,
                mode="lines+markers",
                line={"color": colour_of(who, dark), "dash": DASHES[who], "width": 2.2},
                marker={"symbol": SYMBOLS[who], "size": 7},
                opacity=1 if index == 0 else 0.45,
                hovertemplate=f"{NAMES[who]} %{{y:.1f}} %, step %{{x:,}}{_seed(mine, seed)}<extra></extra>",
            )
    if teacher_accuracy is not None:
        lowest = min(lowest, 100 * teacher_accuracy)
        figure.add_scatter(  # a trace rather than a shape: it belongs in the legend
            x=[0, max(1, *evaluations["step"])] if len(evaluations) else [0, 1],
            y=[100 * teacher_accuracy] * 2,
            name=f"Teacher, {percent(teacher_accuracy)}",
            mode="lines",
            line={"color": colour_of("teacher", dark), "dash": DASHES["teacher"], "width": 2},
            hovertemplate="Teacher %{y:.1f} %<extra></extra>",
        )
    figure.update_yaxes(range=[max(0, 10 * (lowest // 10 - 0.3)) if figure.data else 0, 100])
    return figure


def overlay(
    curves: Mapping[str, pd.DataFrame],
    value: Literal["accuracy", "loss"] = "accuracy",
    *,
    log: bool = False,
    dark: bool = False,
) -> go.Figure:
    """The distilled students of several runs, by the runs' names; several seeds of a run are averaged."""
    title = {"accuracy": "Validation accuracy", "loss": "Training loss"}[value]
    unit = {"accuracy": "Accuracy (%)", "loss": "Loss (nats)"}[value]
    figure = new_figure(f"{title} of the distilled students", "Step", unit, dark=dark, height=380)
    for index, (name, curve) in enumerate(curves.items()):
        rows = curve[curve["who"] == "student"].groupby("step", as_index=False)[value].mean()
        shown = 100 * rows[value] if value == "accuracy" else rows[value]
        form = "%{y:.1f} %" if value == "accuracy" else "%{y:.3f}"
        figure.add_scatter(
            x=rows["step"],
            y=shown,
            name=label_of(name),
            mode="lines+markers" if value == "accuracy" else "lines",
            line={
                "color": pick(RUNS[index % len(RUNS)], dark),
                "dash": RUN_DASHES[index % len(RUN_DASHES)],
                "width": 2.2,
            },
            hovertemplate=f"%{{fullData.name}}: {form}, step %{{x:,}}<extra></extra>",
        )
    if log:
        log_axis(figure)
    return figure


def _seed(rows: pd.DataFrame, seed: Any) -> str:
    return f", seed {seed}" if rows["seed"].nunique() > 1 else ""
