"""Curves of a run while it trains and afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.roles import NAMES, Role
from kd_core.figures.style import (
    DASHES,
    LOG_AXIS,
    RUN_DASHES,
    RUNS,
    SYMBOLS,
    TERMS,
    colour_of,
    label_of,
    new_figure,
    pick,
)
from kd_core.system.formatting import capitalised, in_sentence, percent

SMOOTH = 20  # a running mean takes in one part of so many
FROM_ZERO = {"rangemode": "tozero"}  # also without a value, when plotly's axis would begin at -1


def loss_curves(
    curve: pd.DataFrame, *, who: Role = "student", log: bool = False, dark: bool = False
) -> go.Figure:
    """The terms of one model's training loss over its steps, each smooth in a colour of its own.

    Thin and pale behind it: the batches as they were, each seed's.
    """
    mine = curve[curve["who"] == who]
    traces: list[dict[str, Any]] = []
    terms = {"loss": ("total", "solid"), "soft": ("soft", "dash"), "hard": ("hard", "dot")}
    terms["intermediate"] = ("intermediate", "dashdot")
    single = not mine[["soft", "intermediate"]].to_numpy(dtype=float).any()  # then total and hard are one
    for column, (name, dash) in terms.items():
        if (single and column != "loss") or not mine[column].to_numpy(dtype=float).any():
            continue
        look = {"color": pick(TERMS[name], dark), "dash": dash, "width": 2.4 if column == "loss" else 2}
        hover = f"{name} %{{y:.3f}}, about step %{{x:,}}{_mean(mine)}<extra></extra>"
        mean = _mean_of_seeds(mine, column)
        smooth = mean.rolling(_window(len(mean)), center=True, min_periods=1).mean()
        if _window(len(mean)) > 1 or mine["seed"].nunique() > 1:  # else the line shows them as they were
            behind = _each_seed(mine, column, look | {"dash": "solid"})
            traces += [trace | {"legendgroup": name, "name": name} for trace in behind]
        traces.append(_line(smooth, name, look) | {"legendgroup": name, "hovertemplate": hover})
    layout = {"xaxis": FROM_ZERO, "yaxis": LOG_AXIS if log else FROM_ZERO}
    title = f"Training loss: {in_sentence(NAMES[who])}"
    return new_figure(title, "Step", "Loss", traces, layout, dark=dark)


def validation_curves(
    evaluations: pd.DataFrame,
    teacher_score: float | None = None,
    *,
    measure: str = "accuracy",
    dark: bool = False,
) -> go.Figure:
    """The "score" on the validation texts over the steps: a line for each model, with several seeds their
    mean. ``measure``: what it is.

    A finished teacher is a level line, not a curve.
    """
    traces: list[dict[str, Any]] = []
    lowest = 100.0
    for who in NAMES:
        mine = evaluations[evaluations["who"] == who]
        mine = mine.assign(score=100 * mine["score"])
        if mine["score"].notna().sum() == 0 or (who == "teacher" and teacher_score is not None):
            continue
        lowest = min(lowest, float(mine["score"].min()))
        look = {"color": colour_of(who, dark), "dash": DASHES[who], "width": 2.2}
        hover = f"{NAMES[who]} %{{y:.1f}} %, step %{{x:,}}{_mean(mine)}<extra></extra>"
        if mine["seed"].nunique() > 1:
            traces += [trace | {"legendgroup": who} for trace in _each_seed(mine, "score", look)]
        trace = _line(_mean_of_seeds(mine, "score"), NAMES[who], look)
        marks: dict[str, Any] = {"mode": "lines+markers", "marker": {"symbol": SYMBOLS[who], "size": 7}}
        marks["cliponaxis"] = False  # else a mark at 100 % is cut in half
        traces.append(trace | marks | {"legendgroup": who, "hovertemplate": hover})
    if teacher_score is not None:
        lowest = min(lowest, 100 * teacher_score)
        last = max(1, *evaluations["step"]) if len(evaluations) else 1
        traces.append(teacher_level(teacher_score, last, dark))
    bottom = max(0, 10 * (lowest // 10 - 0.3)) if traces else 0
    layout = {"xaxis": FROM_ZERO, "yaxis": {"range": [bottom, 100]}}
    named = label_of(measure)
    unit = f"{capitalised(named)} (%)"
    return new_figure(f"Validation {named}", "Step", unit, traces, layout, dark=dark)


def _mean_of_seeds(rows: pd.DataFrame, column: str) -> pd.Series[float]:
    """By step. Where a seed has not come so far yet, it is the mean of the others."""
    mean: pd.Series[float] = rows.groupby("step")[column].mean()
    return mean


def _line(values: pd.Series[float], name: str, look: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` by step."""
    places = {"x": values.index.to_numpy(), "y": values.to_numpy()}
    return {"type": "scatter", "mode": "lines", "name": name, "line": look} | places


def _each_seed(rows: pd.DataFrame, column: str, look: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    pale = {"opacity": 0.3, "showlegend": False, "hoverinfo": "skip"}
    for _, seed in rows.groupby("seed"):
        yield _line(seed.set_index("step")[column], "", {**look, "width": 1}) | pale


def _window(points: int) -> int:
    """Of a running mean: 1 where there are too few points to smooth."""
    return max(1, points // SMOOTH)


def teacher_level(score: float, last: int, dark: bool) -> dict[str, Any]:
    """A trace rather than a shape: it belongs in the legend."""
    return {
        "type": "scatter",
        "x": [0, last],
        "y": [100 * score] * 2,
        "name": f"Teacher, {percent(score)}",
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
    title = {"accuracy": "Validation", "loss": "Training loss"}[value]
    unit = {"accuracy": "Accuracy (%)", "loss": "Loss"}[value]
    traces, layout = [*students(curves, value, dark)], {"yaxis": LOG_AXIS} if log else {}
    title += " of the distilled students"
    return new_figure(title, "Step", unit, traces, layout, dark=dark, height=380)


def students(
    curves: Mapping[str, pd.DataFrame], value: Literal["accuracy", "loss"], dark: bool
) -> Iterator[dict[str, Any]]:
    """A trace for each run."""
    for index, (name, curve) in enumerate(curves.items()):
        shown = _mean_of_seeds(curve[curve["who"] == "student"], value)
        if value == "accuracy":
            shown = 100 * shown
        else:
            shown = shown.rolling(_window(len(shown)), center=True, min_periods=1).mean()
        form = "%{y:.1f} %" if value == "accuracy" else "%{y:.3f}"
        yield {
            "type": "scatter",
            "x": shown.index.to_numpy(),
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


def _mean(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    return f", mean of {seeds} seeds" if seeds > 1 else ""
