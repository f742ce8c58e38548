"""Many models at once: how accurate they are against what they cost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, label_rgb, sample_colorscale

from kd_core.deployment.runtimes import RUNTIME_NAMES, Runtime, form_name
from kd_core.deployment.tradeoffs import Cost, Limits
from kd_core.distillation.roles import NAMES, ROLES, SHORT_NAMES, Role
from kd_core.figures.direct import Named, names_beside
from kd_core.figures.style import (
    INK,
    LINE,
    PAGE,
    TEXT_COLOURS,
    UNSURE,
    colour_of,
    label_of,
    new_figure,
    pick,
    whiskers,
)
from kd_core.system.formatting import count, megabytes, milliseconds, with_interval

# Title, axis, and what a column's number is divided by for the axis.
COSTS: dict[Cost, tuple[str, str, float]] = {
    "size": ("size", "Size on disk (MB)", 1),
    "latency": ("latency", "Median time for one text (ms)", 1),
    "params": ("parameters", "Parameters (millions)", 1e6),
    "flops": ("computation", "Computation for one text (MFLOPs)", 1e6),
}
# A mark's shape says whose model it is, its filling in which program it runs.
FILLINGS: dict[Runtime, str] = {"pytorch": "", "onnx": "-open", "int8": "-open-dot", "sklearn": ""}
PLAIN = ("pytorch", "sklearn")  # the form that a model is trained in goes without saying
HEIGHT, AROUND = 500, 96  # pixels: of the figure, and of it around the plot
MOST_NAMES = 12  # kinds of marks that have their name beside them; more are in a legend
NEARLY = 0.012  # of the axis: what counts as the same cost, and how far apart those stand: a few pixels
MANY = 60  # candidates from which on only the front has its intervals drawn
PALE = 0.18  # what does not fit
DEEPEST = 0.6  # share of ink in the shade of the largest of several students


class Mark(NamedTuple):
    who: Role
    runtime: Runtime
    name: str
    accuracy: float
    low: float
    high: float
    size: float
    params: int
    latency: float
    conditions: str


def tradeoff_scatter(
    frame: pd.DataFrame,
    cost: Cost,
    *,
    texts: str = "test texts",
    limits: Limits | None = None,
    best: int | None = None,
    chosen: int | None = None,
    log: bool = False,
    measures: str = "Accuracy",
    dark: bool = False,
) -> go.Figure:
    """Candidates with the columns ``front`` and ``fits``; those that do not fit are pale.

    ``best`` and ``chosen`` are places in the frame's index, which every mark carries as its ``customdata``.
    """
    title, axis, unit = COSTS[cost]
    measures = label_of(measures)
    words = f"{measures} against {title}", axis, f"{measures} on {texts} (%)"
    figure = new_figure(*words, dark=dark, height=HEIGHT)
    shown = frame.assign(x=frame[cost] / unit, y=100 * frame["accuracy"]).dropna(subset=["x"])
    many = len(shown) > MANY
    limits = limits or Limits()
    across, up = _ends(shown, log), _heights(shown, limits)
    _draw_limits(figure, limits, cost, log, across, up, dark)
    _draw_front(figure, shown[shown["front"]].sort_values("x"), many, dark)
    if not many:
        shown = shown.assign(x=_side_by_side(shown["x"], log))
    named: dict[str, Named] = {}  # by the group in the legend
    for who, student, colour in _kinds(shown, dark):
        for runtime in FILLINGS:
            group = shown[(shown["who"] == who) & (shown["runtime"] == runtime)]
            if student:
                group = group[group["student"] == student]
            if not group.empty:
                label = f"{SHORT_NAMES[who]} {label_of(student)}" if student else SHORT_NAMES[who]
                beside = label if runtime in PLAIN else f"{label}, {RUNTIME_NAMES[runtime].split()[-1]}"
                mark = group.sort_values(["fits", "front", "y"]).iloc[-1]
                ink = pick(TEXT_COLOURS[who] if mark["fits"] else UNSURE, dark)
                needed = bool(mark["front"]) or who == "teacher"
                name = f"{label}, {RUNTIME_NAMES[runtime]}"
                named[name] = Named(_place(mark["x"], log), mark["y"], beside, ink, needed)
            for fits in (False, True):
                part = group[group["fits"] == fits]
                if not part.empty:
                    legend = fits or not group["fits"].any()
                    _draw_marks(figure, part, name, colour, many=many, legend=legend, dark=dark)
    for place, name, size in ((best, "Best that fits", 20), (chosen, "Chosen", 26)):
        if place in shown.index:
            _draw_ring(figure, shown.loc[[place]], name, size, dark)
    figure.update_layout(hovermode="closest", hoverlabel={"align": "left"})
    if len(shown):
        if log:
            _log_axis(figure, shown["x"])
        figure.update_xaxes(range=across)
        figure.update_yaxes(range=up)
    if not many and len(named) <= MOST_NAMES:
        dots = [(_place(x, log), y) for x, y in zip(shown["x"], shown["y"], strict=True)]
        notes = names_beside(list(named.values()), across, up, HEIGHT - AROUND, dots)
        figure.update_layout(annotations=[*figure.layout.annotations, *notes])
        written = {note["text"] for note in notes}
        there = {group for group, each in named.items() if each.text in written}
        figure.update_traces(showlegend=False, selector=lambda trace: trace.legendgroup in there)
    return figure


def _place(x: float, log: bool) -> float:
    """On the axis, as plotly takes the ends of one and notes on it."""
    return math.log10(x) if log else x


def _side_by_side(x: pd.Series[float], log: bool) -> pd.Series[float]:
    """Marks that cost nearly the same are moved a little, so that each one's interval can be seen."""
    places = (x.map(math.log10) if log else x).sort_values(kind="stable")
    whole = float(places.max() - (places.min() if log else 0)) or 1.0
    groups = (places.diff() > NEARLY * whole).cumsum()
    by_group = places.groupby(groups)
    last = by_group.transform("size") - 1
    beside = (by_group.cumcount() - last / 2) / last.clip(lower=1)
    moved: pd.Series[float] = (places + NEARLY * whole * beside)[x.index]
    return 10**moved if log else moved


