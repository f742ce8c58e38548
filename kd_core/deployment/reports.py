"""What a benchmark and an export found out, as plain numbers. No torch."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from kd_core.deployment.runtimes import Runtime
from kd_core.distillation.roles import Role


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
    """A form against another one, text by text; ``delta`` and its 95 % interval in fractions of accuracy."""

    lost: int  # texts that only the other one gets right
    gained: int  # and only this one
    texts: int
    delta: float
    low: float
    high: float


class FormReport(TypedDict):
    """A model in one form: whose it is, in which program it runs, and what was measured of it."""

    name: str
    who: Role
    runtime: Runtime
    accuracy: float
    low: float  # 95 % interval of the accuracy
    high: float
    macro_f1: NotRequired[float]
    texts: NotRequired[int]
    size_mb: float
    params: int
    memory_mb: NotRequired[float]
    difference: NotRequired[float | None]
    paired: NotRequired[Paired]  # as in ``paired.compare``
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
    run: str
    task: str
    to: str | None  # None: only measured
    texts: int
    forms: list[FormReport]
    machine: dict[str, str | int]
