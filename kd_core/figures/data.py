"""A task's texts, and what temperature does to a teacher's answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_core.distillation.metrics import softmax
from kd_core.figures.report import MOST_CLASSES
from kd_core.figures.style import LINE, SPLITS, colour_of, in_full, new_figure, pick


def temperature_preview(
    logits: Sequence[float], labels: Sequence[str], temperature: float, *, dark: bool = False
) -> go.Figure:
    """One teacher output, softened: bars at ``temperature``, a mark at T = 1; the likeliest classes first."""
    order = np.argsort(logits)[::-1][:8]
    places = list(range(len(order)))
    names = [labels[i] for i in order]
    whole = [in_full(name) for name in names]
    bars = {
        "type": "bar",
        "y": places,
        "x": 100 * softmax(logits, temperature)[order],
        "orientation": "h",
        "name": f"T = {temperature:g}",
        "marker": {"color": colour_of("teacher", dark)},
        "hovertext": whole,
        "hovertemplate": f"%{{hovertext}}<br>T = {temperature:g}: %{{x:.1f}} %<extra></extra>",
    }
    marks = {
        "type": "scatter",
        "y": places,
        "x": 100 * softmax(logits)[order],
        "mode": "markers",
        "name": "T = 1",
        "marker": {"symbol": "line-ns-open", "size": 14, "color": pick(LINE, dark), "line": {"width": 2.5}},
        "hovertext": whole,
        "hovertemplate": "%{hovertext}<br>T = 1: %{x:.1f} %<extra></extra>",
    }
    title, height = f"A teacher's answer at T = {temperature:g}", 120 + 26 * len(order)
    layout = {"hovermode": "closest", "xaxis": {"range": [0, 102]}}
    traces = [bars] if temperature == 1 else [bars, marks]
    return new_figure(title, "Probability (%)", "", traces, layout, dark=dark, height=height, names=names)


def class_balance(counts: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Texts of each class: a row for each class (its name is the index), a column for each split."""
    shown, few = counts.head(MOST_CLASSES), len(counts) > MOST_CLASSES
    names = [str(name) for name in shown.index]
    traces = [
        {
            "type": "bar",
            "y": list(range(len(shown))),
            "x": shown[split],
            "orientation": "h",
            "name": str(split),
            "marker": {"color": pick(SPLITS[index % len(SPLITS)], dark)},
            "hovertext": [in_full(name) for name in names],
            "hovertemplate": f"%{{hovertext}}<br>{split}: %{{x:,}} texts<extra></extra>",
        }
        for index, split in enumerate(shown.columns)
    ]
    title = f"Texts of {MOST_CLASSES} of {len(counts):,} classes" if few else "Texts of each class"
    height = 120 + 30 * len(shown)
    layout = {"barmode": "stack", "hovermode": "closest"}
    return new_figure(title, "Texts", "", traces, layout, dark=dark, height=height, names=names)


def lengths(words: Sequence[int], *, unit: str = "words", dark: bool = False) -> go.Figure:
    """How long the texts are; the longest hundredth is gathered in the last bar."""
    limit = max(1, int(np.quantile(words, 0.99))) if len(words) else 1
    least = min(words, default=0)
    size = max(1, round((limit - least) / 30))
    bars = {
        "type": "histogram",
        "x": np.minimum(words, limit),
        "xbins": {"start": least - 0.5, "end": limit + size, "size": size},
        "marker": {"color": pick(LINE, dark)},
        "hovertemplate": f"%{{x}} {unit}: %{{y:,}} texts<extra></extra>",
    }
    layout = {"showlegend": False, "bargap": 0.06, "hovermode": "closest", "yaxis": {"tickformat": ","}}
    if limit - least < 6:  # else Plotly parts words
        layout["xaxis"] = {"dtick": 1}
    longest = max(words, default=0)
    x = f"Length ({unit})" + (f"; last bar: {limit:,} to {longest:,}" if longest > limit else "")
    return new_figure("Length of the texts", x, "Texts", [bars], layout, dark=dark, height=260)
