"""Where models stand: dots with 95 % intervals, and differences of two on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, SHORT_NAMES, Role
from kd_core.figures.style import (
    LINE,
    PAGE,
    SYMBOLS,
    TEXT_COLOURS,
    UNSURE,
    colour_of,
    label_of,
    new_figure,
    pick,
    upright,
    whiskers,
)
from kd_core.system.formatting import capitalised, in_sentence, interval, percent, points, signed

Gain = tuple[float, float, float]  # a difference with the ends of its 95 % interval, in shares
THE: dict[Role, str] = {"teacher": "the ", "alone": "the student "}
ROW = 46  # pixels
ROOM = 0.14  # beyond the outermost ends, as a share of what lies between them


class _Dot(NamedTuple):
    name: str
    value: float  # these three in percent or points
    low: float
    high: float
    words: str  # above the dot
    spoken: str
    colour: str
    ink: str  # of the words
    symbol: str = "circle"


def _hundredfold(gain: Gain) -> Gain:
    """Percent, or points."""
    delta, low, high = gain
    return 100 * delta, 100 * low, 100 * high


def accuracies(report: Report, *, dark: bool = False) -> go.Figure:
    """A dot for each model by what the run is judged by, on a scale that begins where they begin."""
    word, dots = label_of(capitalised(report.judged_by)), []
    for who, model in report.judged.items():
        score, span = model.by(report.metric), model.interval(report.metric)
        spoken = f"{NAMES[who]}: {percent(score)}"
        if span:
            spoken += f", 95 % interval {percent(span[0])} to {percent(span[1])}"
        dots.append(
            _Dot(
                SHORT_NAMES[who],
                *_hundredfold((score, *(span or (score, score)))),
                f"<b>{percent(score)}</b>",
                spoken,
                colour_of(who, dark),
                pick(TEXT_COLOURS[who], dark),
                SYMBOLS[who],
            )
        )
    return _drawn(f"{word} on the test texts", f"{word} (%)", dots, dark)


def differences(report: Report, *, dark: bool = False) -> go.Figure:
    """The distilled student minus each other model of its run, on the same texts; its control comes first.

    In the student's colour where it is better, in the other's where that is, and grey and open where the
    interval has zero in it.
    """
    dots = [
        _difference(
            f"than {THE.get(who, '')}{in_sentence(SHORT_NAMES[who])}",
            (gap.delta, gap.low, gap.high),
            who,
            dark,
        )
        for who, gap in report.gains.items()
    ]
    title = "How much better the distilled student is"
    return _drawn(title, f"Points of {label_of(report.judged_by)}, text by text", dots, dark, zero=True)


def verdicts(
    rows: Mapping[str, Gain],
    title: str = "What distillation added",
    unit: str = "Points over the student alone",
    *,
    dark: bool = False,
) -> go.Figure:
    """Differences with their 95 % intervals, a line for each name; grey where it may be zero."""
    dots = [_difference(name, gain, "alone", dark) for name, gain in rows.items()]
    return _drawn(title, unit, dots, dark, zero=True)


def _difference(name: str, gain: Gain, other: Role, dark: bool) -> _Dot:
    delta, low, high = gain
    unsure = low <= 0 <= high
    better: Role = "student" if delta > 0 else other
    return _Dot(
        name,
        *_hundredfold(gain),
        f"<b>{signed(100 * delta)}</b> ({interval(low, high)})",
        f"{points(delta)}, 95 % interval {interval(low, high)}",
        pick(UNSURE, dark) if unsure else colour_of(better, dark),
        pick(LINE, dark) if unsure else pick(TEXT_COLOURS[better], dark),
        "circle-open" if unsure else "circle",
    )


def _drawn(title: str, unit: str, dots: Sequence[_Dot], dark: bool, *, zero: bool = False) -> go.Figure:
    ends = [end for dot in dots for end in (dot.low, dot.high)] + [0.0] * zero
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = ROOM * (high - low) or 1.0
    traces: list[dict[str, Any]] = []
    words = []
    for place, dot in enumerate(dots):
        traces.append(
            {
                "type": "scatter",
                "x": [dot.value],
                "y": [place],
                "mode": "markers",
                "marker": {
                    "color": dot.colour,
                    "symbol": dot.symbol,
                    "size": 11,
                    "line": {"width": 2, "color": dot.colour},
                },
                "error_x": whiskers([dot.value], [dot.low], [dot.high], dot.colour, 2, 5),
                "hovertext": [dot.spoken],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
        along = (dot.value - low) / ((high - low) or 1.0)
        words.append(
            {
                "x": dot.value,
                "y": place,
                "text": dot.words,
                # Towards the middle, so that nothing is cut on a phone.
                "xanchor": "left" if along < 0.3 else "right" if along > 0.7 else "center",
                "yanchor": "bottom",
                "yshift": 8,
                "showarrow": False,
                "font": {"color": dot.ink, "size": 12},
                "bgcolor": pick(PAGE, dark),  # over the line at zero
                "borderpad": 0,
            }
        )
    layout = {
        "xaxis": {"range": [low - room, high + room]},
        "yaxis": {"range": [len(dots) - 0.5, -0.75]},
        "annotations": words,
        "shapes": [upright(0, pick(LINE, dark), 1)] if zero else [],
        "showlegend": False,
        "hovermode": "closest",
    }
    names, height = [dot.name for dot in dots], 110 + ROW * len(dots)
    return new_figure(title, unit, "", traces, layout, dark=dark, height=height, names=names)
