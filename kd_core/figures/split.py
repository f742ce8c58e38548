"""How alpha splits a student's loss between its teacher and the labels. No torch."""

from __future__ import annotations

from kd_core.distillation.roles import ROLES
from kd_core.figures.style import COLOURS, PAGE
from kd_core.system.formatting import percent

LABELS = ROLES["alone"].colour  # of hard labels, as in the picture of the first page
WIDTH, HEIGHT, GAP = 400, 12, 2


def loss_split(alpha: float, *, dark: bool = False) -> str:
    """A bar as SVG: the soft loss (1 - alpha) on the left, the hard one on the right.

    Neither the slider's ends nor the colours alone say which is which: ``split_in_words`` stands below.
    """
    gap = GAP if 0 < alpha < 1 else 0
    teacher, labels = (share * (WIDTH - gap) for share in (1 - alpha, alpha))
    parts = [
        f'<rect x="{x:.1f}" width="{width:.1f}" height="{HEIGHT}" fill="{fill}"/>'
        for x, width, fills in (
            (0.0, teacher, (COLOURS["teacher"][dark],)),
            (teacher + gap, labels, (LABELS[dark], "url(#hatched)")),
        )
        for fill in fills
        if width > 0
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><defs>'
        '<pattern id="hatched" width="7" height="7" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="2" height="7" fill="{PAGE[dark]}" fill-opacity="0.45"/>'
        f'</pattern><clipPath id="round"><rect width="{WIDTH}" height="{HEIGHT}" rx="4"/></clipPath></defs>'
        f'<g clip-path="url(#round)">{"".join(parts)}</g></svg>'
    )


def split_in_words(alpha: float) -> tuple[str, str]:
    """What stands below the bar's two ends: the teacher's part of the loss and that of the labels."""
    return f"teacher {percent(1 - alpha, 0)}", f"labels {percent(alpha, 0)}"


def split_spoken(alpha: float) -> str:
    """The bar for those who cannot see it."""
    teacher, labels = split_in_words(alpha)
    return f"The loss: {teacher}, {labels}"
