"""What the index of runs keeps of a report: what comparing many runs needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kd_core.distillation.roles import Role

if TYPE_CHECKING:  # scipy comes with it
    from kd_core.distillation.report import Report

_BILSTM_STATE = 150  # of each direction, Tang et al. 2019

_OF_MODEL = ("accuracy", "low", "high", "size_mb", "params")
_OF_TIMING = ("p50", "threads", "batch")


def flops_per_text(
    layers: int, hidden: int, intermediate: int, *, tokens: float, classes: int, bilstm: bool = False
) -> float:
    """Of one forward pass, two for each multiply-add, from the sizes alone.

    Encoder: 2 T L (4 h^2 + 2 h i) + 4 T^2 L h + 2 (h^2 + h c). The second term is attention's scores and
    mixing, the last one the pooler and the head. BiLSTM, state s: 2 T * 8 s (h + s) + 2 (2 s i + i c).
    As in ``models.size``, which reads them off the model: lookups, biases and norms are left out.
    Source: Kaplan et al. 2020 (arXiv 2001.08361), equation 2.2, with full instead of causal attention.
    """
    per_token: float
    if bilstm:
        state = _BILSTM_STATE
        per_token = 2 * 8 * state * (hidden + state)
        once = 2 * (2 * state * intermediate + intermediate * classes)
    else:
        per_token = 2 * layers * (4 * hidden**2 + 2 * hidden * intermediate) + 4 * tokens * layers * hidden
        once = 2 * (hidden**2 + hidden * classes)
    return float(tokens * per_token + once)


def condense(report: Report) -> list[dict[str, Any]]:
    """What candidates need of the models of a run."""
    return [
        {"who": who, "runtime": "pytorch"}
        | {name: getattr(model, name) for name in _OF_MODEL}
        | {name: getattr(model.latency_ms, name) for name in _OF_TIMING}
        | {"texts": report.rows["test"], "shifted": model.shifted}
        | {"flops": _flops(report, who, model.latency_ms.mean_tokens)}
        for who, model in report.models.items()
    ]


def condense_forms(forms: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What candidates need of what a benchmark or an export has measured."""
    return [
        {name: form[name] for name in ("who", "runtime", *_OF_MODEL, "shifted") if name in form}
        | {name: form["latency_ms"][name] for name in _OF_TIMING}
        for form in forms
    ]


def _flops(report: Report, who: Role, tokens: float) -> float:
    sizes = report.config["teacher" if who == "teacher" else "student"]
    return flops_per_text(
        sizes["layers"],
        sizes["hidden"],
        sizes["intermediate"],
        tokens=tokens,
        classes=len(report.labels),
        bilstm=sizes["model"] == "bilstm",
    )
