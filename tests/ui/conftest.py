"""AppTest on a fresh home folder. Nothing here trains: submitted runs stay queued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from kd_core.config import TaskConfig
from kd_core.data.bundled import TASKS
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from pages.shared.charts import AHEAD
from pages.shared.run_form import plan
from tests import ROOT


@pytest.fixture(scope="session", autouse=True)
def _packages_read_once() -> Iterator[None]:
    """Keep what Streamlit finds in all installed packages: looking is most of the time of an AppTest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def _bundled_texts_read_once() -> Iterator[None]:
    """Keep the bundled texts and their word pieces, as the app itself does."""
    known: dict[str, Any] = {}

    def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            if not any(isinstance(one, TaskConfig) and one.name in TASKS for one in given):
                return function(*given)
            key = f"{function.__name__} {given!r}"
            if key not in known:
                known[key] = function(*given)
            return known[key]

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("read_task", "_vocabulary"):
            patch.setattr(plan, name, remembered(getattr(plan, name).__wrapped__))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test a ``KD_HOME`` and a store of its own, and a runner that does not start."""
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setattr(Runner, "start", lambda self: None)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield tmp_path
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@pytest.fixture
def app(home: Path) -> Callable[..., AppTest]:
    """Return ``app("review/runs/page.py", run="...")``: the app at a page, with a URL's parameters."""

    def at(page: str = "start/home/page.py", **parameters: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "pages" / "main.py"), default_timeout=60)
        test.session_state[AHEAD] = True  # what the browser loads ahead is for browsers
        test.run()  # which tells it the addresses: until then it takes a script's name for one
        test.query_params.update(parameters)
        return test.switch_page(page).run()

    return at
