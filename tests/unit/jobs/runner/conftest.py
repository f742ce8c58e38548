"""A store, and runners that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kd_core.jobs import runner as module
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store


@pytest.fixture(autouse=True)
def quick(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(module, "yield_to_pages", lambda: None)  # tests are to stay as quick as they are


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@pytest.fixture
def runner(store: Store) -> Iterator[Callable[[Any], Runner]]:
    """``runner(handler)``: one that works already; closed at the end."""
    runners = []

    def start(handler: Any, **options: Any) -> Runner:
        runners.append(Runner(store, {"distil": handler}, **options))
        runners[-1].start()
        return runners[-1]

    yield start
    for one in runners:
        one.close()