def _ends(shown: pd.DataFrame, log: bool) -> tuple[float, float]:
    """Of the horizontal axis: of a logarithmic one their exponents."""
    if shown.empty:
        return 0.0, 1.0
    high = _place(float(shown["x"].max()), log)
    low = _place(float(shown["x"].min()), log) if log else 0.0
    room = 0.06 * (high - low) or 0.5
    return (low - room if log else 0.0), high + room


def _heights(shown: pd.DataFrame, limits: Limits) -> tuple[float, float]:
    """Of the vertical axis: all intervals and the least accuracy that is asked for."""
    if shown.empty:
        return 0.0, 100.0
    known = 100 * shown[["accuracy", "low", "high"]].to_numpy(float)
    ends = [float(np.nanmin(known)), float(np.nanmax(known))]  # an interval may not be known
    if limits.accuracy is not None:
        ends.append(100 * limits.accuracy)
    room = 0.06 * (max(ends) - min(ends)) or 1.0
    return float(min(ends) - room), float(max(ends) + room)


def _kinds(shown: pd.DataFrame, dark: bool) -> list[tuple[Role, str | None, str]]:
    """Whose models have which colour; of several students each has its shade, the larger the deeper."""
    distilled = shown[shown["who"] == "student"]
    students = distilled.groupby("student")["params"].max().sort_values(kind="stable").index
    kinds: list[tuple[Role, str | None, str]] = []
    for who in NAMES:
        colour = colour_of(who, dark)
        if who == "student" and len(students) > 1:
            scale = [label_rgb(hex_to_rgb(end)) for end in (colour, pick(INK, dark))]
            shades = sample_colorscale(scale, np.linspace(0, DEEPEST, len(students)))
            kinds += [(who, student, shade) for student, shade in zip(students, shades, strict=True)]
        else:
            kinds.append((who, None, colour))
    return kinds


