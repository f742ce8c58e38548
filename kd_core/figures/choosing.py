"""Choosing settings: what cross-validation does with the texts, and how far the best number flatters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from kd_core.figures.style import GRID, INK, LINE, PAGE, UNSURE, new_figure, pick, shade_of, upright
from kd_core.system.formatting import percent


def folds(count: int, *, dark: bool = False) -> go.Figure:
    """A row for each training of one setting: the part that it is judged on, and the test texts apart."""
    test = count + 0.5  # beside the parts, with a gap
    wide = 0.3 * count + 0.7  # enough for its words in a narrow picture
    cells, words = [], []
    learned, judged = shade_of("student", 0.15, dark), shade_of("student", 0.9, dark)
    for row in range(count):
        for part in range(count):
            held_out = part == row
            ends = {"x0": part + 0.04, "x1": part + 0.96, "y0": row - 0.4, "y1": row + 0.4}
            line = {"width": 2 if held_out else 0, "color": pick(INK, dark)}
            cells.append({"type": "rect", "fillcolor": judged if held_out else learned, "line": line} | ends)
            words.append({"x": part + 0.5, "y": row, "text": "judge" if held_out else "learn"})
    ends = {"x0": test + 0.04, "x1": test + wide, "y0": -0.4, "y1": count - 0.6}
    dashed = {"width": 1.5, "dash": "dash", "color": pick(LINE, dark)}
    cells.append({"type": "rect", "fillcolor": pick(GRID, dark), "line": dashed} | ends)
    words.append({"x": test + wide / 2, "y": (count - 1) / 2, "text": "test texts:<br>only at<br>the end"})
    if count > 4:  # too narrow for words, on a phone
        words = [word for word in words if word["text"] != "learn"]
    small = {"showarrow": False, "font": {"size": 12 if count <= 5 else 11, "color": pick(INK, dark)}}
    layout = {
        "shapes": cells,
        "annotations": [small | word for word in words],
        "xaxis": {"range": [0, test + wide + 0.1], "visible": False, "fixedrange": True},
        "showlegend": False,
    }
    names = [f"Training {row + 1}" for row in range(count)]
    title, height = f"One setting, {count} folds of the training texts", 70 + 34 * count
    # A figure without a trace has no axes.
    nothing = {"type": "scatter", "x": [0], "y": [0], "mode": "none", "hoverinfo": "skip"}
    return new_figure(title, "", "", [nothing], layout, dark=dark, height=height, names=names)


def flattered(seen: Sequence[float], unseen: Sequence[float], tried: int, *, dark: bool = False) -> go.Figure:
    """Accuracy of the best of n: on the texts that it was picked by, and on others; marked at ``tried``."""
    count = list(range(1, len(seen) + 1))
    lines = (
        ("On the texts it was picked by", seen, "dash", "bottom"),
        ("On other texts", unseen, "solid", "top"),
    )
    traces: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for name, values, dash, side in lines:
        mean = [100 * value for value in values]
        trace = {
            "type": "scatter",
            "x": count,
            "y": mean,
            "mode": "lines",
            "name": name,
            "line": {"color": pick(LINE, dark), "dash": dash, "width": 2.5},
            "hovertemplate": f"{name}: %{{y:.1f}} %<extra></extra>",
        }
        mark = {
            "type": "scatter",
            "x": [tried],
            "y": [mean[tried - 1]],
            "mode": "markers",
            "marker": {
                "size": 10,
                "color": pick(LINE, dark),
                "line": {"width": 2, "color": pick(PAGE, dark)},
            },
            "hoverinfo": "skip",
            "showlegend": False,
        }
        traces += [trace, mark]
        place = {"x": tried, "y": mean[tried - 1], "yanchor": side, "yshift": 6 if side == "bottom" else -6}
        place["xanchor"] = "right" if tried > 0.8 * len(seen) else "center"  # not over the edge
        if tried <= 0.2 * len(seen):  # where the lines are steep: clear of them
            place |= {"yshift": 24} if side == "bottom" else {"xanchor": "left"}
        if tried == 1 and side == "bottom":
            continue  # nothing was picked: both are the same number
        words.append(place | {"text": f"<b>{percent(values[tried - 1])}</b>", "showarrow": False})
    low, high = 100 * min(*seen, *unseen), 100 * max(*seen, *unseen)
    layout = {
        "annotations": words,
        "shapes": [upright(tried, pick(UNSURE, dark), 1)],
        "yaxis": {"range": [low - 0.6, high + 0.5], "tickformat": ".1f"},
        "xaxis": {"range": [0.5, len(seen) + 0.5]},
    }
    title = "The best of several students"
    return new_figure(title, "Students tried", "Accuracy (%)", traces, layout, dark=dark, height=320)
