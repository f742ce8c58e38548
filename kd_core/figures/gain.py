"""A gain with its interval as a small picture, for the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from kd_core.figures.standing import Gain
from kd_core.figures.style import LINE, UNSURE, colour_of, pick

WIDTH, HEIGHT, EDGE = 150, 32, 9  # pixels


def span_of(gains: Iterable[Gain]) -> tuple[float, float]:
    """From the lowest end to the highest, zero included: one scale for all rows."""
    ends = [0.0, *(end for _, low, high in gains for end in (low, high))]
    return min(ends), max(ends)


def gain_picture(gain: Gain, span: tuple[float, float], *, dark: bool = False, height: float = HEIGHT) -> str:
    """As a data address: a dot, its 95 % interval, and a line at zero. Grey and open where it may be zero.

    ``height``: for a width of ``WIDTH``; a table fits pictures to the height of its rows.
    """
    delta, low, high = (_place(value, span) for value in gain)
    unsure = gain[1] <= 0 <= gain[2]
    colour = pick(UNSURE, dark) if unsure else colour_of("student" if gain[0] > 0 else "alone", dark)
    zero, middle = _place(0, span), height / 2
    filling = "none" if unsure else colour
    # An open dot has no line through it.
    ends = ((low, delta - 4), (delta + 4, high)) if unsure else ((low, high),)
    lines = "".join(
        f'<path d="M{start:.1f} {middle}H{end:.1f}" stroke="{colour}" stroke-width="2"/>'
        for start, end in ends
        if start < end
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">'
        f'<path d="M{zero:.1f} 3V{height - 3}" stroke="{pick(LINE, dark)}" stroke-width="1"/>{lines}'
        f'<circle cx="{delta:.1f}" cy="{middle}" r="4.5" fill="{filling}" stroke="{colour}" '
        'stroke-width="2"/>'
        "</svg>"
    )
    return f"data:image/svg+xml,{quote(svg)}"


def _place(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return EDGE + (WIDTH - 2 * EDGE) * (value - low) / ((high - low) or 1.0)
