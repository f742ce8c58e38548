"""The tests, and where what they read lies."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "samples"


def with_floor(report: dict[str, Any]) -> dict[str, Any]:
    """The sample, which is of version 0.1, with TF-IDF among its models: 80.9 %, 0.8 MB, 1.50 ms."""
    over = {"kind": "helped", "delta": 0.07, "low": 0.04, "high": 0.1, "p_value": 0.001, "n": 524, "seeds": 1}
    floor = report["alone"] | {"accuracy": 0.809, "low": 0.773, "high": 0.841, "macro_f1": 0.805}
    floor |= {"params": 138_725, "embedding_params": 0, "size_mb": 0.82}
    floor |= {"shifted": dict.fromkeys(report["alone"]["shifted"], 0.6)}
    floor |= {"latency_ms": report["alone"]["latency_ms"] | {"p50": 1.5, "p95": 1.75, "mean_tokens": 0.0}}
    return report | {"tfidf": floor, "over_floor": over}


def without_gold(report: dict[str, Any]) -> dict[str, Any]:
    """The sample as of a task where no text has a gold label: it measures agreement with the teacher."""
    config = report["config"] | {"task": report["config"]["task"] | {"gold": "none"}}
    return report | {"config": config, "alone": None, "hard_answers": report["alone"]}


def disturbed(report: dict[str, Any]) -> dict[str, Any]:
    """The report of a run whose models were timed on a machine that did other things for 60 % of the time."""
    models = ("teacher", "student", "alone", "labelled_only", "tfidf")
    return report | {
        who: report[who] | {"latency_ms": report[who]["latency_ms"] | {"busy": 0.4}}
        for who in models
        if report.get(who)
    }
