"""``kd bench``, and ``kd curve``, which names what it measures the same way."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.errors import DataError
from kd_core.jobs.store import Store
from tests import SAMPLES

pytestmark = pytest.mark.usefixtures("own_environment")


def test_a_benchmark_is_shown_as_tables(kd_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, bench = Store(), "20260131-160000-e5f6"
    store.create_run(bench, {"run": "20260131-143000-a1b2"}, kind="bench")
    store.save_report(bench, json.loads((SAMPLES / "bench.json").read_text("utf-8")))
    store.set_status(bench, "done")
    assert main(["show", bench]) == 0
    out = capsys.readouterr().out
    assert "Latency p50 and p95 in ms" in out
    assert "{" not in out


@pytest.mark.parametrize(("command", "said"), [("bench", "Benchmark of"), ("curve", "More texts for")])
def test_a_measurement_has_the_name_of_its_run(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    """As where it is started on a page: an id says nothing to who sees it wait."""
    run_id, names = "20260131-143000-a1b2", []

    def start(store: Store, config: Any, *, kind: str, name: str) -> Any:
        names.append(name)
        raise DataError("That is enough.")

    monkeypatch.setattr(sys.modules[f"kd_core.cli.{command}"], "start", start)
    store = Store()
    store.create_run(run_id, DistillConfig().model_dump(mode="json"), name="Demo")
    store.set_status(run_id, "done")
    main([command, run_id])
    assert names == [f"{said} Demo"]
