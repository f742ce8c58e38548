"""What a report shows of one run, or of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from kd_core.distillation.metrics import Scores, wilson
from kd_core.distillation.report import ModelReport, Report
from kd_core.distillation.roles import NAMES, SHORT_NAMES, Role
from kd_core.figures.style import (
    LINE,
    MAX_CELLS_WITH_TEXT,
    MAX_NAME,
    STEEP,
    SYMBOLS,
    TEXT_COLOURS,
    UNSURE,
    colour_of,
    in_full,
    label_of,
    new_figure,
    pick,
    scale_of,
    whiskers,
)
from kd_core.system.formatting import capitalised, in_sentence, megabytes, milliseconds, percent

Measure = Literal["accuracy", "size", "latency"]
MOST_CLASSES = 40  # in a chart: the worst; a thousand would be megabytes that nobody can read


def bars(report: Report, measure: Literal["size", "latency"], *, dark: bool = False) -> go.Figure:
    """What the teacher and a student of a run cost, and TF-IDF; all its students have one architecture."""
    title, unit = {
        "size": ("Size on disk", "Size (MB)"),
        "latency": ("Latency, one text at a time", "Median time (ms)"),
    }[measure]
    names: dict[Role, str] = {"teacher": "Teacher", "student": "Student", "tfidf": "TF-IDF"}
    models = {who: report.models[who] for who in names if who in report.models}
    models = {who: model for who, model in models.items() if _measured(model, measure) is not None}
    figure = new_figure(title, unit, "", dark=dark, height=100 + 34 * len(models))
    for who, model in models.items():
        value = _measured(model, measure)
        figure.add_bar(
            y=[names[who]],
            x=[value],
            orientation="h",
            marker={"color": colour_of(who, dark)},
            hovertemplate=f"{names[who]}: {_details(model, measure)}<extra></extra>",
            width=0.62,
        )
        figure.add_annotation(
            x=value,
            y=names[who],
            text=f"<b>{_number(model, measure)}</b>",
            xanchor="left",
            xshift=6,
            showarrow=False,
            font={"color": pick(TEXT_COLOURS[who], dark), "size": 13},
        )
    top = max(_measured(model, measure) or 0 for model in models.values())
    figure.update_layout(showlegend=False, hovermode="closest", margin={"r": 68})  # for the numbers
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(range=[0, top * 1.02])
    return figure


def confusion(report: Report, who: Role, *, dark: bool = False) -> go.Figure:
    """What each class was taken for; colour is the share of the true class. Several seeds are added up.

    A class has the number of its test texts beside it.
    """
    seeds = report.models[who].seeds
    counts = np.sum([scores.confusion for scores in seeds.values()], axis=0)
    title = f"Confusion: {in_sentence(NAMES[who])}" + (
        f", {len(seeds)} seeds together" if len(seeds) > 1 else ""
    )
    shown: Sequence[int] = range(len(report.labels))
    if len(shown) > MOST_CLASSES:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        shown = _first(-wrong)
        title += f", the {MOST_CLASSES} most confused of {len(report.labels):,} classes"
    support = counts.sum(axis=1)[shown] // len(seeds)
    whole, counts = np.maximum(counts.sum(axis=1, keepdims=True), 1)[shown], counts[np.ix_(shown, shown)]
    labels = [in_full(report.labels[i]) for i in shown]
    shares = counts / whole
    figure = new_figure(
        title,
        "Answer",
        "True class (test texts)" if report.measures == "accuracy" else "Teacher's answer (test texts)",
        dark=dark,
        height=170 + max(30 * min(len(labels), 20), 150),
    )
    places, few = list(range(len(labels))), len(labels) <= MAX_CELLS_WITH_TEXT
    pairs = [[f"{labels[i]}<br>taken for {labels[j]}" for j in places] for i in places]
    figure.add_heatmap(
        x=places,
        y=places,
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=scale_of(who, dark),
        showscale=False,
        xgap=2 if few else 1,
        ygap=2 if few else 1,
        customdata=np.dstack([counts, np.array(pairs)]),
        text=counts if few else None,
        texttemplate="%{text}" if few else None,
        hovertemplate=f"%{{customdata[1]}}: %{{customdata[0]}} {'texts' if len(seeds) == 1 else 'answers'}, "
        "%{z:.1%} of the class<extra></extra>",
    )
    axis = {"tickvals": places, "showgrid": False, "zeroline": False, "automargin": True}
    below = [label_of(report.labels[i], 14) for i in shown]
    # More names would be a smear: they are those of the rows, in the same order.
    figure.update_xaxes(axis | STEEP, ticktext=below, showticklabels=few)
    left = [label_of(report.labels[i], MAX_NAME - 6) for i in shown]
    truth = [f"{label} ({texts:,})" for label, texts in zip(left, support.tolist(), strict=True)]
    figure.update_yaxes(axis, ticktext=truth, autorange="reversed")
    figure.update_layout(hovermode="closest")
    return figure


def reliability(report: Report, who: Role, *, dark: bool = False) -> go.Figure:
    """How often answers of each confidence are right. Below the diagonal the model is too sure of itself.

    Grey where the bin's texts do not show that it is off the diagonal.
    """
    figure = new_figure(
        f"Calibration: {in_sentence(NAMES[who])}",
        "Confidence of the answer (%)",
        "Answers that are right (%)" if report.measures == "accuracy" else "Answers that agree (%)",
        dark=dark,
        height=360,
    )
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="perfectly calibrated",
        line={"color": pick(LINE, dark), "dash": "dash", "width": 1.2},
        hoverinfo="skip",
    )
    bins = _bins(report.models[who].seeds.values())
    differs = [not low <= confidence <= high for confidence, _, _, low, high in bins]
    for tells, name in ((True, "differs from it"), (False, "no difference shown")):
        rows = [row for row, sure in zip(bins, differs, strict=True) if sure == tells]
        colour = colour_of(who, dark) if tells else pick(UNSURE, dark)
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
            error_y=whiskers(
                [100 * accuracy for _, accuracy, *_ in rows],
                [100 * low for *_, low, _ in rows],
                [100 * high for *_, high in rows],
                colour,
                1.2,
            ),
            customdata=[count for _, _, count, *_ in rows],
            hovertemplate="%{customdata} texts: %{x:.1f} % sure, %{y:.1f} % right<extra></extra>",
        )
    figure.update_xaxes(range=[0, 104])
    figure.update_yaxes(range=[0, 104])
    figure.update_layout(hovermode="closest")
    return figure


def four_way(report: Report, *, dark: bool = False) -> go.Figure:
    """Which test texts teacher and distilled student get right; colour is the share of the texts."""
    counts = asdict(report.fidelity)
    cells = [["both_right", "new_error"], ["mended", "inherited"]]
    words = {
        "both_right": "both right",
        "new_error": "new error",
        "mended": "mended",
        "inherited": "inherited error",
    }
    total = sum(counts[cell] for row in cells for cell in row)
    shares = [[counts[cell] / total for cell in row] for row in cells]
    figure = new_figure("Teacher and student, text by text", "", "", dark=dark, height=300)
    figure.add_heatmap(
        x=["Student right", "Student wrong"],
        y=["Teacher right", "Teacher wrong"],
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=scale_of("student", dark),
        showscale=False,
        xgap=3,
        ygap=3,
        text=[
            [f"<b>{counts[cell]:,}</b><br>{words[cell]}<br>{percent(counts[cell] / total)}" for cell in row]
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


def per_class(report: Report, *, dark: bool = False) -> go.Figure:
    """F1 of each class for all models; mean over the seeds. A class without a test text has no mark."""
    models, title = report.judged, "F1 of each class"
    rows = {
        who: np.mean(
            [[of.f1 if of.support else np.nan for of in scores.per_class] for scores in model.seeds.values()],
            axis=0,
        )
        for who, model in models.items()
    }
    shown: Sequence[int] = range(len(report.labels))
    if len(shown) > MOST_CLASSES:
        shown = _first(rows["student"])
        title += f": the {MOST_CLASSES} of {len(report.labels):,} where the student's is lowest"
    values = {who: f1[shown].tolist() for who, f1 in rows.items()}
    names = [report.labels[i] + " (0 texts)" * bool(np.isnan(rows["student"][i])) for i in shown]
    return _dots(title, "F1 (%)", names, values, dark)


def _first(values: NDArray[Any]) -> list[int]:
    """Where the smallest of ``values`` are, in the order of the places."""
    return sorted(np.argsort(values, kind="stable")[:MOST_CLASSES].tolist())


def shifted(report: Report, *, dark: bool = False) -> go.Figure:
    """The score on the test texts, and how far each model falls on texts unlike the labelled ones."""
    word = capitalised(report.measured[report.other_metric])
    scores = report.on_other_texts
    rows = {who: list(own.values()) for who, own in scores.items()}
    return _dots(f"{word} on other texts", f"{word} (%)", list(scores["student"]), rows, dark)


def _dots(
    title: str, unit: str, names: Sequence[str], rows: Mapping[Role, Sequence[float]], dark: bool
) -> go.Figure:
    """A line for each name, on it a mark for each model (shares, shown in percent)."""
    figure = new_figure(title, unit, "", dark=dark, height=150 + _row(len(names)) * len(names), names=names)
    places = list(range(len(names)))
    for index, (who, values) in enumerate(rows.items()):
        # Equal values would hide each other; those of many models must not reach the next line.
        shift = min(0.15, 0.6 / len(rows)) * (index - (len(rows) - 1) / 2)
        figure.add_scatter(
            x=[100 * value for value in values],
            y=[place + shift for place in places],
            mode="markers",
            cliponaxis=False,
            name=SHORT_NAMES[who],
            marker={
                "color": colour_of(who, dark),
                "symbol": SYMBOLS[who],
                "size": 10,
                "line": {"width": 2, "color": colour_of(who, dark)},
            },
            hovertext=[in_full(name) for name in names],
            hovertemplate=f"%{{hovertext}}<br>{NAMES[who]}: %{{x:.1f}} %<extra></extra>",
        )
    figure.update_layout(hovermode="closest", yaxis={"showgrid": True})
    seen = [100 * value for values in rows.values() for value in values if not np.isnan(value)]
    if seen and max(seen) - min(seen) < 1:  # an axis of so little makes much of nothing, or goes beyond 100
        figure.update_xaxes(autorangeoptions={"include": max(0.0, min(seen) - 10)})
    return figure


def _row(names: int) -> int:
    """Pixels from one name to the next: with many names fewer, but room for the letters."""
    return max(20, min(40, 480 // max(1, names)))


def _measured(model: ModelReport, measure: Measure) -> float | None:
    return model.size_mb if measure == "size" else model.p50


def _number(model: ModelReport, measure: Measure) -> str:
    return megabytes(model.size_mb) if measure == "size" else milliseconds(model.p50)


def _details(model: ModelReport, measure: Measure) -> str:
    if measure == "size":
        return f"{megabytes(model.size_mb)}, {model.params or 0:,} parameters"
    return f"p50 {milliseconds(model.p50)}, p95 {milliseconds(model.p95)}"


def _bins(seeds: Iterable[Scores]) -> list[tuple[float, float, int, float, float]]:
    """(confidence, accuracy, texts, low, high) of each bin, the seeds put together.

    ``texts`` is their mean over the seeds, whose students answer the same texts: the interval is that of as
    many as one of them.
    """
    tables = [scores.reliability for scores in seeds]
    rows = pd.DataFrame([row for table in tables for row in table])
    if rows.empty:
        return []
    weighted = rows[["confidence", "accuracy"]].mul(rows["count"], axis=0).assign(count=rows["count"])
    sums = weighted.groupby(rows["low"].round(6)).sum()
    return [
        (c / n, a / n, texts := max(1, round(n / len(tables))), *wilson(a / n, texts))
        for c, a, n in sums.itertuples(index=False, name=None)
    ]
