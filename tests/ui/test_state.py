"""What the sessions of a server share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.jobs.runner import Runner
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
