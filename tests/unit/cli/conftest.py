"""What the command's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from kd_core import cli


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch, kd_home: Path) -> None:
    """No database, colour or talkative library from outside, and an empty ``KD_HOME``."""
    for name in cli.QUIET:
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
