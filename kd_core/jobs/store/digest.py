"""What the index of runs keeps of a report: what comparing many runs needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kd_core.distillation.roles import FLOOR, Role
from kd_core.models.presets import architecture
from kd_core.models.size import flops_per_text

if TYPE_CHECKING:  # scipy comes with it
    from kd_core.distillation.report import ModelReport, Report

_OF_MODEL = ("accuracy", "low", "high", "size_mb", "params")
_JUDGED = ("score", "low", "high")
_OF_TIMING = ("p50", "threads", "batch", "tokenizer")


def condense(report: Report) -> list[dict[str, Any]]:
    """What candidates need of the models of a run."""
    return [
        {"who": who, "runtime": "sklearn" if who == FLOOR else "pytorch"}
        | {name: getattr(model, name) for name in _OF_MODEL}
        | {name: getattr(model.latency_ms, name) for name in (*_OF_TIMING, "busy")}
        | {"texts": report.rows["test"], "shifted": model.shifted, "judged": _judged(report, model)}
        | {"flops": None if who == FLOOR else _flops(report, who, model.latency_ms.mean_tokens)}
        for who, model in report.models.items()
        if model.latency_ms  # a teacher that is a file is no candidate
    ]


def condense_forms(forms: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What candidates need of what a benchmark or an export has measured."""
    return [
        {name: form[name] for name in ("who", "runtime", *_OF_MODEL, "shifted") if name in form}
        | {name: form["latency_ms"][name] for name in _OF_TIMING if name in form["latency_ms"]}
        | {"busy": form["latency_ms"].get("busy")}
        | {"judged": {name: form["judged"][name] for name in _JUDGED} if "judged" in form else None}
        for form in forms
    ]


def _judged(report: Report, model: ModelReport) -> dict[str, float | None] | None:
    """What the run is judged by; None where that is accuracy."""
    if report.metric == "accuracy":
        return None
    low, high = model.interval(report.metric) or (None, None)
    return {"score": model.by(report.metric), "low": low, "high": high}


def _flops(report: Report, who: Role, tokens: float) -> float:
    sizes = report.config["teacher" if who == "teacher" else "student"]
    return flops_per_text(
        sizes["layers"],
        sizes["hidden"],
        sizes["intermediate"],
        tokens=tokens,
        classes=len(report.labels),
        student=architecture(sizes["model"]),
    )
