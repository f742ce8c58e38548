"""Pictures of a run: numbers in, plotly figure out. No torch, and no knowledge of where they are shown.

Teacher, student and controls have one colour each, everywhere, and a dash and marker besides it. Every figure
has a fixed height and keeps the reader's zoom while it is updated. Labels that a user wrote are escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_core.evaluation import wilson
from kd_core.events import Who
from kd_core.words import NAMES, SHORT_NAMES, milliseconds, percent, points, signed

Measure = Literal["accuracy", "size", "latency"]
Pair = tuple[str, str]  # light theme, dark theme

# Of marks: lines, bars, dots.
COLOURS: dict[Who, Pair] = {
    "teacher": ("#4C5FD5", "#93A0F5"),
    "student": ("#D9660B", "#F59A4A"),
    "labelled_only": ("#E8B07C", "#E8B07C"),
    "alone": ("#7A8594", "#A3ADBA"),
}
# Of words: at least 4.5 to 1 on the page.
TEXT_COLOURS: dict[Who, Pair] = {
    "teacher": ("#3F51C6", "#A9B4F8"),
    "student": ("#AD4E04", "#F8AE6D"),
    "labelled_only": ("#8A5A24", "#E8B07C"),
    "alone": ("#5A6573", "#B4BDC9"),
}
DASHES: dict[Who, str] = {"teacher": "dash", "student": "solid", "labelled_only": "dot", "alone": "solid"}
SYMBOLS: dict[Who, str] = {
    "teacher": "diamond",
    "student": "circle",
    "labelled_only": "circle-open",
    "alone": "square",
}

INK: Pair = ("#1B1F24", "#E6EAEF")  # words
PAGE: Pair = ("#FFFFFF", "#12161B")  # what a pale cell fades into
SPLITS: tuple[Pair, ...] = (("#4A5160", "#C6CCD6"), ("#8C94A1", "#8A93A0"), ("#C5CAD2", "#555E6A"))
LINE: Pair = ("#4A5160", "#C6CCD6")  # what is nobody's: loss terms, counts
UNSURE: Pair = ("#9AA1AC", "#7D8592")  # a difference that the interval does not tell from zero
GRID: Pair = ("rgba(110,118,130,0.18)", "rgba(160,168,180,0.18)")
# Runs side by side: Okabe and Ito's colours, safe for colour-blind people, each with a dash of its own.
RUNS: tuple[Pair, ...] = (
    ("#0072B2", "#56B4E9"),
    ("#D55E00", "#E69F00"),
    ("#009E73", "#2CC79A"),
    ("#B0568F", "#D68FBC"),
    ("#6B5B00", "#F0E442"),
    ("#4A5160", "#C6CCD6"),
)
RUN_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
FONT = "Source Sans, system-ui, -apple-system, Segoe UI, Liberation Sans, Arial, sans-serif"  # the pages' own
LOG_TICKS = [part * 10.0**power for power in range(-6, 4) for part in (1, 2, 5)]
MAX_CELLS_WITH_TEXT = 15
MAX_LABEL = 28


def loss_curves(
    curve: pd.DataFrame, *, who: Who = "student", log: bool = False, dark: bool = False
) -> go.Figure:
    """The terms of one model's training loss over its steps; total solid, soft dashed, hard dotted."""
    figure = _figure(f"Training loss: {NAMES[who].lower()}", "Step", "Loss (nats)", dark=dark)
    mine = curve[curve["who"] == who]
    terms = {"loss": ("total", "solid"), "soft": ("soft", "dash"), "hard": ("hard", "dot")}
    terms["intermediate"] = ("intermediate", "dashdot")
    single = not mine[["soft", "intermediate"]].to_numpy(dtype=float).any()  # then total and hard are one
    for column, (name, dash) in terms.items():
        if (single and column != "loss") or not mine[column].to_numpy(dtype=float).any():
            continue
        for index, (seed, rows) in enumerate(mine.groupby("seed")):
            figure.add_scatter(
                x=rows["step"],
                y=rows[column],
                name=name,
                legendgroup=name,
                showlegend=index == 0,
                line={"color": _pick(LINE, dark), "dash": dash, "width": 2.2 if column == "loss" else 1.6},
                opacity=1 if index == 0 else 0.45,
                hovertemplate=f"{name} %{{y:.3f}}, step %{{x:,}}{_seed(mine, seed)}<extra></extra>",
            )
    if log:
        _log_axis(figure)
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def accuracy_curves(
    evaluations: pd.DataFrame, teacher_accuracy: float | None = None, *, dark: bool = False
) -> go.Figure:
    """Validation accuracy over the steps. A finished teacher is a level line, not a curve."""
    figure = _figure("Validation accuracy", "Step", "Accuracy (%)", dark=dark)
    lowest = 100.0
    for who in NAMES:
        mine = evaluations[evaluations["who"] == who]
        if who == "teacher" and (teacher_accuracy is not None or mine["accuracy"].notna().sum() == 0):
            continue
        for index, (seed, rows) in enumerate(mine.groupby("seed")):
            lowest = min(lowest, 100 * float(rows["accuracy"].min()))
            figure.add_scatter(
                x=rows["step"],
                y=100 * rows["accuracy"],
                name=NAMES[who],
                legendgroup=who,
                showlegend=index == 0,
                mode="lines+markers",
                line={"color": _colour(who, dark), "dash": DASHES[who], "width": 2.2},
                marker={"symbol": SYMBOLS[who], "size": 7},
                opacity=1 if index == 0 else 0.45,
                hovertemplate=f"{NAMES[who]} %{{y:.1f}} %, step %{{x:,}}{_seed(mine, seed)}<extra></extra>",
            )
    if teacher_accuracy is not None:
        lowest = min(lowest, 100 * teacher_accuracy)
        figure.add_scatter(  # a trace rather than a shape: it belongs in the legend
            x=[0, max(1, *evaluations["step"])] if len(evaluations) else [0, 1],
            y=[100 * teacher_accuracy] * 2,
            name=f"Teacher, {percent(teacher_accuracy)}",
            mode="lines",
            line={"color": _colour("teacher", dark), "dash": DASHES["teacher"], "width": 2},
            hovertemplate="Teacher %{y:.1f} %<extra></extra>",
        )
    figure.update_yaxes(range=[max(0, 10 * (lowest // 10 - 0.3)) if figure.data else 0, 100])
    return figure


def overlay(
    curves: Mapping[str, pd.DataFrame],
    value: Literal["accuracy", "loss"] = "accuracy",
    *,
    log: bool = False,
    dark: bool = False,
) -> go.Figure:
    """The distilled students of several runs, by the runs' names; several seeds of a run are averaged."""
    title = {"accuracy": "Validation accuracy", "loss": "Training loss"}[value]
    unit = {"accuracy": "Accuracy (%)", "loss": "Loss (nats)"}[value]
    figure = _figure(f"{title} of the distilled students", "Step", unit, dark=dark, height=380)
    for index, (name, curve) in enumerate(curves.items()):
        rows = curve[curve["who"] == "student"].groupby("step", as_index=False)[value].mean()
        shown = 100 * rows[value] if value == "accuracy" else rows[value]
        form = "%{y:.1f} %" if value == "accuracy" else "%{y:.3f}"
        figure.add_scatter(
            x=rows["step"],
            y=shown,
            name=_label(name),
            mode="lines+markers" if value == "accuracy" else "lines",
            line={
                "color": _pick(RUNS[index % len(RUNS)], dark),
                "dash": RUN_DASHES[index % len(RUN_DASHES)],
                "width": 2.2,
            },
            hovertemplate=f"%{{fullData.name}}: {form}, step %{{x:,}}<extra></extra>",
        )
    if log:
        _log_axis(figure)
    return figure


def bars(report: Mapping[str, Any], measure: Measure, *, dark: bool = False) -> go.Figure:
    """All models of a run by accuracy, size or latency; bars start at zero, accuracy has its interval."""
    title, unit = {
        "accuracy": ("Accuracy on the test texts", "Accuracy (%)"),
        "size": ("Size on disk", "Size (MB)"),
        "latency": ("Latency, one text at a time", "Median time (ms)"),
    }[measure]
    models = _models(report)
    figure = _figure(title, unit, "", dark=dark, height=60 + 44 * len(models) + 60)
    for who, model in models.items():
        value = _measured(model, measure)
        figure.add_bar(
            y=[SHORT_NAMES[who]],
            x=[value],
            orientation="h",
            marker={"color": _colour(who, dark)},
            error_x=_interval(model, dark) if measure == "accuracy" else None,
            hovertemplate=f"{NAMES[who]}: {_details(model, measure)}<extra></extra>",
            width=0.62,
        )
        figure.add_annotation(  # beyond the interval, where a bar's own text would lie under it
            x=100 * model["high"] if measure == "accuracy" else value,
            y=SHORT_NAMES[who],
            text=f"<b>{_number(model, measure)}</b>",
            xanchor="left",
            xshift=6,
            showarrow=False,
            font={"color": _pick(TEXT_COLOURS[who], dark), "size": 13},
        )
    top = 100 if measure == "accuracy" else max(_measured(model, measure) for model in models.values())
    figure.update_layout(showlegend=False, hovermode="closest", margin={"r": 68})  # for the numbers
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(
        range=[0, top * 1.02], tickvals=[0, 25, 50, 75, 100] if measure == "accuracy" else None
    )
    return figure


def confusion(report: Mapping[str, Any], who: Who, *, dark: bool = False) -> go.Figure:
    """What each class was taken for; colour is the share of the true class. Several seeds are added up."""
    labels = [_label(name) for name in report["labels"]]
    counts = np.sum([scores["confusion"] for scores in report[who]["seeds"].values()], axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = _figure(
        f"Confusion: {NAMES[who].lower()}",
        "Answer",
        "True class",
        dark=dark,
        height=170 + max(30 * min(len(labels), 20), 150),
    )
    places = list(range(len(labels)))
    pairs = [[f"{labels[i]} taken for {labels[j]}" for j in places] for i in places]
    figure.add_heatmap(
        x=places,
        y=places,
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=_scale(who, dark),
        showscale=False,
        xgap=2,
        ygap=2,
        customdata=np.dstack([counts, np.array(pairs)]),
        text=counts if len(labels) <= MAX_CELLS_WITH_TEXT else None,
        texttemplate="%{text}" if len(labels) <= MAX_CELLS_WITH_TEXT else None,
        hovertemplate="%{customdata[1]}: %{customdata[0]} texts, %{z:.1%} of the class<extra></extra>",
    )
    names = {"tickvals": places, "ticktext": labels, "showgrid": False, "zeroline": False}
    figure.update_xaxes(names, ticktext=[_label(name, 14) for name in report["labels"]])
    figure.update_yaxes(names, autorange="reversed")
    figure.update_layout(hovermode="closest")
    return figure


def reliability(report: Mapping[str, Any], who: Who, *, dark: bool = False) -> go.Figure:
    """How often answers of each confidence are right. Below the diagonal the model is too sure of itself.

    Grey where the bin has too few texts to tell it from the diagonal.
    """
    figure = _figure(
        f"Calibration: {NAMES[who].lower()}",
        "Confidence of the answer (%)",
        "Answers that are right (%)",
        dark=dark,
        height=360,
    )
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="perfectly calibrated",
        line={"color": _pick(LINE, dark), "dash": "dash", "width": 1.2},
        hoverinfo="skip",
    )
    bins = _bins(report[who]["seeds"].values())
    told = [not low <= confidence <= high for confidence, _, _, low, high in bins]
    for tells, name in ((True, "differs from it"), (False, "too few texts to tell")):
        rows = [row for row, sure in zip(bins, told, strict=True) if sure == tells]
        colour = _colour(who, dark) if tells else _pick(UNSURE, dark)
        figure.add_scatter(
            x=[100 * confidence for confidence, *_ in rows],
            y=[100 * accuracy for _, accuracy, *_ in rows],
            mode="markers",
            name=name,
            marker={
                "color": colour,
                "symbol": "circle" if tells else "circle-open",
                "size": [6 + min(16, float(np.sqrt(count))) for _, _, count, *_ in rows],
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [100 * (high - accuracy) for _, accuracy, _, _, high in rows],
                "arrayminus": [100 * (accuracy - low) for _, accuracy, _, low, _ in rows],
                "thickness": 1.2,
                "width": 0,
                "color": colour,
            },
            customdata=[count for _, _, count, *_ in rows],
            hovertemplate="%{customdata} texts: %{x:.1f} % sure, %{y:.1f} % right<extra></extra>",
        )
    figure.update_xaxes(range=[0, 104])
    figure.update_yaxes(range=[0, 104])
    figure.update_layout(hovermode="closest")
    return figure


def four_way(report: Mapping[str, Any], *, dark: bool = False) -> go.Figure:
    """Which test texts teacher and distilled student get right; colour is the share of the texts."""
    found = report["fidelity"]
    cells = [["both_right", "new_error"], ["mended", "inherited"]]
    words = {
        "both_right": "both right",
        "new_error": "new error",
        "mended": "mended",
        "inherited": "inherited error",
    }
    total = sum(found[cell] for row in cells for cell in row)
    shares = [[found[cell] / total for cell in row] for row in cells]
    figure = _figure("Teacher and student, text by text", "", "", dark=dark, height=300)
    figure.add_heatmap(
        x=["Student right", "Student wrong"],
        y=["Teacher right", "Teacher wrong"],
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=_scale("student", dark),
        showscale=False,
        xgap=3,
        ygap=3,
        text=[
            [f"<b>{found[cell]:,}</b><br>{words[cell]}<br>{percent(found[cell] / total)}" for cell in row]
            for row in cells
        ],
        texttemplate="%{text}",
        textfont={"size": 14},
        hoverinfo="skip",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, side="top")
    figure.update_layout(margin={"t": 84, "b": 16})
    return figure


def per_class(report: Mapping[str, Any], *, dark: bool = False) -> go.Figure:
    """F1 of each class for all models; mean over the seeds."""
    models = _models(report)
    rows = {
        who: [
            float(np.mean([scores["per_class"][i]["f1"] for scores in model["seeds"].values()]))
            for i in range(len(report["labels"]))
        ]
        for who, model in models.items()
    }
    return _dots("F1 of each class", "F1 (%)", report["labels"], rows, dark)


def shifted(report: Mapping[str, Any], *, dark: bool = False) -> go.Figure:
    """Accuracy on the test texts, and how far each model falls on texts that it was not made for."""
    models = _models(report)
    sets = list(report["student"]["shifted"])
    rows = {
        who: [model["accuracy"], *(model["shifted"][name] for name in sets)] for who, model in models.items()
    }
    return _dots("Accuracy on other texts", "Accuracy (%)", ["test texts", *sets], rows, dark)


def verdicts(rows: Mapping[str, tuple[float, float, float]], *, dark: bool = False) -> go.Figure:
    """Distilled minus alone with its 95 % interval, a line for each run: name -> (delta, low, high)."""
    figure = _figure(
        "What distillation added", "Points over the student alone", "", dark=dark, height=110 + 38 * len(rows)
    )
    places = list(range(len(rows)))
    for place, (name, (delta, low, high)) in zip(places, rows.items(), strict=True):
        unsure = low <= 0 <= high
        colour = _pick(UNSURE, dark) if unsure else _colour("student", dark)
        figure.add_scatter(
            x=[100 * delta],
            y=[place],
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": "circle-open" if unsure else "circle"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * (high - delta)],
                "arrayminus": [100 * (delta - low)],
                "color": colour,
                "thickness": 2,
                "width": 5,
            },
            name=_label(name),
            hovertemplate=f"%{{fullData.name}}: {points(delta)}, 95 % interval {signed(100 * low)} to "
            f"{signed(100 * high)}<extra></extra>",
        )
    figure.add_vline(0, line={"color": _pick(LINE, dark), "width": 1, "dash": "dash"})
    figure.update_layout(showlegend=False, hovermode="closest")
    figure.update_yaxes(
        tickvals=places,
        ticktext=[_label(name) for name in rows],
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure


def temperature_preview(
    logits: Sequence[float], labels: Sequence[str], temperature: float, *, dark: bool = False
) -> go.Figure:
    """One teacher output, softened: bars at ``temperature``, a mark at T = 1; the likeliest classes first."""
    order = np.argsort(logits)[::-1][:8]
    z = np.asarray(logits, dtype=float)

    def softened(t: float) -> Any:
        powers = np.exp((z - z.max()) / t)
        return 100 * (powers / powers.sum())[order]

    figure = _figure(
        f"The teacher's answer at T = {temperature:g}",
        "Probability (%)",
        "",
        dark=dark,
        height=120 + 26 * len(order),
    )
    places = list(range(len(order)))
    figure.add_bar(
        y=places,
        x=softened(temperature),
        orientation="h",
        name=f"T = {temperature:g}",
        marker={"color": _colour("teacher", dark)},
        hovertemplate=f"T = {temperature:g}: %{{x:.1f}} %<extra></extra>",
    )
    figure.add_scatter(
        y=places,
        x=softened(1.0),
        mode="markers",
        name="T = 1",
        marker={"symbol": "line-ns-open", "size": 14, "color": _pick(LINE, dark), "line": {"width": 2.5}},
        hovertemplate="T = 1: %{x:.1f} %<extra></extra>",
    )
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(
        tickvals=places,
        ticktext=[_label(labels[i]) for i in order],
        range=[len(order) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_layout(hovermode="closest")
    return figure


def class_balance(counts: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Texts of each class: a row for each class (its name is the index), a column for each split."""
    shown = counts.head(40)
    figure = _figure("Texts of each class", "Texts", "", dark=dark, height=120 + 30 * len(shown))
    places = list(range(len(shown)))
    for index, split in enumerate(shown.columns):
        figure.add_bar(
            y=places,
            x=shown[split],
            orientation="h",
            name=str(split),
            marker={"color": _pick(SPLITS[index % len(SPLITS)], dark)},
            hovertemplate=f"{split}: %{{x:,}} texts<extra></extra>",
        )
    figure.update_layout(barmode="stack", hovermode="closest")
    figure.update_yaxes(
        tickvals=places,
        ticktext=[_label(str(name)) for name in shown.index],
        range=[len(shown) - 0.5, -0.5],
        showgrid=False,
    )
    return figure


def lengths(words: Sequence[int], *, unit: str = "words", dark: bool = False) -> go.Figure:
    """How long the texts are; the longest hundredth is gathered in the last bar."""
    figure = _figure("Length of the texts", f"Length ({unit})", "Texts", dark=dark, height=260)
    limit = max(1, int(np.quantile(words, 0.99))) if len(words) else 1
    size = max(1, round(limit / 30))
    figure.add_histogram(
        x=np.minimum(words, limit),
        xbins={"start": -0.5, "end": limit + size, "size": size},
        marker={"color": _pick(LINE, dark)},
        hovertemplate=f"%{{x}} {unit}: %{{y:,}} texts<extra></extra>",
    )
    figure.update_layout(showlegend=False, bargap=0.06, hovermode="closest")
    return figure


# Parts


def _figure(title: str, x: str, y: str, *, dark: bool, height: int = 320) -> go.Figure:
    ink, grid = _pick(INK, dark), _pick(GRID, dark)
    axis = {"gridcolor": grid, "zerolinecolor": grid, "linecolor": grid, "automargin": True}
    axis |= {
        "title": {"standoff": 8, "font": {"size": 13, "color": ink}},
        "tickfont": {"color": ink, "size": 12},
    }
    figure = go.Figure(
        layout={
            "title": {
                "text": title,
                "font": {"size": 15, "color": ink},
                "x": 0,
                "xref": "container",
                "y": 1,
                "yanchor": "top",
                "pad": {"t": 8},
            },
            "height": height,
            "font": {"family": FONT, "color": ink, "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 12, "t": 44, "b": 8},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": -52 / (height - 112),  # below the axis title, whatever the height
                "yanchor": "top",
                "font": {"color": ink},
                "bgcolor": "rgba(0,0,0,0)",
                "traceorder": "normal",
            },
            "hovermode": "x",
            "hoverlabel": {"font": {"family": FONT}},
            "uirevision": title,
            "dragmode": False,  # a finger that scrolls the page must not zoom
            "separators": ".,",
        }
    )
    figure.update_xaxes(axis, title_text=x)
    figure.update_yaxes(axis, title_text=y)
    return figure


def _log_axis(figure: go.Figure) -> None:
    figure.update_yaxes(type="log", tickvals=LOG_TICKS, ticktext=[f"{tick:g}" for tick in LOG_TICKS])


def _dots(
    title: str, unit: str, names: Sequence[str], rows: Mapping[Who, Sequence[float]], dark: bool
) -> go.Figure:
    """A line for each name, on it a mark for each model (shares, shown in percent)."""
    figure = _figure(title, unit, "", dark=dark, height=150 + 40 * len(names))
    places = list(range(len(names)))
    for index, (who, values) in enumerate(rows.items()):
        shift = 0.16 * (index - (len(rows) - 1) / 2)  # equal values would hide each other
        figure.add_scatter(
            x=[100 * value for value in values],
            y=[place + shift for place in places],
            mode="markers",
            name=SHORT_NAMES[who],
            marker={
                "color": _colour(who, dark),
                "symbol": SYMBOLS[who],
                "size": 10,
                "line": {"width": 2, "color": _colour(who, dark)},
            },
            hovertemplate=f"{NAMES[who]}: %{{x:.1f}} %<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[_label(name) for name in names],
        range=[len(names) - 0.5, -0.5],
        zeroline=False,
    )
    figure.update_layout(hovermode="closest")
    return figure


def _models(report: Mapping[str, Any]) -> dict[Who, Mapping[str, Any]]:
    return {who: report[who] for who in NAMES if report.get(who) is not None}


def _measured(model: Mapping[str, Any], measure: Measure) -> float:
    match measure:
        case "accuracy":
            return 100 * float(model["accuracy"])
        case "size":
            return float(model["size_mb"])
        case "latency":
            return float(model["latency_ms"]["p50"])


def _number(model: Mapping[str, Any], measure: Measure) -> str:
    match measure:
        case "accuracy":
            return percent(model["accuracy"])
        case "size":
            return f"{model['size_mb']:,.1f} MB"
        case "latency":
            return milliseconds(model["latency_ms"]["p50"])


def _details(model: Mapping[str, Any], measure: Measure) -> str:
    match measure:
        case "accuracy":
            interval = f"{percent(model['low'])} to {percent(model['high'])}"
            return f"{percent(model['accuracy'])}, 95 % interval {interval}"
        case "size":
            return f"{model['size_mb']:,.1f} MB, {model['params']:,} parameters"
        case "latency":
            times = model["latency_ms"]
            return f"p50 {milliseconds(times['p50'])}, p95 {milliseconds(times['p95'])}"


def _interval(model: Mapping[str, Any], dark: bool) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (model["high"] - model["accuracy"])],
        "arrayminus": [100 * (model["accuracy"] - model["low"])],
        "color": _pick(INK, dark),
        "thickness": 1.4,
        "width": 5,
    }


def _bins(seeds: Iterable[Mapping[str, Any]]) -> list[tuple[float, float, int, float, float]]:
    """(confidence, accuracy, texts, low, high) of each bin, the seeds put together."""
    rows = pd.DataFrame([row for scores in seeds for row in scores["reliability"]])
    if rows.empty:
        return []
    weighted = rows[["confidence", "accuracy"]].mul(rows["count"], axis=0).assign(count=rows["count"])
    sums = weighted.groupby(rows["low"].round(6)).sum()
    return [
        (c / n, a / n, int(n), *wilson(a / n, int(n))) for c, a, n in sums.itertuples(index=False, name=None)
    ]


def _scale(who: Who, dark: bool) -> list[list[Any]]:
    """One hue, from the page to the model's colour."""
    page, colour = _rgb(_pick(PAGE, dark)), _rgb(_colour(who, dark))

    def mixed(share: float) -> str:
        return "rgb({:.0f},{:.0f},{:.0f})".format(*(page + share * (colour - page)))

    # Opaque, so that plotly can tell whether the number in a cell has to be dark or light.
    return [[0, mixed(0.06)], [1, mixed(0.85)]]


def _rgb(colour: str) -> Any:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def _seed(rows: pd.DataFrame, seed: Any) -> str:
    return f", seed {seed}" if rows["seed"].nunique() > 1 else ""


def _label(text: str, limit: int = MAX_LABEL) -> str:
    """Text as it is: plotly reads HTML in labels. Cut where it would push the plot aside."""
    return html.escape(text if len(text) <= limit else f"{text[: limit - 1]}…", quote=False)


def _colour(who: Who, dark: bool) -> str:
    return _pick(COLOURS[who], dark)


def _pick(pair: Pair, dark: bool) -> str:
    return pair[dark]
