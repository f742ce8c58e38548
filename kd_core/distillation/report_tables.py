"""The tables of a report: plain numbers in, DataFrames for reading out. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kd_core.distillation.calibration import floor
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.metrics import Scores, fidelity_cells, softmax, wilson
from kd_core.distillation.predictions import kept_as, logits, read_predictions
from kd_core.distillation.report import ModelReport, Report
from kd_core.distillation.report_times import doubt
from kd_core.distillation.roles import NAMES, Role, f1_of, metric_name
from kd_core.distillation.run_folder import PREDICTIONS
from kd_core.system.formatting import (
    capitalised,
    compared,
    count,
    interval,
    megabytes,
    milliseconds,
    percent,
    plus_minus,
    points,
    signed,
    with_interval,
)

# What each cell of the four-way table says.
ABOUT_CELLS = {
    "both_right": "Both are right.",
    "mended": "Only the student is right: it did not take over the teacher's mistake.",
    "inherited": "Both are wrong: mistakes that came with the teacher, or texts that are hard for any model.",
    "new_error": "Only the teacher is right: what compression lost.",
}

ABOUT_FLOOR = (
    "TF-IDF counts words and letters, with logistic regression: a student that is not above it is not worth "
    "its trouble. It is never stored; its size is 4 bytes for each weight and each feature's IDF, and the "
    "features' letters."
)


def overview(report: Report) -> pd.DataFrame:
    """A row for each model: quality, size and speed, in words. What decides comes first."""
    return pd.DataFrame(
        [
            {"Model": NAMES[who]}
            | {capitalised(name): score(model, metric) for metric, name in report.measured.items()}
            | {
                "Calibration error": calibration_error(report, who),
                "Parameters": count(model.params),
                "Embeddings": percent((model.embedding_params or 0) / model.params, 0)
                if model.params
                else "",
                "Size": megabytes(model.size_mb),
                "Latency p50": milliseconds(model.p50),
                "p95": milliseconds(model.p95),
            }
            for who, model in report.judged.items()
        ]
    )


def calibration_error(report: Report, who: Role) -> str:
    """ "–" of a teacher that never said how sure it is."""
    return "–" if who == "teacher" and report.teacher_gives_labels else percent(report.models[who].ece)


def score(model: ModelReport, metric: str) -> str:
    """Its score in ``metric``, with the interval where that is known."""
    return with_interval(model.by(metric), *model.interval(metric) or (None, None))


def hard_answers(report: Report) -> str:
    """What the teacher's other probabilities add to its first choices, in a sentence; "" where not asked."""
    if report.over_hard is None:
        return ""
    texts = f" and {name}" if (name := report.transfer_name) else ""
    labelled = "" if report.learns_choices else "labelled "
    # Reports of before have it in accuracy alone.
    metric = report.metric if "hard_answers" in report.gains else "accuracy"
    over, measure = report.gains.get("hard_answers", report.over_hard), report.measured[metric]
    doubt = " That may be nothing." if over.kind == "no_difference" else ""
    named = "" if measure == "accuracy" else f" {measure}"
    return (
        f"On the same {labelled}texts{texts}, with the teacher's first choices as if they were labels, the "
        f"student has{named} {percent(report.models['hard_answers'].by(metric))}. The teacher's other "
        f"probabilities add {gain(over, measure)}.{doubt}"
    )


def as_good(report: Report) -> list[str]:
    """Which controls the distilled student is not shown to be better than, with their numbers, as sentences.

    A control that the interval puts above it comes with "better".
    """
    own = report.student
    return [
        f"{NAMES[who]} does {'better' if report.gains[who].kind == 'hurt' else 'as well'}, as far as these "
        f"texts can show: {report.judged_by} {percent(model.by(report.metric))}, with a calibration error of "
        f"{percent(model.ece)} (distilled student: {percent(own.by(report.metric))}, {percent(own.ece)})."
        for who in report.as_good
        for model in [report.models[who]]
    ]


def f1_gain(report: Report) -> str:
    """What distillation did to macro-F1, in a sentence; "" in reports of before."""
    if report.f1_gain is None:
        return ""
    name = metric_name(f1_of(report.metric))
    whom = (
        "the student alone" if "alone" in report.models else "the same student on its teacher's hard answers"
    )
    return f"In {name} the distilled student has {gain(report.f1_gain)} over {whom}."


