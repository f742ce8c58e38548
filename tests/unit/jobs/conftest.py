"""A store, runners that are closed at the end, and other processes on the same database."""

import shutil
import subprocess
import sys
from contextlib import closing

import pytest

from kd_core.jobs import recorder
from kd_core.jobs import runner as runner_module
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from tests.unit.jobs.told import CONFIG, RUN


@pytest.fixture(scope="session")
def empty_database(once):
    """Make a database without runs once, since migrating takes most of the time of a short test."""

    def migrate(folder):
        with closing(Store(f"sqlite:///{folder / 'kd.sqlite'}")) as store:
            store.runs()

    return once("database", migrate) / "kd.sqlite"


@pytest.fixture
def url(request, kd_home, empty_database, monkeypatch) -> str:
    """Return the address of SQLite in an empty ``KD_HOME``, or of ``database_url`` where a test uses that."""
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    if "database_url" in request.fixturenames:
        return request.getfixturevalue("database_url")
    kd_home.mkdir()
    shutil.copy(empty_database, kd_home)
    return f"sqlite:///{kd_home / 'kd.sqlite'}"


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
        opened.append(subprocess.Popen(command, text=True, stdout=subprocess.PIPE))
        return opened[-1]

    yield start
    for process in opened:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def quick(monkeypatch) -> None:
    """Shorten the waits of runner and recorder."""
    monkeypatch.setattr(recorder, "EVERY", 0.01)
    monkeypatch.setattr(runner_module, "LOOK_EVERY", 0.02)
    for name in ("yield_to_pages", "give_memory_back"):  # which make a process slow that runs tests
        monkeypatch.setattr(runner_module, name, lambda: None)


@pytest.fixture
def runner(store, quick):
    """``runner(handler)``: one that works already; closed at the end."""
    runners = []

    def start(handler, **options) -> Runner:
        runners.append(Runner(store, {"distil": handler}, **options))
        runners[-1].start()
        return runners[-1]

    yield start
    for one in runners:
        one.close()
