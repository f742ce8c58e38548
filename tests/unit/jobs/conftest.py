"""A store on SQLite and, where KD_TEST_DATABASE_URL names one, on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from kd_core.jobs.store import Store
from tests.unit.jobs.told import CONFIG, RUN


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


@pytest.fixture
def store(url):
    with closing(Store(url)) as opened:
        yield opened


@pytest.fixture
def run(store) -> str:
    store.create_run(RUN, CONFIG)
    return RUN


@pytest.fixture
def python(url):
    """``python(code)``: another process, with a ``store`` on the same database."""
    opened = []

    def start(code: str, *arguments: str) -> subprocess.Popen:
        code = f"import sys; from kd_core.jobs.store import Store; store = Store(sys.argv[1])\n{code}"
        command = [sys.executable, "-c", code, url, *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        opened.append(subprocess.Popen(command, text=True, **pipes))
        return opened[-1]

    yield start
    for process in opened:
        process.kill()
        process.communicate()