def _draw_marks(
    figure: go.Figure,
    part: pd.DataFrame,
    name: str,
    colour: str,
    *,
    many: bool,
    legend: bool,
    dark: bool,
) -> None:
    """``part``: of one kind and runtime, all of which fit or do not."""
    who, runtime, fits = part[["who", "runtime", "fits"]].iloc[0]
    filling = FILLINGS[runtime]
    opacity = PALE if not fits else 0.6 if many else 1
    figure.add_scatter(
        x=part["x"],
        y=part["y"],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=bool(legend),
        marker={
            "symbol": (ROLES[who].shape or ROLES[who].symbol) + filling,
            "size": 8 if many else 12,
            "color": colour,
            "opacity": opacity,
            "line": {"width": 2, "color": colour} if filling else {"width": 1, "color": pick(PAGE, dark)},
        },
        # What is chosen has a ring; the others stay as they are.
        selected={"marker": {"opacity": opacity}},
        unselected={"marker": {"opacity": opacity}},
        error_y=None if many or not fits else _interval(part, colour),
        customdata=part.index,
        text=_facts(part),
        hovertemplate="%{text}<extra></extra>",
    )


def _draw_front(figure: go.Figure, front: pd.DataFrame, many: bool, dark: bool) -> None:
    """A staircase: the most that is to be had for each cost."""
    colour = pick(LINE, dark)
    figure.add_scatter(
        x=front["x"],
        y=front["y"],
        mode="lines",
        name="Pareto front",
        line={"color": colour, "width": 1.5, "dash": "dot", "shape": "hv"},
        error_y=_interval(front, colour) if many else None,
        hoverinfo="skip",
        showlegend=len(front) > 1,  # of one there is no line
    )


def _draw_limits(
    figure: go.Figure,
    limits: Limits,
    cost: Cost,
    log: bool,
    across: tuple[float, float],
    up: tuple[float, float],
    dark: bool,
) -> None:
    """A line at each limit of these axes, and what is within them shaded."""
    line = {"color": pick(LINE, dark), "width": 1.2}
    most, unit = {"size": (limits.size, "MB"), "latency": (limits.latency, "ms")}.get(cost, (None, ""))
    if most:
        figure.add_vline(most, line=line)
        figure.add_annotation(
            x=math.log10(most) if log else most,  # unlike a line, a note wants the exponent
            y=1,
            yref="paper",
            text=f"at most {most:g} {unit}",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
        )
    if limits.accuracy is not None:
        least = 100 * limits.accuracy
        figure.add_hline(
            least, line=line, annotation_text=f"at least {least:g} %", annotation_position="bottom right"
        )
    if most or limits.accuracy is not None:
        left, right = (10**end for end in across) if log else across
        figure.add_shape(
            type="rect",
            x0=left,
            x1=most or right,
            y0=100 * (limits.accuracy or 0) or up[0],
            y1=up[1],
            line={"width": 0},
            fillcolor=pick(INK, dark),
            opacity=0.07,
            layer="below",
        )


def _draw_ring(figure: go.Figure, mark: pd.DataFrame, name: str, size: int, dark: bool) -> None:
    figure.add_scatter(
        x=mark["x"],
        y=mark["y"],
        mode="markers",
        name=name,
        marker={
            "symbol": "circle-open",
            "size": size,
            "color": pick(INK, dark),
            "line": {"width": 2.5 if name == "Chosen" else 1.5},
        },
        showlegend=name != "Chosen",  # the plot must not move when a mark is clicked
        hoverinfo="skip",
    )


def _interval(part: pd.DataFrame, colour: str) -> dict[str, Any]:
    return whiskers(100 * part["accuracy"], 100 * part["low"], 100 * part["high"], colour, 1)


def _facts(part: pd.DataFrame) -> list[str]:
    return [
        f"<b>{form_name(row.who, row.runtime)}</b><br>{label_of(row.name)}<br>"
        f"{with_interval(row.accuracy, row.low, row.high)}<br>"
        f"{megabytes(row.size)}, {count(row.params)} parameters"
        + (f"<br>{milliseconds(row.latency)}, {label_of(row.conditions, 80)}" if row.latency > 0 else "")
        for row in map(Mark._make, part[list(Mark._fields)].itertuples(index=False, name=None))
    ]


def _log_axis(figure: go.Figure, values: pd.Series[float]) -> None:
    """Ticks at 1, 2 and 5 of each power of ten, as numbers that people write."""
    powers = range(math.floor(math.log10(values.min())), math.ceil(math.log10(values.max())) + 1)
    ticks = [part * 10.0**power for power in powers for part in (1, 2, 5)]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,g}" for tick in ticks])
