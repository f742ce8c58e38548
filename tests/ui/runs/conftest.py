"""Three runs: two that are done, and one that has failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kd_core.config import LESSON
from kd_core.jobs.store import Store
from tests import SAMPLES
from tests.ui.runs.listed import EVIL, FIRST, SECOND, THIRD


@pytest.fixture
def report() -> dict[str, Any]:
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))


@pytest.fixture
def runs(store: Store, report: dict[str, Any]) -> Store:
    """Oldest first: "Demo", done; "Warm", done at T = 8, no difference; a failed one with an evil name."""
    demo = LESSON.change({"objective.temperature": 4.0})
    store.create_run(FIRST, demo.model_dump(mode="json"), name="Demo")
    store.save_report(FIRST, report)
    store.set_status(FIRST, "done")
    warm = LESSON.change({"objective.temperature": 8.0, "training.seeds": [0, 1]})
    store.create_run(SECOND, warm.model_dump(mode="json"), name="Warm")
    verdict = report["verdict"] | {"kind": "no_difference", "delta": -0.004, "low": -0.03, "high": 0.02}
    store.save_report(SECOND, report | {"verdict": verdict})
    store.set_status(SECOND, "done")
    own = LESSON.change({"task.name": "/data/mine.csv"})
    store.create_run(THIRD, own.model_dump(mode="json"), name=EVIL)
    store.set_status(THIRD, "failed", "The loss became NaN.")
    return store
