"""The staircase of a compressed model in words: teacher, distilled student, ONNX, int8. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from kd_core.deployment.reports import FormReport, Paired, by_metric
from kd_core.deployment.runtimes import RUNTIME_NAMES, RUNTIMES, form_name
from kd_core.distillation.metrics import waited
from kd_core.distillation.roles import SHORT_NAMES
from kd_core.system.formatting import (
    ABOUT_PLUS_MINUS,
    beside_other_work,
    capitalised,
    compared,
    count,
    interval,
    megabytes,
    milliseconds,
    points,
    what_is_timed,
    with_interval,
)

WHOM = {"teacher": "the teacher", "student": "the distilled student"}


def label(form: FormReport) -> str:
    """ "Teacher, PyTorch"."""
    return form_name(form["who"], form["runtime"])


def short_label(form: FormReport) -> str:
    """Of a step of the stairs: "Teacher", "Distilled", "ONNX", "ONNX int8"."""
    plain = form["runtime"] == "pytorch"
    return SHORT_NAMES[form["who"]] if plain else RUNTIME_NAMES[form["runtime"]]


def steps(forms: Sequence[FormReport]) -> list[FormReport]:
    """The teacher in PyTorch, then the distilled student's forms, in the order of the stairs."""
    by_step = {(form["who"], form["runtime"]): form for form in forms}
    stairs = [("teacher", "pytorch"), *(("student", runtime) for runtime in RUNTIMES)]
    return [by_step[step] for step in stairs if step in by_step]


def about_text_by_text(forms: Sequence[FormReport], measures: str = "accuracy") -> str:
    """What the column ``text_by_text`` says."""
    _, measures = by_metric(forms, measures)
    return (
        "Text by text: right answers that a form loses and gains against its model in PyTorch (the student "
        f"in PyTorch: against the teacher), and the 95 % interval of the difference in {measures}, in points."
    )


def sentences(forms: Sequence[FormReport], measures: str = "accuracy") -> dict[str, str]:
    """What each step below the first costs and buys, by its short label; a teacher that is a file is no step.

    "34x smaller and 13x faster than the teacher; 0.2 points less accurate than the distilled student, ..."
    """
    judged, measures = by_metric(forms, measures)
    first, *below = steps(judged)
    student = next(form for form in (first, *below) if form["who"] == "student")
    base = {form["name"]: first if form is student else student for form in below}
    return {
        short_label(form): f"{_cheaper(form, first)}; {_accuracy(form, base[form['name']], measures)}"
        for form in below
    }


def table(forms: Sequence[FormReport], measures: str = "accuracy") -> pd.DataFrame:
    """Each form as measured, in words; the latency's conditions are those of ``conditions``."""
    judged, measures = by_metric(forms, measures)
    return pd.DataFrame(
        [
            {
                "Form": label(form),
                capitalised(measures): with_interval(form["accuracy"], form["low"], form["high"]),
                "Text by text": text_by_text(form),
                "Parameters": count(form["params"]),
                "Size": megabytes(form["size_mb"]),
                "Latency p50": milliseconds(form["latency_ms"]["p50"]),
                "p95": milliseconds(form["latency_ms"]["p95"]),
                "Tokens": f"{form['latency_ms']['mean_tokens']:.1f}",
            }
            for form in judged
        ]
    )


def conditions(
    forms: Sequence[FormReport],
    machine: Mapping[str, str | int],
    rows: int,
    measures: str = "accuracy",
    timed_by: str = "",
) -> str:
    """How the numbers of ``forms`` were measured."""
    times = forms[0]["latency_ms"]
    how = what_is_timed(times["batch"], times["threads"], times.get("tokenizer", False))
    tokens = sorted({f"{form['latency_ms']['mean_tokens']:.0f}" for form in forms}, key=int)
    named, about = capitalised(by_metric(forms, measures)[1]), about_text_by_text(forms, measures)
    return (
        f"{named}: each form was run on all {rows:,} test texts, in fp32 or, one by one, in "
        "int8; where the run computed in bf16, its report may have a text or two more or less. "
        f"{ABOUT_PLUS_MINUS}. {about} Latency{timed_by and f', in the {timed_by}'}: {how}, "
        f"{times['texts']:,} test texts, {' to '.join((tokens[0], tokens[-1])[: len(tokens)])} tokens on "
        f"average, the forms taking turns. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['os']}."
    )


def doubt(forms: Sequence[FormReport]) -> str:
    """Why the times are to be doubted, "" where nothing speaks against them."""
    shares = {label(form): share for form in forms if (share := waited(form["latency_ms"].get("busy")))}
    return f"{beside_other_work(shares)}: export again when the machine is idle." if shares else ""


def _cheaper(form: FormReport, teacher: FormReport) -> str:
    return f"{' and '.join(gains(form, teacher))} than {WHOM[teacher['who']]}"


def gains(form: FormReport, first: FormReport) -> tuple[str, str]:
    """ "30.4x smaller", "26.8x faster" than the first form."""
    return (
        compared(first["size_mb"] / form["size_mb"], "smaller", "larger"),
        compared(first["latency_ms"]["p50"] / form["latency_ms"]["p50"], "faster", "slower"),
    )


def _accuracy(form: FormReport, other: FormReport, measures: str) -> str:
    whom, pair = WHOM[other["who"]], form.get("paired")  # exports of before have no pair
    difference = form["accuracy"] - other["accuracy"]
    good, so_good = {
        "accuracy": ("accurate", "as accurate as"),
        "agreement": ("agreement with the teacher", "in agreement with the teacher as often as"),
    }.get(measures, (measures, f"as good in {measures} as"))
    direction = "more" if difference > 0 else "less"
    said = f"{points(abs(difference)).lstrip('+')} {direction} {good} than {whom}"
    if round(100 * difference, 1) == 0 and not (pair and pair["lost"] + pair["gained"]):
        said = f"{so_good} {whom}"
    elif pair and pair["low"] <= 0 <= pair["high"]:
        said = f"no difference in {measures} from {whom} that these texts can show"
    return said if pair is None else f"{said}: {on_each_text(pair)}"


def text_by_text(form: FormReport) -> str:
    """For a column of that name, ``about_text_by_text``: "11 lost, 1 gained (−3.2 to −0.7)"."""
    pair = form.get("paired")
    if pair is None:
        return ""
    if not pair["lost"] + pair["gained"]:
        return "the same"
    return f"{pair['lost']:,} lost, {pair['gained']:,} gained ({interval(pair['low'], pair['high'])})"


def comparisons(forms: Sequence[FormReport]) -> list[str]:
    """ "Distilled student, ONNX int8, against the same in PyTorch: 11 texts lost, ...", for each compared."""
    judged, measures = by_metric(forms, "accuracy")
    return [
        f"{label(form)}, against the {'teacher' if form['runtime'] == 'pytorch' else 'same in PyTorch'}: "
        f"{on_each_text(form['paired'], measures)}."
        for form in judged
        if "paired" in form
    ]


def on_each_text(pair: Paired, measures: str = "accuracy") -> str:
    """ "11 texts lost, 1 gained of 524, 95 % interval −3.2 to −0.7"."""
    if not pair["lost"] + pair["gained"]:
        return f"no text lost or gained of {pair['texts']:,}"
    return (
        f"{pair['lost']:,} {'text' if pair['lost'] == 1 else 'texts'} lost, {pair['gained']:,} gained of "
        f"{pair['texts']:,}, 95 % interval {interval(pair['low'], pair['high'])}"
        + f" points of {measures}"
        * (measures not in ("accuracy", "agreement"))
    )
