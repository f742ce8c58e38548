"""What models say of one text, and how far each of its words led them there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from kd_core.distillation.roles import NAMES, Role, ThemeColour
from kd_core.figures.style import (
    GRID,
    INK,
    TEXT_COLOURS,
    colour_of,
    fitting,
    in_full,
    label_of,
    letters,
    new_figure,
    pick,
    tinted,
)
from kd_core.system.formatting import percent, points, right_to_left

# For and against the answer: teal and rose, which colour-blind people tell apart, and which are nobody's.
FOR: ThemeColour = ("#1F9E8F", "#3FB8A8")
AGAINST: ThemeColour = ("#B5548F", "#D272AC")
DEEPEST = 0.5  # of the colour in a word's background, so that the word stays readable
LINE = 40  # characters in a line of words
MAX_WORD = 20
TOLD = 0.01  # a change from which its number is written below the word


def answer_bars(answers: Mapping[Role, Mapping[str, float]], *, dark: bool = False) -> go.Figure:
    """The probability of each class, in the order given, with a bar for each model; bars start at zero."""
    names = list(next(iter(answers.values())))
    bars = [
        {
            "type": "bar",
            "x": [100 * share for share in probabilities.values()],
            "y": list(range(len(names))),
            "orientation": "h",
            "name": NAMES[who],
            "marker": {"color": colour_of(who, dark)},
            "customdata": [in_full(name) for name in names],
            "hovertemplate": "%{customdata}: %{x:.1f} %<extra>" + NAMES[who] + "</extra>",
            "text": [percent(share) for share in probabilities.values()],
            "textposition": "outside",
            "textfont": {"color": pick(TEXT_COLOURS[who], dark), "size": 12},
            "cliponaxis": False,
        }
        for who, probabilities in answers.items()
    ]
    layout = {
        "xaxis": {"range": [0, 100], "tickvals": [0, 25, 50, 75, 100], "zeroline": False},
        "barmode": "group",
        "bargap": 0.28,
        "bargroupgap": 0.08,
        "hovermode": "closest",
        "margin": {"t": 6, "r": 56, "b": 84},
    }
    height = 110 + (12 + 18 * len(answers)) * len(names)
    return new_figure("", "Probability (%)", "", bars, layout, dark=dark, height=height, names=names)


def word_shades(
    words: Sequence[str], effects: Sequence[float], who: Role, *, strongest: float, dark: bool = False
) -> go.Figure:
    """The text, each word shaded by how far it raises (+) or lowers the probability of the answer.

    ``strongest`` has the deepest shade: the same for all figures that are compared.
    """
    lines, starts, widths = _set_in_lines(words)
    last = max(lines, default=0)
    backwards = 2 * sum(map(right_to_left, words)) > len(words)
    chips = {
        "type": "bar",
        "y": lines,
        "base": starts,
        "x": [width - 0.5 for width in widths],
        "orientation": "h",
        "width": 0.88,
        "marker": {
            "color": [_shade(effect / strongest, dark) for effect in effects],
            "cornerradius": 4,
            "line": {"width": 1, "color": pick(GRID, dark)},
        },
        "text": [_chip(word, effect) for word, effect in zip(words, effects, strict=True)],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "insidetextfont": {"color": pick(INK, dark), "size": 13},
        "constraintext": "both",
        "customdata": [[label_of(word), points(effect)] for word, effect in zip(words, effects, strict=True)],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}<extra>" + NAMES[who] + "</extra>",
    }
    hidden = {"visible": False, "fixedrange": True}
    layout = {
        "xaxis": hidden | {"range": [LINE, -0.15] if backwards else [-0.15, LINE]},
        "yaxis": hidden | {"range": [last + 0.5, -0.5]},
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"l": 0, "r": 0, "t": 4, "b": 4},
        "bargap": 0,
    }
    return new_figure("", "", "", [chips], layout, dark=dark, height=48 + 40 * last)


def _set_in_lines(words: Sequence[str]) -> tuple[list[int], list[float], list[float]]:
    """The line, the start and the width (in characters) of each word."""
    lines, starts, widths = [], [], []
    line, place = 0, 0.0
    for word in words:
        width = max(letters(_short(word)), 3) + 1.5
        if place and place + width > LINE:
            line, place = line + 1, 0.0
        lines.append(line)
        starts.append(place)
        widths.append(width)
        place += width
    return lines, starts, widths


def _short(word: str) -> str:
    return word if letters(word) <= MAX_WORD else f"{fitting(word, MAX_WORD - 1)}…"


def _chip(word: str, effect: float) -> str:
    number = points(effect).removesuffix(" points") if abs(effect) >= TOLD else "&nbsp;"
    return f"{label_of(_short(word))}<br><span style='font-size:11px'>{number}</span>"


def _shade(share: float, dark: bool) -> str:
    """From the page's colour (0) towards FOR (1) or AGAINST (-1)."""
    return tinted(pick(FOR if share > 0 else AGAINST, dark), DEEPEST * min(abs(share), 1.0), dark)
