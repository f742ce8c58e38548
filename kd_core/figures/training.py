"""Curves of a run while it trains and afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.roles import NAMES, Role
from kd_core.figures.style import (
    DASHES,
    LINE,
    LOG_AXIS,
    RUN_DASHES,
    RUNS,
    SYMBOLS,
    colour_of,
    label_of,
    new_figure,
    pick,
)
from kd_core.system.formatting import percent


def loss_curves(
    curve: pd.DataFrame, *, who: Role = "student", log: bool = False, dark: bool = False
) -> go.Figure:
    """The terms of one model's training loss over its steps; total solid, soft dashed, hard dotted."""
    mine, traces = curve[curve["who"] == who], []
    seeds = list(mine.groupby("seed"))
    terms = {"loss": ("total", "solid"), "soft": ("soft", "dash"), "hard": ("hard", "dot")}
    terms["intermediate"] = ("intermediate", "dashdot")
    single = not mine[["soft", "intermediate"]].to_numpy(dtype=float).any()  # then total and hard are one
    for column, (name, dash) in terms.items():
        if (single and column != "loss") or not mine[column].to_numpy(dtype=float).any():
            continue
        for index, (seed, rows) in enumerate(seeds):
            trace = {
                "type": "scatter",
                "x": rows["step"].to_numpy(),
                "y": rows[column].to_numpy(),
                "name": name,
                "legendgroup": name,
                "showlegend": index == 0,
                "line": {"color": pick(LINE, dark), "dash": dash, "width": 2.2 if column == "loss" else 1.6},
                "opacity": 1 if index == 0 else 0.45,
                "hovertemplate": f"{name} %{{y:.3f}}, step %{{x:,}}{_seed(seed, seeds)}<extra></extra>",
            }
            traces.append(trace)
    layout = {"yaxis": LOG_AXIS if log else {"rangemode": "tozero"}}
    title = f"Training loss: {NAMES[who].lower()}"
    return new_figure(title, "Step", "Loss (nats)", traces, layout, dark=dark)


def accuracy_curves(
    evaluations: pd.DataFrame, teacher_accuracy: float | None = None, *, dark: bool = False
) -> go.Figure:
    """Validation accuracy over the steps. A finished teacher is a level line, not a curve."""
    traces, lowest = [], 100.0
    for who in NAMES:
        mine = evaluations[evaluations["who"] == who]
        if who == "teacher" and (teacher_accuracy is not None or mine["accuracy"].notna().sum() == 0):
            continue
        name, seeds = NAMES[who], list(mine.groupby("seed"))
        for index, (seed, rows) in enumerate(seeds):
            lowest = min(lowest, 100 * float(rows["accuracy"].min()))
            trace = {
                "type": "scatter",
                "x": rows["step"].to_numpy(),
                "y": 100 * rows["accuracy"].to_numpy(),
                "name": name,
                "legendgroup": who,
                "showlegend": index == 0,
                "mode": "lines+markers",
                "line": {"color": colour_of(who, dark), "dash": DASHES[who], "width": 2.2},
                "marker": {"symbol": SYMBOLS[who], "size": 7},
                "opacity": 1 if index == 0 else 0.45,
                "hovertemplate": f"{name} %{{y:.1f}} %, step %{{x:,}}{_seed(seed, seeds)}<extra></extra>",
            }
            traces.append(trace)
    if teacher_accuracy is not None:
        lowest = min(lowest, 100 * teacher_accuracy)
        last = max(1, *evaluations["step"]) if len(evaluations) else 1
        traces.append(teacher_level(teacher_accuracy, last, dark))
    layout = {"yaxis": {"range": [max(0, 10 * (lowest // 10 - 0.3)) if traces else 0, 100]}}
    return new_figure("Validation accuracy", "Step", "Accuracy (%)", traces, layout, dark=dark)


def teacher_level(accuracy: float, last: int, dark: bool) -> dict[str, Any]:
    """A trace rather than a shape: it belongs in the legend."""
    return {
        "type": "scatter",
        "x": [0, last],
        "y": [100 * accuracy] * 2,
        "name": f"Teacher, {percent(accuracy)}",
        "mode": "lines",
        "line": {"color": colour_of("teacher", dark), "dash": DASHES["teacher"], "width": 2},
        "hovertemplate": "Teacher %{y:.1f} %<extra></extra>",
    }


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
    traces, layout = [*students(curves, value, dark)], {"yaxis": LOG_AXIS} if log else {}
    title += " of the distilled students"
    return new_figure(title, "Step", unit, traces, layout, dark=dark, height=380)


def students(
    curves: Mapping[str, pd.DataFrame], value: Literal["accuracy", "loss"], dark: bool
) -> Iterator[dict[str, Any]]:
    """A trace for each run."""
    for index, (name, curve) in enumerate(curves.items()):
        rows = curve[curve["who"] == "student"].groupby("step", as_index=False)[value].mean()
        shown = 100 * rows[value] if value == "accuracy" else rows[value]
        form = "%{y:.1f} %" if value == "accuracy" else "%{y:.3f}"
        yield {
            "type": "scatter",
            "x": rows["step"].to_numpy(),
            "y": shown.to_numpy(),
            "name": label_of(name),
            "mode": "lines+markers" if value == "accuracy" else "lines",
            "line": {
                "color": pick(RUNS[index % len(RUNS)], dark),
                "dash": RUN_DASHES[index % len(RUN_DASHES)],
                "width": 2.2,
            },
            "hovertemplate": f"%{{fullData.name}}: {form}, step %{{x:,}}<extra></extra>",
        }


def _seed(seed: Any, seeds: Sized) -> str:
    return f", seed {seed}" if len(seeds) > 1 else ""
