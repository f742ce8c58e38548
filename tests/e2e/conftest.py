"""A server of its own for each test, and a real browser. ``python -m pytest tests/e2e``, or ``make e2e``.

Wait for what a reader sees, never for time.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

ROOT = Path(__file__).parents[2]
E2E = Path(__file__).parent
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Streamlit's own: sections in its navigation, and two requests below a deep link's path.
OWN_VIOLATIONS = {"list", "listitem"}
OWN_404 = ("/_stcore/health", "/_stcore/host-config")
Theme = str  # "light" or "dark"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E in item.path.parents:
            item.add_marker("e2e")


class Server:
    """A dashboard in a process of its own, with an own ``KD_HOME``. It can be ended and started again."""

    def __init__(self, home: Path, command: list[str] | None = None, cwd: Path = ROOT) -> None:
        self.home, self.cwd = home, cwd
        self.log = home.parent / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = command or [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Start, and wait until it answers. ``arguments`` default to Streamlit's names for the port."""
        flags = arguments or ("--server.port", str(self.port), "--server.headless", "true")
        env = {**os.environ, "KD_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        env.pop("KD_DATABASE_URL", None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *flags], cwd=self.cwd, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"The server does not answer:\n{self.log.read_text()}")
                time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit status; ``signal.SIGKILL`` for a crash."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=90)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fresh server with an empty home. Its log must not hold a traceback at the end."""
    home = tmp_path / "home"
    home.mkdir()
    server = Server(home)
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def browser(playwright: Playwright) -> Iterator[Callable[..., Page]]:
    """``browser(theme="dark", width=390, height=844)`` opens a page in a new browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    opened: list[BrowserContext] = []

    def new_page(*, theme: Theme = "light", width: int = 1440, height: int = 900) -> Page:
        context = playwright.chromium.launch_persistent_context(
            tempfile.mkdtemp(prefix="kd-browser-"),
            executable_path=program,  # None: the one that Playwright installed
            headless=True,
            args=ARGUMENTS,
            color_scheme=theme,
            viewport={"width": width, "height": height},
        )
        opened.append(context)
        page = context.pages[0]
        _listen(page)
        return page

    yield new_page
    for context in opened:
        context.close()


@pytest.fixture
def page(browser: Callable[..., Page]) -> Page:
    return browser()


@pytest.fixture
def visit(server: Server) -> Callable[[Page, str], None]:
    """``visit(page, "/distill?distill.temperature=2")``, and wait until the page is complete."""

    def go(page: Page, path: str = "/") -> None:
        page.goto(server.url + path)
        settle(page)

    return go


def settle(page: Page) -> None:
    """Until the script has run to its end."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.locator("h1").first.wait_for()


@pytest.fixture
def settled() -> Callable[[Page], None]:
    return settle


def _listen(page: Page) -> None:
    errors: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].split("?")[0].endswith(OWN_404):
            errors.append(f"{message.text} ({message.location['url']})")

    requests: list[str] = []
    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.kd_errors, page.kd_requests = errors, requests  # type: ignore[attr-defined]


@pytest.fixture
def console_errors() -> Callable[[Page], list[str]]:
    """Errors that the browser logged, without Streamlit's own 404s on a deep link."""
    return lambda page: page.kd_errors  # type: ignore[attr-defined]


@pytest.fixture
def foreign_requests(server: Server) -> Callable[[Page], list[str]]:
    """Addresses that the page asked for outside its server."""
    own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    return lambda page: [url for url in page.kd_requests if not url.startswith(own)]  # type: ignore[attr-defined]


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """Serious and critical violations, without those of Streamlit's own navigation."""

    def violations(page: Page) -> list[str]:
        found: list[dict[str, Any]] = Axe().run(page).response["violations"]
        return [
            f"{item['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for item in found
            if item["impact"] in ("serious", "critical") and item["id"] not in OWN_VIOLATIONS
            for node in item["nodes"]
        ]

    return violations
