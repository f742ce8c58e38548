"""Pictures of a run: numbers in, plotly figure out. No torch, and no knowledge of where they are shown.

Teacher, student and controls have one colour each, everywhere, and a dash and marker besides it. Every figure
has a fixed height and keeps the reader's zoom while it is updated. Labels that a user wrote are escaped.
"""

from kd_core.figures.cascade import risk_coverage
from kd_core.figures.choosing import flattered, folds
from kd_core.figures.claims import claim_chart
from kd_core.figures.data import class_balance, lengths, temperature_preview
from kd_core.figures.gain import gain_picture, span_of
from kd_core.figures.lab import (
    class_similarity,
    entropy_curve,
    gradient_bars,
    gradient_over_temperature,
    humps,
    two_answers,
)
from kd_core.figures.lab_runs import SIZE_MEASURES, SizeMeasure, size_grid, transfer_curve
from kd_core.figures.race import race_chart
from kd_core.figures.replay import replay_agreement, replay_answers, replay_in_words, replay_map
from kd_core.figures.report import (
    Measure,
    bars,
    confusion,
    four_way,
    per_class,
    reliability,
    shifted,
)
from kd_core.figures.search import search_dots, search_map
from kd_core.figures.speed import latency_by_batch, latency_by_load, servers_by_load
from kd_core.figures.staircase import staircase
from kd_core.figures.standing import accuracies, differences, verdicts
from kd_core.figures.style import COLOURS, DASHES, FONT, INK, RUNS, TEXT_COLOURS
from kd_core.figures.tokens import answer_bars, word_shades
from kd_core.figures.tradeoffs import tradeoff_scatter
from kd_core.figures.training import loss_curves, overlay, validation_curves

__all__ = [
    "COLOURS",
    "DASHES",
    "FONT",
    "INK",
    "RUNS",
    "SIZE_MEASURES",
    "TEXT_COLOURS",
    "Measure",
    "SizeMeasure",
    "accuracies",
    "answer_bars",
    "bars",
    "claim_chart",
    "class_balance",
    "class_similarity",
    "confusion",
    "differences",
    "entropy_curve",
    "flattered",
    "folds",
    "four_way",
    "gain_picture",
    "gradient_bars",
    "gradient_over_temperature",
    "humps",
    "latency_by_batch",
    "latency_by_load",
    "lengths",
    "loss_curves",
    "overlay",
    "per_class",
    "race_chart",
    "reliability",
    "replay_agreement",
    "replay_answers",
    "replay_in_words",
    "replay_map",
    "risk_coverage",
    "search_dots",
    "search_map",
    "servers_by_load",
    "shifted",
    "size_grid",
    "span_of",
    "staircase",
    "temperature_preview",
    "tradeoff_scatter",
    "transfer_curve",
    "two_answers",
    "validation_curves",
    "verdicts",
    "word_shades",
]
