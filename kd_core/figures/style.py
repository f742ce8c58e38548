"""How every figure looks: colours, fonts, the figure that all start from."""

from __future__ import annotations

import html
import itertools
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from kd_core.distillation.roles import ROLES, Role, ThemeColour

COLOURS = {who: entry.colour for who, entry in ROLES.items()}  # of marks
TEXT_COLOURS = {who: entry.text_colour for who, entry in ROLES.items()}
DASHES = {who: entry.dash for who, entry in ROLES.items()}
SYMBOLS = {who: entry.symbol for who, entry in ROLES.items()}

INK: ThemeColour = ("#1B1F24", "#E6EAEF")  # words
PAGE: ThemeColour = ("#FFFFFF", "#12161B")  # what a pale cell fades into
SPLITS: tuple[ThemeColour, ...] = (("#4A5160", "#C6CCD6"), ("#8C94A1", "#8A93A0"), ("#C5CAD2", "#555E6A"))
LINE: ThemeColour = ("#4A5160", "#C6CCD6")  # what is nobody's: a total loss, counts
UNSURE: ThemeColour = ("#9AA1AC", "#7D8592")  # a difference that the interval does not tell from zero
GRID: ThemeColour = ("rgba(110,118,130,0.18)", "rgba(160,168,180,0.18)")
# Runs side by side: Okabe and Ito's colours, safe for colour-blind people, each with a dash of its own.
RUNS: tuple[ThemeColour, ...] = (
    ("#0072B2", "#56B4E9"),
    ("#D55E00", "#E69F00"),
    ("#009E73", "#2CC79A"),
    ("#B0568F", "#D68FBC"),
    ("#6B5B00", "#F0E442"),
    ("#4A5160", "#C6CCD6"),
)
# The terms of a loss are nobody's either.
TERMS: dict[str, ThemeColour] = {"total": LINE, "soft": RUNS[3], "hard": RUNS[4], "intermediate": RUNS[2]}
RUN_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
# How much of a model's colour a cell has, light and dark theme: with more, words in INK could not be read.
PALEST, DEEPEST = 0.06, (0.75, 0.5)
FONT = "Source Sans, system-ui, -apple-system, Segoe UI, Liberation Sans, Arial, sans-serif"  # the pages' own
_LOG_TICKS = [part * 10.0**power for power in range(-6, 4) for part in (1, 2, 5)]
LOG_AXIS: dict[str, Any] = {
    "type": "log",
    "tickvals": _LOG_TICKS,
    "ticktext": [f"{tick:g}" for tick in _LOG_TICKS],
}
MAX_CELLS_WITH_TEXT = 15
STEEP = {"autotickangles": [0, 45, 90]}  # names below an axis that lie flatter run into each other on a phone
MAX_LABEL = 28  # letters, as ``letters`` counts them
MAX_NAME = 22  # of a name on the left: it takes half of a phone, the plot has the other half


def new_figure(
    title: str,
    x: str,
    y: str,
    traces: Sequence[Mapping[str, Any]] = (),
    layout: Mapping[str, Any] | None = None,
    *,
    dark: bool,
    height: int = 320,
    names: Sequence[str] | None = None,
) -> go.Figure:
    """A figure of ``traces``; ``layout`` is plotly's, and goes over what all figures share.

    An axis with a title has numbers; one without may have words, and makes room for them.
    ``names`` stand on the vertical axis, at 0, 1, ... from the top; they are escaped and cut. Whole they are
    for the hover: ``in_full``.
    """
    ink, grid = pick(INK, dark), pick(GRID, dark)

    def axis(words: str) -> dict[str, Any]:
        title = {"text": words, "standoff": 8, "font": {"size": 13, "color": ink}}
        lines = {"gridcolor": grid, "zerolinecolor": grid, "zerolinewidth": 2, "linecolor": grid}
        lines |= {"ticks": ""}  # a heat map would have some
        # Numbers fit into the margins below. To measure what stands on an axis makes plotly draw it twice.
        return {"title": title, "tickfont": {"color": ink, "size": 12}, "automargin": not words} | lines

    left, rows = 60 if y else 8, axis(y)
    if names is not None:
        shown = [label_of(name, MAX_NAME) for name in names]
        # In the ticks' font a letter takes 6.8 pixels or a little less.
        left = 14 + round(6.8 * max((letters(html.unescape(name)) for name in shown), default=0))
        rows |= {"tickvals": list(range(len(shown))), "ticktext": shown, "range": [len(shown) - 0.5, -0.5]}
        rows |= {"showgrid": False, "zeroline": False, "automargin": False}
    shared: dict[str, Any] = {
        "template": _template(ink),
        "xaxis": axis(x),
        "yaxis": rows,
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
        "margin": {"l": left, "r": 12, "t": 44, "b": 52 if x else 8},
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
        "hoverlabel": {"align": "left", "font": {"family": FONT}},
        "uirevision": title,
        "dragmode": False,  # a finger that scrolls the page must not zoom
        "separators": ".,",
    }
    for key, value in (layout or {}).items():
        shared[key] = shared.get(key, {}) | value if isinstance(value, dict) else value
    # All at once: plotly takes up to 3 ms for each trace, line or axis that is added or changed afterwards.
    return go.Figure(traces, shared)