def gain(verdict: Verdict, measure: str = "accuracy") -> str:
    """In words; ``measure`` is said where it is not accuracy."""
    unit = "" if measure == "accuracy" else f" of {measure}"
    return f"{points(verdict.delta)}{unit} ({interval(verdict.low, verdict.high)})"


def kept(report: Report) -> dict[str, str]:
    """What the compression cost and bought, teacher against distilled student, by measure."""
    teacher, student = report.teacher, report.student
    quality = _share_kept(report)
    if report.measures == "agreement":
        quality = f"Agrees with the teacher on {percent(student.accuracy)}"
    if not (teacher.size_mb and student.size_mb and teacher.p50 and student.p50):
        return {
            "accuracy": quality,
            "size": f"{megabytes(student.size_mb)}; the teacher is a file",
            "latency": f"{milliseconds(student.p50)} a text; the teacher is a file",
        }
    speed = _than_the_teacher(teacher.p50 / student.p50, "faster", "slower", "fast")
    return {
        "accuracy": quality,
        "size": _than_the_teacher(teacher.size_mb / student.size_mb, "smaller", "larger", "large"),
        "latency": f"{speed}, {doubt(report)}".rstrip(", "),
    }


def _share_kept(report: Report) -> str:
    """By what the run is judged by; its interval is that of the difference, over the teacher's."""
    metric, gap = report.metric, report.gains.get("teacher")
    teacher, student = report.teacher.by(metric), report.student.by(metric)
    if gap is None or not teacher:  # a report of before: without an interval it is no headline
        right = "right" if metric == "accuracy" else metric_name(metric)
        return f"{percent(student)} {right}, the teacher {percent(teacher)}"
    name = metric_name(metric)
    if gap.low > 0:  # of a teacher near nothing a share says little: "keeps 4,275 %"
        return f"Better than its teacher: {points(gap.delta)} of {name} ({interval(gap.low, gap.high)})"
    # Nobody is right more often than always, or less often than never.
    shares = (1 + bound / teacher for bound in (gap.low, gap.high))
    low, high = (percent(max(0.0, min(share, 1 / teacher))) for share in shares)
    return f"Keeps {percent(student / teacher)} of the teacher's {name} ({low} to {high})"


def _than_the_teacher(number: float, better: str, worse: str, same: str) -> str:
    if round(number, 1) == 1:
        return f"As {same} as the teacher"
    return f"{compared(number, better, worse)} than the teacher"


def calibration(seeds: Sequence[Scores]) -> str:
    """A model's calibration error beside what chance alone would make of it, in sentences."""
    floors = [floor(scores.reliability) for scores in seeds]
    error, chance, high = (
        float(np.mean(values))
        for values in zip(*((s.ece, f.mean, f.high) for s, f in zip(seeds, floors, strict=True)), strict=True)
    )
    verdict = (
        "so these texts do not show that it is off"
        if error <= high
        else "so it is off by more than chance explains"
    )
    digits = 2 if percent(error) == percent(high) else 1
    error_, chance_, high_ = (percent(share, digits) for share in (error, chance, high))
    return (
        f"Calibration error {error_}. A model as sure as this one whose confidence is exact would "
        f"show {chance_} on as many texts, and in 19 of 20 cases less than {high_}: "
        f"{verdict}. Below the diagonal it is too sure of itself, above it too careful. Lines are 95 % "
        "intervals, larger dots hold more texts."
    )


def class_scores(report: Report, who: Role) -> pd.DataFrame:
    """Precision, recall and F1 of each class in percent, and its test texts; means over the seeds.

    NaN of a class that has no test text: how well it is recognised is not known.
    """
    seeds = [pd.DataFrame(scores.per_class) for scores in report.models[who].seeds.values()]
    together = pd.concat(seeds).groupby("name", sort=False).mean()
    measures = ["precision", "recall", "f1"]
    together[measures] *= 100
    together.loc[together["support"] == 0, measures] = np.nan
    return together.rename_axis("class").reset_index().astype({"support": int})


