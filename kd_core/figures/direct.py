"""Names beside marks instead of in a legend, out of each other's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kd_core.figures.style import letters

GAP = 20  # pixels from one name's line to the next
RAISED = 10  # pixels above its mark: a line that leads away from the mark does not go through the name
LETTER, BEGINS = 0.02, 0.04  # of a phone's plot: a letter, and from a mark to where its name begins
MIDDLE = 0.12  # of the plot's width: names of marks that are nearer would stand over each other's mark
TOUCHES = 14  # pixels from the middle of a name to that of a mark which it would lie on
ASIDE = 16  # pixels from a mark to its name
TURN = 0.68  # of the plot's width: from there on a name stands on the left of its mark


class Named(NamedTuple):
    x: float  # of a logarithmic axis: the exponent
    y: float
    text: str
    colour: str
    needed: bool = True  # else it is left out where it has no room


def names_beside(
    marks: Sequence[Named],
    across: tuple[float, float],
    up: tuple[float, float],
    height: float,
    dots: Sequence[tuple[float, float]] = (),
) -> list[dict[str, Any]]:
    """Annotations; ``across`` and ``up`` are the ends of the axes, ``height`` that of the plot in pixels.

    The needed ones first. From the top down, each on the side of its mark where it lies on no other name and
    on none of the ``dots``, all marks of the plot; where neither side is free it goes down below the names.
    One whose neighbour on its right has its name on the left begins there too: else either name would stand
    beside the other's mark.
    """

    def place(x: float, y: float) -> tuple[float, float]:
        return (x - across[0]) / (across[1] - across[0]), (up[1] - y) / (up[1] - up[0]) * height

    at, others = [place(mark.x, mark.y) for mark in marks], [place(*dot) for dot in dots]

    placed: list[tuple[tuple[float, float], float]] = []

    def free(span: tuple[float, float], line: float) -> bool:
        on_name = (
            begin < span[1] and span[0] < end and abs(line - taken) < GAP for (begin, end), taken in placed
        )
        on_dot = (span[0] < x < span[1] and abs(y - line + RAISED) < TOUCHES for x, y in others)
        return not any(on_name) and not any(on_dot)

    notes = []
    for mark, (share, own) in sorted(
        zip(marks, at, strict=True), key=lambda each: (not each[0].needed, -each[0].y)
    ):
        beside = (x for x, line in at if share <= x < share + MIDDLE and abs(line - own) < GAP)
        turned = bool(max(beside) > TURN)
        ends = BEGINS, BEGINS + LETTER * letters(mark.text)
        sides = (share + ends[0], share + ends[1]), (share - ends[1], share - ends[0])
        other = sides[not turned]
        if not free(sides[turned], own) and other[0] >= 0 and other[1] <= 1 and free(other, own):
            turned = not turned
        span, line = sides[turned], own
        for (begin, end), taken in sorted(placed, key=lambda each: each[1]):
            if begin < span[1] and span[0] < end and abs(line - taken) < GAP:
                line = taken + GAP
        if not mark.needed and not free(span, own):
            continue
        placed.append((span, line))
        notes.append(
            {
                "x": mark.x,
                "y": mark.y,
                "text": mark.text,
                "ax": -ASIDE if turned else ASIDE,
                "ay": line - own - RAISED,
                "xanchor": "right" if turned else "left",
                "showarrow": True,
                "arrowhead": 0,
                "arrowwidth": 1,
                "arrowcolor": mark.colour,
                "standoff": 6,
                "font": {"color": mark.colour, "size": 12},
            }
        )
    return notes