def enlarged(figure: go.Figure, by: float) -> go.Figure:
    """The same figure with letters, margins and height ``by`` times as large, for a room."""

    def grown(part: Any, name: str = "") -> Any:
        if isinstance(part, dict):
            return {key: grown(value, f"{name} {key}") for key, value in part.items()}
        if isinstance(part, list | tuple):
            return [grown(each, name) for each in part]
        return part * by if name.endswith("font size") and isinstance(part, int | float) else part

    layout = grown(figure.layout.to_plotly_json())
    layout["margin"] = {side: by * size for side, size in layout.get("margin", {}).items()}
    if "height" in layout:
        layout["height"] *= by
    return go.Figure([grown(trace.to_plotly_json()) for trace in figure.data], layout)


def _template(ink: str) -> dict[str, Any]:
    """Instead of plotly's own, whose 7 kB each chart would bring to the browser."""
    traces: dict[str, Any] = {
        "bar": [{"marker": {"pattern": {"solidity": 0.2}}}],
        # Plotly's choice, white or grey by the cell, cannot be read in the middle of the scale.
        "heatmap": [{"textfont": {"color": ink}}],
    }
    return {"layout": {"autotypenumbers": "strict"}, "data": traces}  # a class called 2024 is a name


def letters(text: str) -> int:
    """How many letters wide ``text`` is: a Chinese character counts as two, a sign over another as none."""
    return sum(map(_width, text))


def _width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def fitting(text: str, room: int) -> str:
    """As much of the beginning as is ``room`` letters wide."""
    widths = itertools.accumulate(map(_width, text))
    return text[: sum(width <= room for width in widths)]


def whiskers(
    values: ArrayLike, lows: ArrayLike, highs: ArrayLike, colour: str, thickness: float, width: float = 0
) -> dict[str, Any]:
    """Plotly's ``error_x`` or ``error_y``: from ``lows`` to ``highs``, all in the units of the axis."""
    middle, low, high = (np.asarray(ends, dtype=float) for ends in (values, lows, highs))
    sides = {"array": (high - middle).tolist(), "arrayminus": (middle - low).tolist(), "symmetric": False}
    return {"type": "data", "color": colour, "thickness": thickness, "width": width} | sides


def upright(x: float, colour: str, width: float) -> dict[str, Any]:
    """The shape of a line at ``x``, from the bottom of the plot to its top."""
    ends = {"x0": x, "x1": x, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    return {"type": "line", "line": {"color": colour, "width": width}} | ends


def level(y: float, colour: str, width: float) -> dict[str, Any]:
    """The shape of a dashed line at ``y``, from the left of the plot to its right."""
    ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
    return {"type": "line", "line": {"color": colour, "dash": "dash", "width": width}} | ends


def label_of(text: str, limit: int = MAX_LABEL) -> str:
    """Text as it is: plotly reads HTML in labels. Where it would push the plot aside, its middle is cut out.

    What tells names of runs and files apart is often at their end.
    """
    if letters(text) > limit:
        end = (limit - 1) // 2
        text = f"{fitting(text, limit - 1 - end)}…{fitting(text[::-1], end)[::-1]}"
    return html.escape(text, quote=False)


def in_full(name: str) -> str:
    """A name for the hover: in lines that fit on a phone."""
    return "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(name[:200], MAX_LABEL))


def scale_of(who: Role, dark: bool) -> list[list[Any]]:
    """One hue, from nearly the page's colour towards the model's."""
    return [[share, shade_of(who, share, dark)] for share in (0, 1)]


def shade_of(who: Role, share: float, dark: bool) -> str:
    """The colour at ``share`` of that scale. Words in the page's ink can be read on each of them."""
    return tinted(colour_of(who, dark), PALEST + share * (DEEPEST[dark] - PALEST), dark)


def tinted(colour: str, depth: float, dark: bool) -> str:
    """The page's colour with a share ``depth`` of another one."""
    page = _rgb(pick(PAGE, dark))
    return "rgb({:.0f},{:.0f},{:.0f})".format(*(page + depth * (_rgb(colour) - page)))


def _rgb(colour: str) -> Any:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def colour_of(who: Role, dark: bool) -> str:
    return pick(COLOURS[who], dark)


def pick(pair: ThemeColour, dark: bool) -> str:
    return pair[dark]
