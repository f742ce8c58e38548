"""The Distill page on a machine that was measured."""

from __future__ import annotations

import os
from pathlib import Path

# Before any Hugging Face library is imported: no test may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from kd_core.job_kinds import prepare
from pages.shared.run_form import plan


@pytest.fixture(autouse=True)
def _speed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known, and which has imported torch."""
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    prepare()
