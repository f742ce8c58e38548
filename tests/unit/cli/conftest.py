"""The command in this process, a scripted engine in the place of the real one, and runs that it has left."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import kd_core
from kd_core import cli
from kd_core.config import DistillConfig, of_today
from kd_core.distillation.events import OnEvent, StageFinished, StageStarted
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from tests import SAMPLES

RUN = "20260131-143000-a1b2"
SAMPLE = of_today(json.loads((SAMPLES / "report.json").read_text("utf-8")))


def model(accuracy: float, **changes: Any) -> dict[str, Any]:
    scores = {"accuracy": accuracy, "low": accuracy - 0.013, "high": accuracy + 0.013}
    times = {"latency_ms": SAMPLE["student"]["latency_ms"] | {"p50": 1.234, "p95": 1.9}}
    size = {"params": 2_985_733, "size_mb": 11.96, "macro_f1": accuracy - 0.01}
    return SAMPLE["student"] | scores | times | size | {"shifted": {"typos": accuracy - 0.1}} | changes


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


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch, kd_home: Path) -> None:
    """No database, colour or talkative library from outside, and an empty ``KD_HOME``."""
    for name in cli.QUIET:
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Those of ``out`` that are not blank, with single spaces."""
        return [" ".join(line.split()) for line in self.out.splitlines() if line.strip()]


KD = Callable[..., Outcome]


@pytest.fixture
def kd(own_environment, capsys: pytest.CaptureFixture[str]) -> KD:
    """``kd("show last")``, or ``kd("show", "last")``."""

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = cli.main(shlex.split(arguments[0]) if len(arguments) == 1 else arguments)
        return Outcome(status, *capsys.readouterr())

    return call


Engine = Callable[[DistillConfig, OnEvent, Control], dict[str, Any]]


def finishes(config: DistillConfig, on_event: OnEvent, control: Control) -> dict[str, Any]:
    on_event(StageStarted("teach"))
    on_event(StageFinished("teach", 21.3))
    sys.stdout.write("a library's remark\n")
    return REPORT


@pytest.fixture
def use_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[DistillConfig]]:
    """``use_engine(engine)`` replaces ``kd_core.distill``, and returns the configs that it gets."""

    def use(engine: Engine = finishes) -> list[DistillConfig]:
        seen: list[DistillConfig] = []

        def distill(config: DistillConfig, on_event: OnEvent, control: Control, *, run_id: str) -> Any:
            seen.append(config)
            report = engine(config, on_event, control)
            return SimpleNamespace(to_dict=lambda: report)

        monkeypatch.setitem(vars(kd_core), "distill", distill)  # setattr would load the real one first
        return seen

    return use


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``pipe(b"...")``: what the standard input has."""

    def put(content: bytes, *, terminal: bool = False) -> None:
        stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
        monkeypatch.setattr(stdin, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stdin", stdin)

    return put


def make_run(run_id: str = RUN, status: str = "done", **config: Any) -> Store:
    store = Store()
    content = DistillConfig().change(config).model_dump(mode="json")
    store.create_run(run_id, content, name=f"about {run_id[-4:]}")
    if status == "done":
        store.save_report(run_id, REPORT | {"run_id": run_id})
    store.set_status(run_id, status)  # type: ignore[arg-type]
    return store
