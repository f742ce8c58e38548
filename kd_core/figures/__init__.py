"""Pictures of a run: numbers in, plotly figure out. No torch, and no knowledge of where they are shown.

Teacher, student and controls have one colour each, everywhere, and a dash and marker besides it. Every figure
has a fixed height and keeps the reader's zoom while it is updated. Labels that a user wrote are escaped.
"""

from kd_core.figures.data import class_balance, lengths, temperature_preview
from kd_core.figures.report import (
    Measure,
    bars,
    confusion,
    four_way,
    per_class,
    reliability,
    shifted,
    verdicts,
)
from kd_core.figures.style import COLOURS, DASHES, FONT, INK, RUNS, TEXT_COLOURS
from kd_core.figures.training import accuracy_curves, loss_curves, overlay

__all__ = [
    "COLOURS",
    "DASHES",
    "FONT",
    "INK",
    "RUNS",
    "TEXT_COLOURS",
    "Measure",
    "accuracy_curves",
    "bars",
    "class_balance",
    "confusion",
    "four_way",
    "lengths",
    "loss_curves",
    "overlay",
    "per_class",
    "reliability",
    "shifted",
    "temperature_preview",
    "verdicts",
]
