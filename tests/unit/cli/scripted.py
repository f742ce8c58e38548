"""A scripted engine in the place of the real one, runs that it might have left, and a scripted input."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import kd_core
from kd_core.config import DistillConfig, of_today
from kd_core.distillation.events import OnEvent, StageFinished, StageStarted
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from tests import SAMPLES

RUN = "20260131-143000-a1b2"

SAMPLE = of_today(json.loads((SAMPLES / "report.json").read_text("utf-8")))


def model(accuracy: float, **changes: Any) -> dict[str, Any]:
    return (
        SAMPLE["student"]
        | {
            "accuracy": accuracy,
            "low": accuracy - 0.013,
            "high": accuracy + 0.013,
            "macro_f1": accuracy - 0.01,
            "params": 2_985_733,
            "size_mb": 11.96,
            "latency_ms": SAMPLE["student"]["latency_ms"] | {"p50": 1.234, "p95": 1.9},
            "shifted": {"typos": accuracy - 0.1},
        }
        | changes
    )


REPORT: dict[str, Any] = SAMPLE | {
    "run_id": "r1",
    "folder": "/data/runs/r1",
    "teacher": model(0.9, params=22_715_000, size_mb=90.9),
    "alone": model(0.845),
    "labelled_only": None,
    "student": model(0.895),
    "verdict": SAMPLE["verdict"] | {"n": 531, "delta": 0.05, "low": 0.02, "high": 0.08},
    "sentence": "Distillation helped: +5.0 points.",
    "notes": ["Label [bold]x[/bold] :smile: was merged."],
}


@dataclass(frozen=True)
class FakeReport:
    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.values


Engine = Callable[[DistillConfig, OnEvent, Control], FakeReport]


def use_engine(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> list[DistillConfig]:
    """Put ``engine`` in the place of ``kd_core.distill``; returns the configs that it gets."""
    seen: list[DistillConfig] = []

    def distill(config: DistillConfig, on_event: OnEvent, control: Control, *, run_id: str) -> FakeReport:
        seen.append(config)
        return engine(config, on_event, control)

    monkeypatch.setitem(vars(kd_core), "distill", distill)  # setattr would load the real one first
    return seen


def finishes(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
    on_event(StageStarted("teach"))
    on_event(StageFinished("teach", 21.3))
    sys.stdout.write("a library's remark\n")
    return FakeReport(REPORT)


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes, *, terminal: bool = False) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    monkeypatch.setattr(stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stdin)


def make_run(store: Store, run_id: str, status: str = "done", **config: Any) -> None:
    store.create_run(
        run_id, DistillConfig().change(config).model_dump(mode="json"), name=f"about {run_id[-4:]}"
    )
    if status == "done":
        store.save_report(run_id, REPORT | {"run_id": run_id})
    store.set_status(run_id, status)  # type: ignore[arg-type]
