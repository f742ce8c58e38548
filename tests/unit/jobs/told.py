"""What the tests of jobs share: events, reports, folders of runs, a slow handler, and waiting."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.events import Evaluated, StageStarted, Step
from kd_core.jobs.cleaning import inventory
from kd_core.system import paths
from tests import SAMPLES

CONFIG = DistillConfig().model_dump(mode="json")
RUN, OTHER, THIRD = "20260101-120000-aaaa", "20260101-120001-bbbb", "20260101-120002-cccc"
AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))
_CONFIG = DistillConfig.from_dict(SAMPLE["config"]).change({"training.metric": "accuracy"})
SAMPLE["config"] = _CONFIG.model_dump(mode="json")
both = pytest.mark.usefixtures("database_url")  # the test runs on SQLite and on PostgreSQL


def step(number, *, who="student", seed=0, steps=10, loss=None, speed=1_000.0) -> Step:
    loss = 1 / number if loss is None else loss
    return Step(who, seed, number, steps, loss, loss / 2, loss / 4, 0.0, 1e-4, speed)


def look(number, accuracy, *, who="student", seed=0) -> Evaluated:
    return Evaluated(who, seed, number, accuracy, 0.5)


def write(store, run_id, *events) -> None:
    store.write(run_id, [(AT, event) for event in events])


def report(**changes) -> dict:
    """Return the recorded report with round numbers."""

    def model(accuracy, size, p50):
        latency = SAMPLE["student"]["latency_ms"] | {"p50": p50}
        return SAMPLE["student"] | {"accuracy": accuracy, "size_mb": size, "latency_ms": latency}

    verdict = SAMPLE["verdict"] | {"kind": "helped", "delta": 0.04, "low": 0.01, "high": 0.07}
    models = {
        "teacher": model(0.93, 91.2, 11.0),
        "student": model(0.89, 12, 1.5),
        "alone": model(0.85, 12, 1.5),
    }
    return SAMPLE | models | {"labelled_only": None, "verdict": verdict} | changes


def spoil(store, run_id: str, **values: str) -> None:
    """Write raw values into a run's row, past all types of the code."""
    with store._database.begin(write=True) as connection:
        for name, value in values.items():
            connection.exec_driver_sql(f"UPDATE runs SET {name} = '{value}' WHERE id = '{run_id}'")


def folder(*parts: str, size: int = 1000, days: float = 0, **texts: str) -> Path:
    """Make a folder in the home with a model of ``size`` bytes and text files, last changed ``days`` ago."""
    place = paths.home().joinpath(*parts)
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.safetensors").write_bytes(bytes(size))
    for name, text in texts.items():
        (place / f"{name}.txt").write_text(text)
    then = time.time() - days * 24 * 3600
    for path in (*place.iterdir(), place):
        os.utime(path, (then, then))
    return place


def found(store) -> dict[str, tuple[bool, str]]:
    """Return for each path under the home whether it may go, and why."""
    items = inventory(store)
    return {str(item.path.relative_to(paths.home())): (item.removable, item.why) for item in items}


class Steps:
    """A handler that takes a step whenever the test says so; ``finish`` lets it run to its end."""

    def __init__(self) -> None:
        self.go, self.seen = threading.Semaphore(0), []

    def __call__(self, row, on_event, control) -> None:
        self.seen.append(row.id)
        on_event(StageStarted("teach"))
        for number in (1, 2, 3):
            while not self.go.acquire(timeout=0.02):
                control.check()
            control.check()
            on_event(step(number, who="teacher", steps=3))

    def finish(self) -> None:
        self.go.release(1000)


def until(true) -> None:
    deadline = time.monotonic() + 180  # a worker takes idle time only
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended() -> str:
    """Return the owner's name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    started = psutil.Process(process.pid).create_time()
    process.wait()
    return f"{socket.gethostname()}:{process.pid}:{started:.1f}"
