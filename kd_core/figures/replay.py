"""A student on its way to its teacher: all texts at one moment, one text at one moment, and the way."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kd_core.distillation.metrics import softmax
from kd_core.distillation.roles import Role
from kd_core.distillation.training.replay import EARLY, Replay
from kd_core.figures.style import GRID, INK, LINE, UNSURE, colour_of, in_full, label_of, new_figure, pick
from kd_core.system.formatting import percent

MAX_CORNERS = 8
Floats = NDArray[np.float64]


def replay_map(
    replay: Replay, moment: int, *, temperature: float = 1.0, chosen: int | None = None, dark: bool = False
) -> go.Figure:
    """Each text between its classes: the mean of the corners, weighted with the probabilities.

    A circle for the student's, filled where its answer is the teacher's, and a line to the teacher's diamond.
    Of many classes those that the teacher answers most have a corner each, and the others share one.
    """
    teacher, names = _gathered(softmax(replay.teacher / temperature), replay)
    student, _ = _gathered(softmax(replay.student[moment] / temperature), replay)
    corners = _corners(len(names))
    to, at = teacher @ corners, student @ corners
    agrees = replay.agrees[moment]
    ring, colour = np.vstack([corners, corners[:1]]), pick(GRID, dark)
    ways = {"x": _segments(at[:, 0], to[:, 0]), "y": _segments(at[:, 1], to[:, 1])}
    pale = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    texts = [_wrapped(text) for text in replay.texts]
    traces: list[dict[str, Any]] = [
        pale | {"x": ring[:, 0], "y": ring[:, 1], "line": {"color": colour, "width": 1.5}},
        pale | ways | {"line": {"color": colour, "width": 1}},
        {
            "type": "scatter",
            "x": to[:, 0],
            "y": to[:, 1],
            "mode": "markers",
            "name": "Teacher",
            "marker": {"symbol": "diamond-open", "size": 10, "color": colour_of("teacher", dark)},
            "text": texts,
            "customdata": [label_of(replay.labels[i]) for i in replay.answers],
            "hovertemplate": "%{text}<br>Teacher: %{customdata}<extra></extra>",
        },
    ]
    for agreeing, name, symbol in (
        (True, "Student agrees", "circle"),
        (False, "Student differs", "circle-open"),
    ):
        rows = np.flatnonzero(agrees == agreeing)
        trace = {
            "type": "scatter",
            "x": at[rows, 0],
            "y": at[rows, 1],
            "mode": "markers",
            "name": name,
            "marker": {
                "symbol": symbol,
                "size": 10,
                "color": colour_of("student", dark) if agreeing else pick(UNSURE, dark),
                "line": {"width": 2, "color": colour_of("student", dark)},
            },
            "text": [texts[row] for row in rows],
            "customdata": [label_of(replay.labels[i]) for i in replay.student[moment].argmax(axis=1)[rows]],
            "hovertemplate": "%{text}<br>Student: %{customdata}<extra></extra>",
        }
        traces.append(trace)
    if chosen is not None:
        trace = {
            "type": "scatter",
            "x": [at[chosen, 0], to[chosen, 0]],
            "y": [at[chosen, 1], to[chosen, 1]],
            "mode": "lines+markers",
            "name": "The text below",
            "line": {"color": pick(INK, dark), "width": 1.5, "dash": "dot"},
            "marker": {"symbol": ["circle-open", "diamond-open"], "size": 17, "line": {"width": 2}},
            "hoverinfo": "skip",
        }
        traces.append(trace)
    words = [
        {
            "x": x,
            "y": y,
            "text": label_of(name, 16),
            "showarrow": False,
            "xanchor": "center" if abs(x) < 0.3 else "left" if x > 0 else "right",
            "yanchor": "middle" if abs(y) < 0.3 else "bottom" if y > 0 else "top",
        }
        for (x, y), name in zip(1.07 * corners, names, strict=True)
    ]
    hidden = {"visible": False, "fixedrange": True}
    layout = {
        "annotations": words,
        "xaxis": hidden | {"range": [-1.95, 1.95]},
        "yaxis": hidden | {"range": [-1.2, 1.22], "scaleanchor": "x"},
        "hovermode": "closest",
        "legend": {"x": 0.5, "xanchor": "center", "y": -0.02},
        "margin": {"t": 8, "l": 0, "r": 0},
    }
    return new_figure("", "", "", traces, layout, dark=dark, height=430)


def replay_answers(
    replay: Replay, moment: int, text: int, *, temperature: float = 1.0, dark: bool = False
) -> go.Figure:
    """The probabilities of teacher and student for one text; the teacher's likeliest classes first."""
    order = np.argsort(replay.teacher[text])[::-1][:MAX_CORNERS]
    names = [replay.labels[i] for i in order]
    models: tuple[tuple[Role, str, Floats], ...] = (
        ("teacher", "Teacher", replay.teacher[text]),
        ("student", f"Student at step {replay.steps[moment]:,}", replay.student[moment, text]),
    )
    traces = [
        {
            "type": "bar",
            "y": list(range(len(order))),
            "x": 100 * softmax(logits / temperature)[order],
            "orientation": "h",
            "name": name,
            "marker": {"color": colour_of(who, dark)},
            "hovertext": [in_full(label) for label in names],
            "hovertemplate": f"%{{hovertext}}<br>{name}: %{{x:.1f}} %<extra></extra>",
        }
        for who, name, logits in models
    ]
    title, height = f"This text at T = {temperature:g}", 130 + 34 * len(order)
    layout = {"hovermode": "closest", "bargap": 0.3, "xaxis": {"range": [0, 102]}}
    return new_figure(title, "Probability (%)", "", traces, layout, dark=dark, height=height, names=names)


