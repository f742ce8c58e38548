"""Pictures of the labs: distributions, gradients, and students too small for their teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from kd_core.distillation.roles import NAMES, Role
from kd_core.figures.style import (
    LINE,
    LOG_AXIS,
    MAX_CELLS_WITH_TEXT,
    STEEP,
    TEXT_COLOURS,
    UNSURE,
    colour_of,
    in_full,
    label_of,
    level,
    new_figure,
    pick,
    scale_of,
    upright,
)

MOST_CLASSES = 8  # the likeliest ones are shown


def entropy_curve(
    temperatures: Sequence[float],
    entropies: Sequence[float],
    temperature: float,
    classes: int,
    *,
    dark: bool = False,
) -> go.Figure:
    """Entropy of one softened answer over T, a mark at ``temperature``, and the most that there can be."""
    most, colour = float(np.log(classes)), colour_of("teacher", dark)
    curve = {
        "type": "scatter",
        "x": temperatures,
        "y": entropies,
        "mode": "lines",
        "line": {"color": colour, "width": 2.5},
        "hovertemplate": "T = %{x:g}: %{y:.2f} nats<extra></extra>",
    }
    mark = {
        "type": "scatter",
        "x": [temperature],
        "y": [float(np.interp(temperature, temperatures, entropies))],
        "mode": "markers",
        "marker": {"color": colour, "size": 12, "symbol": "diamond"},
        "hoverinfo": "skip",
    }
    words = {"text": f"all {classes} classes alike: {most:.2f}", "font": {"size": 12}, "showarrow": False}
    place = {"x": 1, "xanchor": "right", "xref": "x domain", "y": most, "yanchor": "bottom", "yref": "y"}
    layout = {
        "shapes": [level(most, pick(LINE, dark), 1.2)],
        "annotations": [words | place],
        "yaxis": {"range": [0, 1.18 * most]},
        "showlegend": False,
    }
    title = "Entropy over the temperature"
    return new_figure(title, "Temperature", "Nats", [curve, mark], layout, dark=dark, height=260)


def class_similarity(
    shares: Sequence[Sequence[float]], labels: Sequence[str], *, dark: bool = False
) -> go.Figure:
    """Rows: the true class; columns: where the rest of the teacher's probability goes. NaN stays empty."""
    names = [label_of(name, 18) for name in labels]
    grid = np.asarray(shares, dtype=float)
    few = len(names) <= MAX_CELLS_WITH_TEXT
    places = list(range(len(names)))
    cells = {
        "type": "heatmap",
        "x": places,
        "y": places,
        "z": 100 * grid,
        "zmin": 0,
        "zmax": 100,  # so that a colour means the same share in every task
        "colorscale": scale_of("teacher", dark),
        # Below: beside the cells it would take the room that their names need to lie flat.
        "colorbar": {
            "orientation": "h",
            "y": -0.03,
            "yanchor": "top",
            "thickness": 10,
            "outlinewidth": 0,
            "tickvals": [0, 50, 100],
            "ticktext": ["0 %", "50 %", "100 %"],
        },
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
        "customdata": [[(row, column) for column in names] for row in names],
        "text": [["" if np.isnan(share) else f"{100 * share:.0f} %" for share in row] for row in grid],
        "texttemplate": "%{text}" if few else None,
        "hovertemplate": "%{customdata[0]}: %{z:.1f} % of the rest goes to %{customdata[1]}<extra></extra>",
    }
    axis = {"tickvals": places, "ticktext": names, "showgrid": False, "zeroline": False}
    axes = {"xaxis": axis | {"side": "top"} | STEEP, "yaxis": axis | {"autorange": "reversed"}}
    layout = axes | {"hovermode": "closest", "margin": {"t": 84, "b": 48}}
    title, height = "The teacher's second thoughts", 194 + min(40 * len(names), 480)
    return new_figure(title, "", "", [cells], layout, dark=dark, height=height)


def two_answers(
    teacher: ArrayLike,
    student: ArrayLike,
    labels: Sequence[str],
    *,
    title: str,
    dark: bool = False,
) -> go.Figure:
    """Probabilities of teacher and student, class by class; the likeliest first."""
    p_t, p_s = np.asarray(teacher, dtype=float), np.asarray(student, dtype=float)
    order = np.argsort(-np.maximum(p_t, p_s), kind="stable")[:MOST_CLASSES]
    names, height = [labels[i] for i in order], 132 + 38 * len(order)
    bars: tuple[tuple[str, Any, Role, str], ...] = (
        (NAMES["teacher"], p_t, "teacher", ""),
        ("Student", p_s, "student", "/"),
    )
    traces = [
        {
            "type": "bar",
            "y": list(range(len(order))),
            "x": 100 * shares[order],
            "orientation": "h",
            "name": name,
            "marker": {
                "color": colour_of(model, dark),
                "pattern": {"shape": pattern, "size": 6, "fillmode": "overlay"},
            },
            "hovertext": [in_full(label) for label in names],
            "hovertemplate": f"%{{hovertext}}<br>{name}: %{{x:.1f}} %<extra></extra>",
        }
        for name, shares, model, pattern in bars
    ]
    layout = {"barmode": "group", "bargap": 0.3, "hovermode": "closest", "xaxis": {"range": [0, 102]}}
    return new_figure(title, "Probability (%)", "", traces, layout, dark=dark, height=height, names=names)


