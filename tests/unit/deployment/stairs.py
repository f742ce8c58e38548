"""Forms of models as a benchmark measures them, and its machine."""

from __future__ import annotations

from typing import Any


def form(
    who: str, runtime: str, accuracy: float, size: float, p50: float, tokens: float = 9.0
) -> dict[str, Any]:
    speed = {"p50": p50, "p95": 2 * p50, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": tokens}
    return {
        "name": f"{who}-{runtime}",
        "who": who,
        "runtime": runtime,
        "accuracy": accuracy,
        "low": accuracy - 0.03,
        "high": accuracy + 0.02,
        "size_mb": size,
        "params": 22_715_141,
        "latency_ms": speed,
    }


FORMS = [
    form("student", "int8", 0.880, 3.0, 0.4, 10.6),
    form("teacher", "pytorch", 0.876, 90.0, 8.0),
    form("student", "onnx", 0.882, 12.0, 0.8),
    form("alone", "pytorch", 0.84, 10.0, 1.0),
    form("student", "pytorch", 0.882, 10.0, 1.0),
]

MACHINE = {"processor": "A processor", "cores": 2, "os": "Linux x86_64"}
