"""How alpha splits a student's loss between its teacher and the labels. No torch."""

from __future__ import annotations

from kd_core.figures.style import COLOURS
from kd_core.system.formatting import percent

LABELS = ("#7A8594", "#A3ADBA")  # of hard labels, as in the picture of the first page
HEIGHT = 12  # pixels


def loss_split(alpha: float, *, dark: bool = False) -> str:
    """A bar as HTML, as wide as its place: the soft loss (1 - alpha) on the left, the hard one on the right.

    Neither the slider's ends nor the colours alone say which is which: ``split_in_words`` stands below.
    """
    parts = ((1 - alpha, COLOURS["teacher"][dark], ""), (alpha, LABELS[dark], _hatched(dark)))
    drawn = "".join(
        f'<div style="flex:{share:.4f} 0 0;background:{colour}{hatch}"></div>'
        for share, colour, hatch in parts
        if share > 0
    )
    return (
        f'<div role="img" aria-label="{_spoken(alpha)}" '
        f'style="display:flex;gap:2px;height:{HEIGHT}px;border-radius:4px;overflow:hidden">{drawn}</div>'
    )


def split_in_words(alpha: float) -> tuple[str, str]:
    """What stands below the bar's two ends: the teacher's part of the loss and that of the labels."""
    return f"teacher {percent(1 - alpha, 0)}", f"labels {percent(alpha, 0)}"


def _spoken(alpha: float) -> str:
    teacher, labels = split_in_words(alpha)
    return f"The loss: {teacher}, {labels}"


def _hatched(dark: bool) -> str:
    page = "rgba(18,22,27,0.45)" if dark else "rgba(255,255,255,0.45)"
    return f";background-image:repeating-linear-gradient(135deg,{page} 0 2px,transparent 2px 7px)"
