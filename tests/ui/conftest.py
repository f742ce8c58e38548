"""AppTest on a fresh home folder. Nothing here trains: submitted runs stay queued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app_pages.shared.charts import AHEAD
from kd_core.jobs import Runner
from kd_core.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own ``KD_HOME``, an own store, and a runner that does not start."""
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
    """``app("app_pages/review/runs.py", run="...")``: the app at a page, with a URL's parameters."""

    def at(page: str = "app_pages/start/home.py", **parameters: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        test.query_params.update(parameters)
        test.session_state[AHEAD] = True  # what the browser loads ahead is for browsers
        return test.switch_page(page).run()

    return at
