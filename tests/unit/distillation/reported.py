"""A report on three test texts of two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from kd_core.config import DistillConfig
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.metrics import Fidelity, Latency, scores
from kd_core.distillation.report import ModelReport, Report

LABELS = ["sport", "politics"]


def model_report(**changes: Any) -> ModelReport:
    found = scores(np.array([[2.0, 0.0], [0.5, 1.0], [3.0, 1.0]]), np.array([0, 1, 1]), LABELS)
    values = {
        "accuracy": 2 / 3,
        "low": 0.1,
        "high": 0.9,
        "spread": 0.0,
        "macro_f1": found.macro_f1,
        "ece": found.ece,
        "params": 1000,
        "embedding_params": 600,
        "size_mb": 0.004,
        "latency_ms": Latency(p50=1.0, p95=2.0, batch=1, threads=2, texts=100, mean_tokens=7.5),
        "shifted": {"typos": 0.5},
        "seeds": {0: found, 3: found},
    }
    return ModelReport(**values | changes)


def report(**changes: Any) -> Report:
    values = {
        "run_id": "20260131-143000-a1b2",
        "created": "2026-01-31T14:30:00+00:00",
        "folder": "runs/20260131-143000-a1b2",
        "config": DistillConfig().model_dump(mode="json"),
        "labels": LABELS,
        "rows": {"train": 60, "validation": 20, "test": 3, "transfer": 40},
        "teacher": model_report(accuracy=0.9),
        "student": model_report(),
        "alone": model_report(accuracy=0.5),
        "labelled_only": None,
        "teacher_key": "0" * 32,
        "verdict": Verdict("helped", delta=1 / 6, low=0.01, high=0.3, p_value=0.04, n=3, seeds=2),
        "sentence": "Distillation helped: +16.7 points.",
        "fidelity": Fidelity(0.5, 0.1, both_right=1, mended=1, inherited=1, new_error=0),
        "seconds": {"teach": 1.5, "record": 0.5, "distil": 3.0, "validate": 1.0},
        "cached": {"teach": False, "record": True},
        "machine": {"cpu": "Größe ½", "threads": 2},
        "notes": ["3 duplicates were dropped."],
    }
    return Report(**values | changes)