def fewest_texts(classes: pd.DataFrame) -> str:
    """How well the recall is known of the class with the fewest test texts, of ``class_scores``."""
    known = classes[classes["support"] > 0]
    if known.empty:
        return ""
    rarest = known.sort_values("support", kind="stable").to_dict("records")[0]
    texts = int(rarest["support"])
    low, high = wilson(rarest["recall"] / 100, texts)
    return (
        f"“{rarest['class']}” has the fewest test texts, {texts:,}. The share of them that is recognised, "
        f"{percent(rarest['recall'] / 100)}, has a 95 % interval of {percent(low, 0)} to {percent(high, 0)}."
    )


def most_confused(report: Report, who: Role) -> tuple[str, str, int] | None:
    """The true class, the wrong answer and the texts of the commonest mistake; None where none stands out."""
    counts = np.sum([scores.confusion for scores in report.models[who].seeds.values()], axis=0)
    np.fill_diagonal(counts, 0)
    truth, answer = np.unravel_index(int(counts.argmax()), counts.shape)
    count = int(counts[truth, answer])
    alone = count and (counts == count).sum() == 1
    return (report.labels[truth], report.labels[answer], count) if alone else None


def other_texts(report: Report) -> pd.DataFrame:
    """Each model's score on the test texts, and the points that it gains or loses on others, in words."""
    rows = []
    for who, scores in report.on_other_texts.items():
        (_, test), *others = scores.items()
        rises = report.models[who].rises
        changes = {name: _change(score - test, rises.get(name)) for name, score in others}
        rows.append({"Model": NAMES[who], "Test texts": percent(test)} | changes)
    return pd.DataFrame(rows)


def _change(share: float, ends: tuple[float, float] | None) -> str:
    known = f" {plus_minus(share, *ends, least=-1)}" if ends else ""
    return f"{signed(100 * share)}{known}"


def texts(folder: Path, report: Report) -> pd.DataFrame:
    """Each test text with the answers of teacher and distilled student (first seed), and its cell.

    Columns: cell, text, truth, teacher, teacher_sure (%), student, student_sure; NaN of a teacher that gave
    labels alone. Raises: RunError.
    """
    pair: tuple[Role, ...] = ("teacher", "student")
    columns = {who: kept_as(report, who) for who in pair}
    rows = read_predictions(folder, PREDICTIONS, "text", "label", *columns.values())
    labels, names = rows["label"].to_numpy(), np.array(report.labels)
    answers = {who: logits(rows, column) for who, column in columns.items()}
    table = {
        "cell": fidelity_cells(answers["teacher"], answers["student"], labels),
        "text": rows["text"],
        "truth": names[labels],
    }
    for who, answered in answers.items():
        table |= {who: names[answered.argmax(axis=1)], f"{who}_sure": 100 * softmax(answered).max(axis=1)}
    if report.teacher_gives_labels:
        table["teacher_sure"] = np.full(len(labels), np.nan)
    return pd.DataFrame(table)


def validation_scores(
    evaluations: pd.DataFrame, metric: str, *, chosen: bool = False
) -> tuple[pd.DataFrame, str]:
    """Looks at the validation split with a "score" by ``metric``, and what that is, for a person.

    Of runs of before, which told of accuracy alone, it is accuracy. ``chosen``: the labels are the teacher's
    choices, so that it is agreement.
    """
    if len(evaluations) and evaluations["score"].isna().all():
        metric = "accuracy"
    if metric == "accuracy":  # the looks at a teacher from the cache may be of before
        evaluations = evaluations.assign(score=evaluations["accuracy"])
    return evaluations, "agreement" if chosen and metric == "accuracy" else metric_name(metric)


def teacher_validation(evaluations: pd.DataFrame, config: Mapping[str, Any]) -> float | None:
    """The score of the weights that the teacher keeps; None before its first look.

    ``config`` is the run's, resolved; runs of before ``teacher.weights`` kept the best.
    """
    mine = evaluations[evaluations["who"] == "teacher"].sort_values("step")["score"]
    last = config.get("teacher", {}).get("weights", "best") == "last" and len(mine)
    kept = mine.iloc[-1] if last else mine.max()
    return None if pd.isna(kept) else float(kept)
