"""The staircase of a compressed model, from the teacher to int8: size, latency, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import plotly.graph_objects as go

from kd_core.deployment.reports import FormReport, by_metric
from kd_core.deployment.staircase import label, short_label, steps
from kd_core.figures.report import Measure
from kd_core.figures.style import LINE, SYMBOLS, TEXT_COLOURS, colour_of, label_of, new_figure, pick, whiskers
from kd_core.system.formatting import capitalised, compared, megabytes, milliseconds, percent, plus_minus

HEIGHT = 300


def staircase(
    forms: Sequence[FormReport], measure: Measure, measures: str = "accuracy", *, dark: bool = False
) -> go.Figure:
    """A step for each form. Size and latency are bars from zero; accuracy, or what else a run
    ``measures``, is a point with its interval."""
    judged, measures = by_metric(forms, measures)
    title, unit = {
        "accuracy": (f"{capitalised(label_of(measures))} on the test texts", "%"),
        "size": ("Size on disk", "MB"),
        "latency": ("Latency, one text at a time", "Median, ms"),
    }[measure]
    stairs = steps(judged)
    figure = new_figure(title, "", unit, dark=dark, height=HEIGHT)
    names = [short_label(form) for form in stairs]
    values = [_value(form, measure) for form in stairs]
    hover = [f"{label(form)}: {_spoken(form, measure)}" for form in stairs]
    colours = [colour_of(form["who"], dark) for form in stairs]
    if measure == "accuracy":
        lows, tops = ([100 * _end(form, end) for form in stairs] for end in ("low", "high"))
        figure.add_scatter(
            x=names,
            y=values,
            mode="markers",
            marker={"color": colours, "size": 11, "symbol": [SYMBOLS[form["who"]] for form in stairs]},
            error_y=whiskers(values, lows, tops, pick(LINE, dark), 1.5, 6),
            hovertext=hover,
            hoverinfo="text",
        )
        bottom, top = min(lows), max(tops)
        room = 0.3 * (top - bottom)
        figure.update_yaxes(range=[max(0, bottom - room / 3), top + room])
    else:
        figure.add_bar(
            x=names, y=values, marker={"color": colours}, hovertext=hover, hoverinfo="text", width=0.6
        )
        tops = values
        figure.add_scatter(  # how far each step goes down
            x=names,
            y=values,
            mode="lines",
            line={"shape": "hvh", "dash": "dot", "width": 1.2, "color": pick(LINE, dark)},
            hoverinfo="skip",
        )
        figure.update_yaxes(range=[0, max(values) * 1.3])
    for form, name, top in zip(stairs, names, tops, strict=True):
        figure.add_annotation(
            x=name,
            y=top,
            text=_written(form, stairs[0], measure),
            yanchor="bottom",
            yshift=4,
            showarrow=False,
            font={"color": pick(TEXT_COLOURS[form["who"]], dark), "size": 12},
        )
    figure.update_layout(showlegend=False, hovermode="closest")
    figure.update_xaxes(title=None, showgrid=False, range=[-0.5, len(stairs) - 0.5])
    return figure


def _value(form: FormReport, measure: Measure) -> float:
    if measure == "accuracy":
        return float(100 * form["accuracy"])
    return float(form["size_mb"] if measure == "size" else form["latency_ms"]["p50"])


def _end(form: FormReport, end: Literal["low", "high"]) -> float:
    """Of its interval; where that is not known, the score itself."""
    known = form[end]
    return form["accuracy"] if known is None else known


def _spoken(form: FormReport, measure: Measure) -> str:
    if measure == "accuracy":
        low, high = form["low"], form["high"]
        if low is None or high is None:
            return percent(form["accuracy"])
        return f"{percent(form['accuracy'])}, 95 % interval {percent(low)} to {percent(high)}"
    if measure == "size":
        return megabytes(form["size_mb"])
    times = form["latency_ms"]
    p95 = "" if times["p95"] is None else f", p95 {milliseconds(times['p95'])}"
    return f"p50 {milliseconds(times['p50'])}{p95}"


def _written(form: FormReport, teacher: FormReport, measure: Measure) -> str:
    """The number at a step and, below it, its interval, or how many times smaller or faster it is.

    A word a line, so that the stairs' line has room between two of them on a phone.
    """
    if measure == "accuracy":
        return (
            f"<b>{percent(form['accuracy'])}</b><br>{plus_minus(form['accuracy'], form['low'], form['high'])}"
        )
    number = (megabytes if measure == "size" else milliseconds)(_value(form, measure))
    if form is teacher:
        return f"<b>{number}</b>"
    ratio = _value(teacher, measure) / _value(form, measure)
    words = compared(ratio, *(("smaller", "larger") if measure == "size" else ("faster", "slower")))
    return f"<b>{number}</b><br>{words.replace(' ', '<br>')}"
