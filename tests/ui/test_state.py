"""What the sessions of a server share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from pages.shared.live_job import under_way
from tests import ROOT


def test_all_sessions_share_one_runner(
    app: Callable[..., AppTest], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Runner] = []
    monkeypatch.setattr(Runner, "start", lambda self: started.append(self))
    app()
    app("review/runs/page.py")
    assert len(started) == 1


def test_the_pages_leave_torch_to_the_runners_thread() -> None:
    shared = ("shared.state", "shared.fields", "sidebar", "start.home.recent_runs")
    check = "".join(f"import pages.{module}\n" for module in shared) + "import sys\n"
    check += "sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False)
    assert result.returncode == 0


def test_a_waiting_run_of_a_newer_version_keeps_nobody_from_starting_another(store: Store) -> None:
    config = DistillConfig()
    stored = config.model_dump(mode="json")
    store.create_run("20260101-000000-aaaa", stored | {"version": 99, "of tomorrow": 1})
    assert under_way(config, "distil") is None
    store.create_run("20260101-000000-bbbb", stored)
    found = under_way(config, "distil")
    assert found is not None
    assert found.id == "20260101-000000-bbbb"
