"""How long the forms of a run's models take, by batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from kd_core.deployment.capacity import BUSY, Requirement
from kd_core.deployment.reports import BenchCell
from kd_core.deployment.runtimes import RUNTIME_NAMES, Runtime, form_name, split_form
from kd_core.distillation.roles import SHORT_NAMES, Role
from kd_core.figures.direct import RAISED, Named, names_beside
from kd_core.figures.style import (
    INK,
    LINE,
    LOG_AXIS,
    TEXT_COLOURS,
    colour_of,
    level,
    new_figure,
    pick,
    upright,
)
from kd_core.system.formatting import counted, milliseconds, percent

# Who has a colour everywhere; the runtime has a dash and a mark.
RUNTIME_DASHES: dict[Runtime, str] = {"pytorch": "solid", "onnx": "dash", "int8": "dot"}
RUNTIME_SYMBOLS: dict[Runtime, str] = {"pytorch": "circle", "onnx": "square", "int8": "diamond"}
FEW_SERVERS = 6  # an axis that ends here names each number of them, and no half ones


def latency_by_batch(
    cells: Sequence[BenchCell], title: str, span: tuple[float, float], *, dark: bool = False
) -> go.Figure:
    """Median milliseconds of a batch, a line for each form, of one length and number of threads.

    ``span``: the smallest and largest time on the axis, the same for figures that stand side by side.
    """
    traces = []
    for form in dict.fromkeys(cell["form"] for cell in cells):
        who, runtime = split_form(form)
        rows = [cell for cell in cells if cell["form"] == form]
        trace = {
            "type": "scatter",
            "x": [str(cell["batch"]) for cell in rows],
            "y": [cell["p50"] for cell in rows],
            "mode": "lines+markers",
            "name": f"{SHORT_NAMES[who]}, {RUNTIME_NAMES[runtime]}",
            "line": {"color": colour_of(who, dark), "dash": RUNTIME_DASHES[runtime], "width": 2},
            "marker": {"symbol": RUNTIME_SYMBOLS[runtime], "size": 8},
            "customdata": [
                (milliseconds(cell["p50"]), f"{cell['texts_per_second']:,.0f}", cell["passes"])
                for cell in rows
            ],
            "hovertemplate": f"{form_name(who, runtime)}: %{{customdata[0]}}, "
            "%{customdata[1]} texts/s, %{customdata[2]} batches timed<extra></extra>",
        }
        traces.append(trace)
    low, high = (math.log10(value) for value in (span[0] / 1.4, span[1] * 1.4))
    axes = {"xaxis": {"type": "category", "showgrid": False}, "yaxis": LOG_AXIS | {"range": [low, high]}}
    layout = axes | {"hovermode": "closest"}
    return new_figure(title, "Texts in a batch", "Median time (ms)", traces, layout, dark=dark, height=400)


def servers_by_load(
    lines: Sequence[tuple[Role, Runtime, Sequence[int]]],
    loads: Sequence[float],
    needs: Sequence[Requirement],
    load: float,
    *,
    dark: bool = False,
) -> go.Figure:
    """Servers by millions of texts a day: stairs for each form, with a mark and its number at ``load``.

    The highest number is above the stairs, the others are below theirs: on the left the highest cross them.
    """
    traces: list[dict[str, Any]] = []
    names, numbers = [], {}
    most = max(max(servers) for _, _, servers in lines)
    for (who, runtime, servers), need in zip(lines, needs, strict=True):
        colour, ink, name = colour_of(who, dark), pick(TEXT_COLOURS[who], dark), form_name(who, runtime)
        line = {"color": colour, "dash": RUNTIME_DASHES[runtime], "width": 2, "shape": "vh"}
        said = [counted(number, "server") for number in servers]
        stairs = {"x": list(loads), "y": list(servers), "text": said, "name": name}
        stairs |= {"mode": "lines", "line": line}
        hover = f"{name}: %{{x:,.3g}} million texts a day need %{{text}}<extra></extra>"
        mark = {"symbol": RUNTIME_SYMBOLS[runtime], "size": 10, "color": colour}
        here = {"x": [load], "y": [need.servers], "mode": "markers", "marker": mark, "hoverinfo": "skip"}
        traces += [{"type": "scatter", "hovertemplate": hover} | stairs, {"type": "scatter"} | here]
        short = f"{SHORT_NAMES[who]}, {RUNTIME_NAMES[runtime]}"  # on a phone the load's own mark is near
        names.append(Named(loads[-1], servers[-1], short, ink))
        numbers[need.servers] = {
            "x": load,
            "y": need.servers,
            "text": f"<b>{counted(need.servers, 'server')}</b>",
            "xanchor": "right",
            "yanchor": "bottom",
            "xshift": -6,
            "showarrow": False,
            "font": {"color": ink, "size": 13},
        }
    for number in numbers:
        if number < max(numbers):
            numbers[number] |= {"xanchor": "left", "yanchor": "top", "xshift": 6}
    across, up, height = (0.0, loads[-1]), (-0.08 * most, 1.12 * most), 340
    beside = names_beside(names, across, up, height - 96)
    for note in beside:
        if abs(note["ay"]) < RAISED:  # its line is level, and would go through it
            note["ay"] = RAISED
    layout = {
        "xaxis": {"range": across},
        "yaxis": {"range": up} | ({"dtick": 1} if most <= FEW_SERVERS else {}),  # no half servers
        "shapes": [upright(load, pick(LINE, dark), 1)],
        "annotations": [*numbers.values(), *beside],
        "showlegend": False,
        "hovermode": "closest",
    }
    words = "Servers against load", "Texts a day (millions)", "Servers"
    return new_figure(*words, traces, layout, dark=dark, height=height)


def latency_by_load(
    lines: Sequence[tuple[Role, Runtime, Sequence[float]]],
    needs: Sequence[Requirement],
    target: float,
    *,
    dark: bool = False,
) -> go.Figure:
    """p95 with waiting by how busy cores are: a line for each form, and a ring at the load of ``needs``.

    ``lines``: of each form, milliseconds for each share of ``capacity.BUSY``. Without end there is no ring.
    """
    traces: list[dict[str, Any]] = []
    for (who, runtime, times), need in zip(lines, needs, strict=True):
        colour, name = colour_of(who, dark), form_name(who, runtime)
        look = {"color": colour, "dash": RUNTIME_DASHES[runtime], "width": 2}
        traces.append(
            {
                "type": "scatter",
                "x": [100 * share for share in BUSY],
                "y": list(times),
                "mode": "lines",
                "name": f"{SHORT_NAMES[who]}, {RUNTIME_NAMES[runtime]}",
                "line": look,
                "customdata": [milliseconds(time) for time in times],
                "hovertemplate": f"{name}, %{{x:.0f}} % busy: %{{customdata}}<extra></extra>",
            }
        )
        if need.latency_ms is not None and math.isfinite(need.latency_ms):
            said = f"{name} at your peak, {percent(need.busy, 0)} busy: {milliseconds(need.latency_ms)}"
            ring = {"symbol": f"{RUNTIME_SYMBOLS[runtime]}-open", "size": 14, "color": colour}
            traces.append(
                {
                    "type": "scatter",
                    "x": [100 * need.busy],
                    "y": [need.latency_ms],
                    "mode": "markers",
                    "marker": ring | {"line": {"width": 3, "color": colour}},
                    "showlegend": False,
                    "hovertemplate": f"{said}<extra></extra>",
                }
            )
    reached = [time for _, _, times in lines for time in times if math.isfinite(time)] + [target]
    begins = [times[0] for _, _, times in lines]
    under = any(target <= time < 2 * target for time in begins)  # a curve would go through the words
    asked = {
        "x": 0,
        "xref": "x domain",
        "y": math.log10(target),  # of a logarithmic axis
        "text": f"asked for: {target:g} ms",
        "xanchor": "left",
        "yanchor": "top" if under else "bottom",
        "showarrow": False,
        "font": {"color": pick(INK, dark)},
    }
    layout = {
        "xaxis": {"range": [0, 100], "ticksuffix": " %", "showgrid": False},
        "yaxis": LOG_AXIS | {"range": _between_ticks(min(reached), max(reached))},
        "shapes": [level(target, pick(INK, dark), 1)],
        "annotations": [asked],
        "hovermode": "closest",
    }
    title = "Latency against load"
    words = "How busy the cores are", "p95 with waiting (ms, log scale)"
    return new_figure(title, *words, traces, layout, dark=dark, height=400)


def _between_ticks(low: float, high: float) -> tuple[float, float]:
    """The exponents of the ticks around these values, and a little more: no mark is far from a number."""
    ticks: list[float] = LOG_AXIS["tickvals"]
    below = max((tick for tick in ticks if tick <= low), default=low)
    above = min((tick for tick in ticks if tick >= high), default=high)
    return math.log10(below) - 0.04, math.log10(above) + 0.04