def replay_agreement(replay: Replay, moment: int, *, dark: bool = False) -> go.Figure:
    """On how many texts student and teacher agree at each step, and on how many for good."""
    shares = 100 * replay.agrees.mean(axis=1)
    line = {"type": "scatter", "x": replay.steps}
    colour = colour_of("student", dark)
    curve = line | {
        "y": shares,
        "name": "At this step",
        "mode": "lines+markers",
        "line": {"color": colour, "width": 2},
        "marker": {"size": 5},
        "hovertemplate": "Step %{x:,}: %{y:.0f} % agree<extra></extra>",
    }
    for_good = line | {
        "y": 100 * replay.agrees_for_good.mean(axis=1),
        "name": "From here until the end",
        "mode": "lines",
        "line": {"color": colour, "width": 2, "dash": "dash"},
        "hovertemplate": "Step %{x:,}: %{y:.0f} % agree from here on<extra></extra>",
    }
    mark = {
        "type": "scatter",
        "x": [replay.steps[moment]],
        "y": [shares[moment]],
        "mode": "markers",
        "marker": {
            "size": 14,
            "color": colour_of("student", dark),
            "line": {"width": 2, "color": pick(INK, dark)},
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }
    last = replay.steps[-1]
    early = {"x0": 0, "x1": EARLY * last, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    look = {"type": "rect", "fillcolor": pick(GRID, dark), "line": {"width": 0}, "layer": "below"}
    words = {"y": 3, "showarrow": False, "font": {"color": pick(LINE, dark)}}
    places = {"early": EARLY * last / 2, "late": (1 + EARLY) * last / 2}
    layout = {
        "shapes": [early | look],
        "annotations": [words | {"x": x, "text": text} for text, x in places.items()],
        "xaxis": {"range": [-0.02 * last, 1.03 * last]},
        "yaxis": {"range": [0, 103]},
        "hovermode": "closest",
    }
    title = "Answers like the teacher's"
    return new_figure(title, "Step", "Texts (%)", [curve, for_good, mark], layout, dark=dark, height=300)


def replay_in_words(replay: Replay, moment: int) -> str:
    """What ``replay_map`` shows, for those who do not see it."""
    agrees = replay.agrees[moment]
    return (
        f"At step {replay.steps[moment]:,} of {replay.steps[-1]:,} the student answers {int(agrees.sum())} "
        f"of {len(agrees)} texts like its teacher ({percent(float(agrees.mean()), 0)}); "
        f"the mean divergence is {replay.divergence()[moment]:.2f} nats."
    )


def _gathered(probabilities: Floats, replay: Replay) -> tuple[Floats, list[str]]:
    """(texts, corners): all classes, or those that are answered most and the sum of the others."""
    classes = len(replay.labels)
    if classes <= MAX_CORNERS:
        return probabilities, list(replay.labels)
    counts = np.bincount(replay.answers, minlength=classes)
    shown = np.sort(np.argsort(-counts, kind="stable")[: MAX_CORNERS - 1])
    rest = 1 - probabilities[:, shown].sum(axis=1, keepdims=True)
    return np.hstack([probabilities[:, shown], rest]), [*(replay.labels[i] for i in shown), "all others"]


def _corners(count: int) -> Floats:
    """On the unit circle, the first at the top; two lie left and right."""
    turn = 0.0 if count == 2 else np.pi / 2
    angles = turn - 2 * np.pi * np.arange(count) / count
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _segments(start: Floats, end: Floats) -> list[Any]:
    """Coordinates of separate lines in one trace."""
    return np.column_stack([start, end, np.full(len(start), np.nan)]).ravel().tolist()


def _wrapped(text: str) -> str:
    return "<br>".join(label_of(line, 60) for line in textwrap.wrap(text[:180], 56)) or "(empty)"
