"""Where the gain comes from: TF-IDF, the student alone by its start, and what its teacher adds. No torch."""

from __future__ import annotations

import pandas as pd

from kd_core.config import ObjectiveConfig
from kd_core.distillation.report import Report
from kd_core.distillation.report_tables import gain
from kd_core.distillation.roles import FROM_TEACHER, NAMES, STAIRS, Role
from kd_core.system.formatting import capitalised, percent


def table(report: Report) -> pd.DataFrame:
    """Where the gain comes from: a row for each stair, with what it adds, its score and its own gain.

    No rows in reports of 0.1.
    """
    if not report.stairs:
        return pd.DataFrame()
    models = report.models
    objective = ObjectiveConfig.model_validate(report.config["objective"])
    soft = "soft labels" if objective.learns_probabilities else "the teacher's hard answers"
    if report.teacher_gives_labels:
        soft = "the teacher's labels"
    if objective.alpha == 1:
        soft = "the teacher's inner states"
    last = [] if "labelled_only" in models else [soft]
    last += [name] if (name := report.transfer_name) else []
    if not objective.uses_teacher:
        last = ["nothing: with alpha 1 it has the labels alone"]
    start = (
        "pre-trained start" if report.config["student"]["init"] == "pretrained" else "start from the teacher"
    )
    untuned = "start from the teacher before its fine-tuning"
    plain, base = "plain_start" in models, "untuned_start" in models
    adds: dict[Role, str] = {
        "tfidf": "TF-IDF",
        "plain_start": "Student alone, random start",
        "untuned_start": f"+ {untuned}" if plain else f"Student alone, {untuned}",
        "alone": "+ the fine-tuning" if base else f"+ {start}" if plain else "Student alone",
        "labelled_only": f"+ {soft}",
        "student": f"+ {' and '.join(last)}" if "alone" in models else NAMES["student"],
    }
    return pd.DataFrame(
        [
            {
                "What is added": adds[who],
                capitalised(report.measured[report.stairs_metric]): percent(
                    models[who].by(report.stairs_metric)
                ),
                "Gain": gain(report.stairs[who]) if who in report.stairs else "",
            }
            for who in STAIRS
            if who in models
        ]
    )


def start_controls(report: Report) -> dict[Role, str]:
    """The controls that this run lacks and that say what the teacher's start is worth, and their names."""
    if report.config["student"]["init"] not in FROM_TEACHER or report.teacher_is_file:
        return {}
    controls: dict[Role, str] = {"plain_start": "Plain start"}
    if report.config["teacher"]["model"] != "scratch":  # before its training that one knows nothing
        controls["untuned_start"] = "Untuned start"
    return {who: name for who, name in controls.items() if who not in report.models}


def about_start(report: Report) -> str:
    """What the student alone has of its teacher, and which controls say its worth; "" where nothing."""
    start = FROM_TEACHER.get(report.config["student"]["init"])
    if not start or report.teacher_is_file:
        return ""
    missing = [f"**{name}** (--{who.replace('_', '-')})" for who, name in start_controls(report).items()]
    worth = f" What that is worth, a run with {' and '.join(missing)} says." if missing else ""
    return (
        f"The student alone starts from the fine-tuned teacher's {start} as well: it has learned from the "
        f"teacher by its start.{worth}"
    )
