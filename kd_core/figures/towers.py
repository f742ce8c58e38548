"""Teacher and student as two towers, to scale: the area of a block is its number of parameters. No torch."""

from __future__ import annotations

import html

from kd_core.distillation.roles import Role
from kd_core.figures import COLOURS, FONT, INK, TEXT_COLOURS
from kd_core.models.size import ModelSize
from kd_core.system import formatting

WIDTH, HEIGHT = 520, 250
TOP, BASE = 26, 184  # where the taller tower begins, and where both stand
WIDEST = 170
GAP = 1.5
THIN = 2 * GAP  # layers below this height are drawn as one block


def towers(teacher: ModelSize, student: ModelSize, *, dark: bool = False) -> str:
    """Both models on one line: width is the hidden size, and embeddings stand below the layers."""
    across = WIDEST / max(teacher.hidden, student.hidden)
    up = (BASE - TOP) / max(teacher.params / teacher.hidden, student.params / student.hidden)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="{FONT}" font-size="13" text-anchor="middle">',
        f'<line x1="10" x2="{WIDTH - 10}" y1="{BASE + 1}" y2="{BASE + 1}" '
        f'stroke="{INK[dark]}" stroke-opacity="0.35"/>',
        *_tower("teacher", teacher, WIDTH * 0.27, across, up, dark),
        *_tower("student", student, WIDTH * 0.73, across, up, dark),
        "</svg>",
    ]
    return "".join(parts)


def sizes_sentence(teacher: ModelSize, student: ModelSize) -> str:
    """What the picture shows, for those who cannot see it."""
    return (
        f"Two towers drawn to scale. Teacher: {_sizes(teacher)}, "
        f"{formatting.count(teacher.params)} parameters. Student: {_sizes(student)}, "
        f"{formatting.count(student.params)} parameters, "
        f"{formatting.compared(teacher.params / student.params, 'smaller', 'larger')}."
    )


def _tower(who: Role, model: ModelSize, centre: float, across: float, up: float, dark: bool) -> list[str]:
    width = across * model.hidden
    left = centre - width / 2
    embeddings = up * model.embedding_params / model.hidden
    layer = up * (model.params - model.embedding_params) / model.hidden / model.layers
    colour, ink = COLOURS[who][dark], TEXT_COLOURS[who][dark]
    parts = [_block(left, BASE - embeddings, width, embeddings, colour, 0.45)]
    count, gap = (model.layers, GAP) if layer > THIN else (1, 0.0)
    height = layer * model.layers / count
    for i in range(count):
        parts.append(_block(left, BASE - embeddings - (i + 1) * height, width, height - gap, colour, 1))
    top = BASE - embeddings - layer * model.layers
    name = model.name.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    name = name if len(name) <= 26 else f"{name[:25]}…"
    lines = (_sizes(model), f"{formatting.count(model.params)} · {formatting.megabytes(model.megabytes)}")
    parts.append(
        f'<text x="{centre:.1f}" y="{top - 9:.1f}" font-weight="600" fill="{ink}">'
        f"{who.capitalize()}: {html.escape(name)}</text>"
    )
    share = f"{100 * model.embedding_share:.0f} % embeddings"
    for i, line in enumerate((*lines, share)):
        parts.append(f'<text x="{centre:.1f}" y="{BASE + 21 + 19 * i}" fill="{INK[dark]}">{line}</text>')
    return parts


def _block(x: float, y: float, width: float, height: float, colour: str, opacity: float) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0.8):.1f}" '
        f'fill="{colour}" fill-opacity="{opacity}"/>'
    )


def _sizes(model: ModelSize) -> str:
    layers = f"{model.layers} {'layer' if model.layers == 1 else 'layers'} of {model.hidden}"
    return f"{layers}, {model.heads} heads" if model.heads and model.heads > 1 else layers
