"""A store in a home folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kd_core.jobs.store import Store


@pytest.fixture(autouse=True)
def _home(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)


@pytest.fixture
def store() -> Store:
    return Store()
