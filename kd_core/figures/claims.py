"""What was measured of a paper's claim: marks with intervals, side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.roles import Role
from kd_core.figures.style import LINE, SYMBOLS, colour_of, new_figure, pick, whiskers
from kd_core.system.formatting import counted, percent


class Look(NamedTuple):
    """How a series is named and drawn; ``who`` None: in the colour of what is nobody's."""

    name: str
    who: Role | None
    symbol: str
    dash: str | None = None  # of the line through its marks; None: there is none
    below: bool = False  # in a panel of its own, so that it does not press the others flat


LOOKS = {
    "before": Look("As trained", "student", "circle-open"),
    "after": Look("One bias shifted", "student", "circle"),
    "teacher": Look("Teacher", "teacher", SYMBOLS["teacher"], "dash"),
    "student": Look("Its student", "student", SYMBOLS["student"], "solid"),
    "agreement": Look("Agrees with its teacher", None, "diamond-open", "solid"),
    "accuracy": Look("Is right", "student", "circle", "solid"),
    "random agreement": Look("Agrees with a random teacher", None, "x-thin-open", "dot", below=True),
    "random accuracy": Look("Is right, taught by it", "student", "circle-open", "dot", below=True),
}
WITHOUT_TEACHER = "Labels alone"  # a place, and its symbols
ALONE = {"before": "square-open", "after": "square"}
APART = 0.14  # between the series of one place


def claim_chart(
    points: pd.DataFrame,
    mark: tuple[str, float] | None,
    title: str,
    x: str,
    y: str,
    *,
    dark: bool = False,
) -> go.Figure:
    """``points`` as ``claims.Findings`` has them; ``mark`` is a level in words and as a share."""
    places = list(dict.fromkeys(points["place"]))
    series = list(dict.fromkeys(points["series"]))
    traces: list[dict[str, Any]] = []
    for number, name in enumerate(series):
        offset = APART * (number - (len(series) - 1) / 2)
        for without in (False, True):
            mine = points[(points["series"] == name) & ((points["place"] == WITHOUT_TEACHER) == without)]
            rows = mine.to_dict("records")
            if rows:
                look = LOOKS[name]._replace(who="alone", symbol=ALONE[name]) if without else LOOKS[name]
                colour = colour_of(look.who, dark) if look.who else pick(LINE, dark)
                at = [places.index(row["place"]) + offset for row in rows]
                panel = {"yaxis": "y2" if look.below else "y"}
                traces += [
                    _marks(look, rows, at, colour) | {"showlegend": not without} | panel,
                    _seeds(rows, at, colour) | panel,
                ]
    ends = [-0.5, len(places) - 0.5]
    if mark:  # named in the legend: beside the line there may be marks
        traces.append(
            {
                "type": "scatter",
                "name": f"{mark[0]} {percent(mark[1])}",
                "x": ends,
                "y": [100 * mark[1]] * 2,
                "mode": "lines",
                "line": {"color": colour_of("alone", dark), "width": 1.5, "dash": "dash"},
                "hoverinfo": "skip",
            }
        )
    axis = {"tickvals": list(range(len(places))), "ticktext": places, "range": ends}
    layout = {"xaxis": axis | {"showgrid": False, "zeroline": False}, "hovermode": "closest"}
    two = any(LOOKS[name].below for name in series)
    figure = new_figure(title, x, y, traces, layout, dark=dark, height=520 if two else 420)
    if two:
        of_both = figure.layout.yaxis.to_plotly_json()
        figure.update_layout(yaxis={"domain": [0.42, 1]}, yaxis2=of_both | {"domain": [0, 0.34]})
        figure.update_xaxes(anchor="y2")
    return figure


def _marks(
    look: Look,
    rows: Sequence[dict[Hashable, Any]],
    at: Sequence[float],
    colour: str,
) -> dict[str, Any]:
    means = [100 * row["mean"] for row in rows]
    return {
        "type": "scatter",
        "name": look.name,
        "x": at,
        "y": means,
        "mode": "lines+markers" if look.dash else "markers",
        "line": {"color": colour, "width": 1.5, "dash": look.dash or "solid"},
        "marker": {"color": colour, "symbol": look.symbol, "size": 11, "line": {"width": 2, "color": colour}},
        "error_y": whiskers(
            means, [100 * row["low"] for row in rows], [100 * row["high"] for row in rows], colour, 1.5, 5
        ),
        "customdata": [
            f"{look.name}, {row['place']}: {percent(row['mean'])}, 95 % interval {percent(row['low'])} to "
            f"{percent(row['high'])}, mean of {counted(len(row['values']), 'seed')}"
            for row in rows
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _seeds(rows: Sequence[dict[Hashable, Any]], at: Sequence[float], colour: str) -> dict[str, Any]:
    """A dash for each seed, beside the mark."""
    values = [(x - 0.05, 100 * value) for x, row in zip(at, rows, strict=True) for value in row["values"]]
    return {
        "type": "scatter",
        "x": [x for x, _ in values],
        "y": [y for _, y in values],
        "mode": "markers",
        "marker": {"color": colour, "symbol": "line-ew-open", "size": 7, "line": {"width": 1.5}},
        "hovertemplate": "One seed: %{y:.1f} %<extra></extra>",
        "showlegend": False,
    }