def gradient_bars(
    hard: ArrayLike,
    soft: ArrayLike,
    labels: Sequence[str],
    *,
    title: str,
    dark: bool = False,
) -> go.Figure:
    """What each loss, as it is weighed, pushes on the logit of each class, and both together.

    Drawn as the step that follows from it: the negative gradient, so that right is up.
    """
    pushes = -np.asarray(hard, dtype=float), -np.asarray(soft, dtype=float)
    total = pushes[0] + pushes[1]
    order = np.argsort(-np.abs(total), kind="stable")[:MOST_CLASSES]
    names = [labels[i] for i in order]
    whole = [in_full(name) for name in names]
    places = list(range(len(order)))
    colours = pick(UNSURE, dark), pick(LINE, dark)
    bars = [
        {
            "type": "bar",
            "y": places,
            "x": values[order],
            "orientation": "h",
            "name": name,
            "marker": {"color": colour, "pattern": {"shape": pattern, "size": 6, "fillmode": "overlay"}},
            "hovertext": whole,
            "hovertemplate": f"%{{hovertext}}<br>{name}: %{{x:+.3f}}<extra></extra>",
        }
        for name, values, colour, pattern in zip(("Hard", "Soft"), pushes, colours, (".", "/"), strict=True)
    ]
    marks = {
        "type": "scatter",
        "y": places,
        "x": total[order],
        "mode": "markers",
        "name": "Total",
        "marker": {"symbol": "line-ns-open", "size": 24, "color": pick(LINE, dark), "line": {"width": 3}},
        "hovertext": whole,
        "hovertemplate": "%{hovertext}<br>Total: %{x:+.3f}<extra></extra>",
    }
    traces, zero = [*bars, marks], upright(0, pick(LINE, dark), 1)
    height = 132 + 38 * len(order)
    layout = {"shapes": [zero], "barmode": "group", "bargap": 0.3, "hovermode": "closest"}
    return new_figure(title, "Push on the logit", "", traces, layout, dark=dark, height=height, names=names)


def gradient_over_temperature(
    temperatures: Sequence[float],
    hard: float,
    soft: Sequence[float],
    temperature: float,
    *,
    t_squared: bool | None,
    dark: bool = False,
) -> go.Figure:
    """Length of the gradients over T. ``soft`` is without T²; the way that is not chosen is pale.

    ``t_squared=None`` is for a loss that has neither T nor T²: one line.
    """
    t, plain = np.asarray(temperatures, dtype=float), np.asarray(soft, dtype=float)
    lines: list[tuple[str, Any, str, bool]] = [("Hard", np.full(len(t), hard), "dot", True)]
    if t_squared is None:
        lines.append(("Soft", plain, "dash", True))
    else:
        lines.append(("Soft, times T²", plain * t**2, "dash", t_squared))
        lines.append(("Soft, without T²", plain, "dashdot", not t_squared))
    traces = [
        {
            "type": "scatter",
            "x": t,
            "y": values,
            "mode": "lines",
            "name": name,
            "line": {
                "color": pick(LINE if chosen else UNSURE, dark),
                "dash": dash,
                "width": 2.5 if chosen else 1.4,
            },
            "hovertemplate": f"{name}: %{{y:.3g}}<extra></extra>",
        }
        for name, values, dash, chosen in lines
    ]
    title = "Size of the gradient over the temperature"
    layout = {"shapes": [upright(temperature, pick(UNSURE, dark), 1.2)], "yaxis": LOG_AXIS}
    return new_figure(title, "Temperature", "Length", traces, layout, dark=dark)


def humps(
    line: Sequence[float],
    teacher: ArrayLike,
    student: ArrayLike | None,
    *,
    title: str,
    dark: bool = False,
) -> go.Figure:
    """A distribution on a line, and a student's below or above it: density, so that the areas are 1."""
    step, curve = line[1] - line[0], {"type": "scatter", "x": list(line), "mode": "lines"}
    hump = {
        "y": np.asarray(teacher) / step,
        "fill": "tozeroy",
        "name": NAMES["teacher"],
        "line": {"color": colour_of("teacher", dark), "dash": "dash", "width": 1.5},
        "hovertemplate": "Teacher: %{y:.2f}<extra></extra>",
    }
    traces = [curve | hump]
    if student is not None:
        hump = {
            "y": np.asarray(student) / step,
            "name": "Student",
            "line": {"color": colour_of("student", dark), "width": 3},
            "hovertemplate": "Student: %{y:.2f}<extra></extra>",
        }
        traces.append(curve | hump)
    top = 1.5 * float(np.max(teacher)) / step
    # A student on a single place would press all others flat.
    axis = {"range": [0, max(top, 0.55)], "fixedrange": True}
    layout = {"yaxis": axis, "title_font_color": pick(TEXT_COLOURS["student"], dark)}
    return new_figure(title, "Place on the line", "Density", traces, layout, dark=dark, height=300)
