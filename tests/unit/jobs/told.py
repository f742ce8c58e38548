"""What the tests tell a store: runs, their points, looks and reports, and values that nobody here wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import sqlalchemy as sa

from kd_core.config import DistillConfig
from kd_core.distillation.events import Evaluated, Step
from kd_core.jobs.store import schema
from tests import SAMPLES

CONFIG = DistillConfig().model_dump(mode="json")
RUN, OTHER = "20260101-120000-aaaa", "20260101-120001-bbbb"
AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def step(number, *, who="student", seed=0, steps=10, loss=None, speed=1_000.0) -> Step:
    loss = 1 / number if loss is None else loss
    return Step(who, seed, number, steps, loss, loss / 2, loss / 4, 0.0, 1e-4, speed)


def look(number, accuracy, *, who="student", seed=0) -> Evaluated:
    return Evaluated(who, seed, number, accuracy, 0.5)


def write(store, run_id, *events) -> None:
    store.write(run_id, [(AT, event) for event in events])


SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))


def report(**changes) -> dict:
    def model(accuracy, size, p50):
        return SAMPLE["student"] | {
            "accuracy": accuracy,
            "size_mb": size,
            "latency_ms": SAMPLE["student"]["latency_ms"] | {"p50": p50},
        }

    changes = {
        "teacher": model(0.93, 91.2, 11.0),
        "student": model(0.89, 12.0, 1.5),
        "alone": model(0.85, 12.0, 1.5),
        "labelled_only": None,
        "verdict": SAMPLE["verdict"] | {"kind": "helped", "delta": 0.04, "low": 0.01, "high": 0.07},
    } | changes
    return SAMPLE | changes


def spoil(store, run_id: str, **values: object) -> None:
    """Raw values into a row, as another version, a tool or a broken disk may have left them."""
    with store._database.begin(write=True) as connection:
        for name, value in values.items():
            place = ":value"
            if connection.dialect.name == "postgresql":  # which looks at types
                column = schema.RUNS.c[name].type
                kind = "TIMESTAMPTZ" if isinstance(column, schema.Moment) else "VARCHAR"
                kind = "JSON" if isinstance(column, sa.JSON | schema.Stored) else kind
                place = f"CAST(:value AS {kind})"
            update = sa.text(f"UPDATE runs SET {name} = {place} WHERE id = :id")
            connection.execute(update, {"value": value, "id": run_id})
