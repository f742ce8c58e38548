"""What more texts bring: scores by the run's metric, over how many there are."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from kd_core.distillation.roles import NAMES
from kd_core.figures.style import DASHES, LOG_AXIS, SYMBOLS, colour_of, label_of, new_figure
from kd_core.search.curve import NAME, CurveResult, Kind
from kd_core.system.formatting import capitalised, in_sentence, percent

HEIGHT = 340


def score_by_texts(result: CurveResult, kind: Kind, *, dark: bool = False) -> go.Figure:
    """A line for each model, over the texts of a kind on a logarithmic axis: twice as many are one step."""
    parts = result.of_kind(kind)
    texts = [part.texts for part in parts]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": texts,
            "y": [100 * part.scores[who] for part in parts],
            "mode": "lines+markers",
            "name": NAMES[who],
            "line": {"color": colour_of(who, dark), "dash": DASHES[who], "width": 2},
            "marker": {"color": colour_of(who, dark), "symbol": SYMBOLS[who], "size": 9},
            "hovertemplate": f"{NAMES[who]} %{{y:.1f}} %<extra></extra>",
        }
        for who in parts[-1].scores
    ]
    ticks = {"tickvals": texts, "ticktext": [f"{count:,}" for count in texts]}
    layout = {"xaxis": LOG_AXIS | ticks, "yaxis": {"ticksuffix": " %"}}
    name, measure = NAME[kind].capitalize(), label_of(capitalised(result.measure))
    title = f"{measure} by {NAME[kind]}"
    return new_figure(title, name, measure, traces, layout, dark=dark, height=HEIGHT)


def score_in_words(result: CurveResult, kind: Kind) -> str:
    lines = [
        f"with {part.texts:,} "
        + ", ".join(f"{in_sentence(NAMES[who])} {percent(value)}" for who, value in part.scores.items())
        for part in result.of_kind(kind)
    ]
    return f"{capitalised(result.measure)} by the number of {NAME[kind]}: {'; '.join(lines)}."
