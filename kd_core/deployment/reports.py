"""What a benchmark and an export found out, as plain numbers. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from kd_core.deployment.runtimes import Runtime
from kd_core.distillation.roles import Role, metric_name


class Timing(TypedDict):
    """Milliseconds."""

    p50: float
    p95: float | None  # None where too few were timed to tell


class LatencyReport(Timing):
    """Times and their conditions; the fields are those of ``metrics.Latency``."""

    batch: int
    threads: int
    texts: int
    mean_tokens: float
    tokenizer: NotRequired[bool]  # it is part of the time; not so where version 0.1 has measured
    busy: NotRequired[float | None]


class Paired(TypedDict):
    """A form against another one, text by text; ``delta`` and its 95 % interval are those of its score."""

    lost: int  # texts that only the other one gets right
    gained: int  # and only this one
    texts: int
    delta: float
    low: float
    high: float


class Judged(TypedDict):
    """A form in what its run is judged by, where that is not accuracy; ``metric`` as in ``training.metric``.

    ``low`` and ``high``, of the 95 % interval, are None where nothing is known of it: all answers are right.
    """

    metric: str
    score: float
    low: float | None
    high: float | None
    paired: Paired | None


class FormReport(TypedDict):
    """A model in one form: whose it is, in which program it runs, and what was measured of it."""

    name: str
    who: Role
    runtime: Runtime
    accuracy: float
    low: float | None  # 95 % interval of the accuracy; None as in ``Judged``, whose it is after ``by_metric``
    high: float | None
    macro_f1: NotRequired[float]
    texts: NotRequired[int]
    size_mb: float
    params: int
    memory_mb: NotRequired[float]
    difference: NotRequired[float | None]
    paired: NotRequired[Paired]  # as in ``paired.compare``
    judged: NotRequired[Judged]
    shifted: NotRequired[dict[str, float]]
    latency_ms: LatencyReport


class BenchCell(TypedDict):
    """One form with one batch size, length of texts and number of threads; times are those of a batch."""

    form: str
    batch: int
    length: str
    threads: int
    tokenizer: NotRequired[bool]  # as in LatencyReport
    tokens: float
    padded_to: float
    passes: int
    p50: float
    p95: float | None
    quantiles: NotRequired[list[float]]  # evenly spaced, the least and the most included; at first not kept
    texts_per_second: float


class BenchReport(TypedDict):
    run: str
    created: str
    seconds: float
    task: str
    machine: dict[str, str | int]
    forms: list[FormReport]
    cells: list[BenchCell]
    tokenizer_ms: dict[Role, Timing]
    notes: list[str]


class ExportReport(TypedDict):
    temperature: NotRequired[float | None]  # that the bundle's models divide their logits by
    cascade: NotRequired[str | None]  # what the bundle's does on the test texts, in sentences
    run: str
    task: str
    to: str | None  # None: only measured
    texts: int
    forms: list[FormReport]
    machine: dict[str, str | int]


def by_metric(forms: Sequence[FormReport], measures: str) -> tuple[list[FormReport], str]:
    """The forms with what their run is judged by in the place of accuracy, and the name of that.

    ``measures`` names accuracy. It stays where the run is judged by that, and where an older version has
    measured, which kept no more.
    """
    judged = [form["judged"] for form in forms if "judged" in form]
    if not judged or len(judged) < len(forms):
        return list(forms), measures
    return [_judged(form) for form in forms], metric_name(judged[0]["metric"])


def _judged(form: FormReport) -> FormReport:
    own = form["judged"]
    found: FormReport = {**form, "accuracy": own["score"], "low": own["low"], "high": own["high"]}
    if own["paired"]:
        found["paired"] = own["paired"]
    return found
