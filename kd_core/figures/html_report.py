"""A report as one HTML file that needs nothing else: no network, no other file. No torch.

The template escapes every text; its content policy forbids whatever is not in the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from kd_core import figures
from kd_core.config import DistillConfig
from kd_core.distillation import report_tables, report_times, reproduce
from kd_core.distillation.report import Report
from kd_core.system.formatting import duration, percent

TEMPLATE = Path(__file__).with_suffix(".html")


def html_report(
    report: Report,
    *,
    name: str = "",
    config: Mapping[str, Any] | None = None,
    curve: pd.DataFrame | None = None,
    evaluations: pd.DataFrame | None = None,
) -> str:
    """The page for one run. ``config`` is what was asked for; by default the resolved one of the report."""
    charts = {
        "accuracy": figures.accuracies(report),
        "size": figures.bars(report, "size"),
        "latency": figures.bars(report, "latency"),
        "per_class": figures.per_class(report),
        "confusion": figures.confusion(report, "student"),
        "reliability": figures.reliability(report, "student"),
    }
    if report.gains:
        charts["differences"] = figures.differences(report)
    if "alone" in report.models:
        charts["reliability_alone"] = figures.reliability(report, "alone")
    if report.measures == "accuracy":  # else the teacher is always right
        charts["four_way"] = figures.four_way(report)
    if report.student.shifted:
        charts["shifted"] = figures.shifted(report)
    if curve is not None and evaluations is not None and len(curve):
        looks, measure = report_tables.validation_scores(
            evaluations, report.metric, chosen=report.learns_choices
        )
        charts["validation_curves"] = figures.validation_curves(
            looks, report_tables.teacher_validation(looks, report.config), measure=measure
        )
        charts["loss_curves"] = figures.loss_curves(curve)
    resolved = reproduce.without_places(report.config)
    asked = reproduce.without_places(config or report.config)
    teacher = "its answers" if report.teacher_is_file else resolved["teacher"]["model"]
    created = datetime.fromisoformat(report.created)
    template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.read_text("utf-8"))
    return template.render(
        title=name or report.run_id,
        subtitle=f"{resolved['task']['name']}, {teacher} to "
        f"{resolved['student']['model']}, {created:%d %B %Y %H:%M} UTC, "
        f"{duration(sum(report.seconds.values()))} in all",
        report=report,
        charts={key: embedded(figure) for key, figure in charts.items()},
        alts={key: figure.layout.title.text for key, figure in charts.items()},
        kept=report_tables.kept(report),
        overview=report_tables.overview(report),
        agreement=percent(report.fidelity.agreement),
        conditions=f"{report_times.latency_conditions(report)} {report_times.unsteady(report)}".rstrip(),
        as_good=report_tables.as_good(report),
        one_latency=f"{report_times.timed_by(report)} {report_times.ONE_LATENCY}".lstrip(),
        about_floor=report_tables.ABOUT_FLOOR if report.over_floor else "",
        command=reproduce.command(asked),
        python=reproduce.python(asked),
        yaml=DistillConfig.from_dict(resolved).to_yaml(),
        plotly_js=Markup(get_plotlyjs()),
    )


def embedded(figure: Figure, *, static: bool = False) -> Markup:
    """A chart without plotly.js, which the page holds once."""
    config = {"displayModeBar": False, "responsive": True, "staticPlot": static}
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config))
