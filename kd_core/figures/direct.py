"""Names beside marks instead of in a legend, out of each other's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

GAP = 20  # pixels from one name's line to the next
RAISED = 10  # pixels above its mark: a line that leads away from the mark does not go through the name
NEAR = 0.3  # of the plot's width: names whose middles are nearer may touch
MIDDLE = 0.12  # of the plot's width: from a mark to the middle of its name
ASIDE = 16  # pixels from a mark to its name
TURN = 0.68  # of the plot's width: from there on a name stands on the left of its mark


class Named(NamedTuple):
    x: float  # of a logarithmic axis: the exponent
    y: float
    text: str
    colour: str


def names_beside(
    marks: Sequence[Named], across: tuple[float, float], up: tuple[float, float], height: float
) -> list[dict[str, Any]]:
    """Annotations; ``across`` and ``up`` are the ends of the axes, ``height`` that of the plot in pixels.

    From the top down, each as near to its mark as the names above leave room for. One whose neighbour on its
    right has its name on the left has it there too: else either name stands beside the other's mark.
    """
    placed: list[tuple[float, float]] = []
    notes = []
    at = [
        ((mark.x - across[0]) / (across[1] - across[0]), (up[1] - mark.y) / (up[1] - up[0]) * height)
        for mark in marks
    ]
    for mark, (share, own) in sorted(zip(marks, at, strict=True), key=lambda place: -place[0].y):
        beside = (x for x, line in at if share <= x < share + MIDDLE and abs(line - own) < GAP)
        turned = max(beside) > TURN
        share += -MIDDLE if turned else MIDDLE
        line = own
        for other, taken in sorted(placed, key=lambda place: place[1]):
            if abs(share - other) < NEAR and abs(line - taken) < GAP:
                line = taken + GAP
        placed.append((share, line))
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
