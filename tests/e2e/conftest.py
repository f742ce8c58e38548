"""Fixtures of the browser tests: servers, pages, and the errors and requests that a page has logged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests import ROOT
from tests.e2e.dashboard import KD_COMMAND, STREAMLIT, Server, running, settle

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHORT = (
    *("--task", "assets/samples/support-messages.csv", "--teacher", "scratch", "--teacher-hidden", "64"),
    *("--steps", "40", "--latency-repeats", "10", "--no-labelled-only"),
)
# Streamlit's own: sections in its navigation, and two requests below a deep link's path.
OWN_VIOLATIONS = {"list", "listitem"}
OWN_404 = ("/_stcore/health", "/_stcore/host-config")
PATIENCE = 120_000  # ms, for a busy machine
expect.set_options(timeout=PATIENCE)
# A test run in the background ignores Ctrl + C, and its servers would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
Theme = str  # "light" or "dark"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the page's text and the server's log to the report of a failed test."""
    report = yield
    if report.when == "call" and report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Page):
                with suppress(BrowserError):  # the page may be closed
                    report.sections.append((f"{name} shows", value.locator("body").inner_text()))
                    report.sections.append((f"{name} waits for", _awaited(value)))
            elif isinstance(value, Server):
                if not item.get_closest_marker("looks"):  # other tests still need a shared server
                    value.leave_stacks()
                report.sections.append((f"{name} says", value.log.read_text()[-15_000:]))
    return report


def _awaited(page: Page) -> str:
    """Return the state of the page's script, its unanswered requests and its logged errors."""
    state = page.locator("[data-testid=stApp]").get_attribute("data-test-script-state", timeout=1_000)
    open_, errors = sorted(page.kd_open), page.kd_errors  # type: ignore[attr-defined]
    return "\n".join((f"script: {state}", f"requests without an answer: {open_}", f"errors: {errors}"))


@dataclass(frozen=True)
class Home:
    """A ``KD_HOME`` with one finished run."""

    folder: Path
    run: str

    def kd(self, *arguments: str) -> Any:
        """Run a command and return its JSON."""
        return kd(self.folder, *arguments)


def kd(home: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [*KD_COMMAND, *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ, "KD_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of the shared server: one run of 40 steps."""
    folder = tmp_path_factory.mktemp("shared") / "home"
    return Home(folder, kd(folder, "distill", *SHORT)["run_id"])


@pytest.fixture(scope="session")
def shared_server(finished: Home) -> Iterator[Server]:
    with running(finished.folder) as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A fresh server with an empty home, or the shared server for tests marked "looks", which only read."""
    if request.node.get_closest_marker("looks"):
        yield request.getfixturevalue("shared_server")
    else:
        with running(tmp_path / "home", getattr(request, "param", STREAMLIT)) as server:
            yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """``browser(theme="dark", width=390, height=844)`` opens a page in a profile of its own.

    ``zoom=1.5`` has the effect of Ctrl + in a browser: larger pixels, and fewer of them.
    """

    def new_page(
        *, theme: Theme = "light", width: int = 1440, height: int = 900, zoom: float = 1, **options: Any
    ) -> Page:
        context = chromium.new_context(
            color_scheme=theme,
            viewport={"width": round(width / zoom), "height": round(height / zoom)},
            device_scale_factor=zoom,
            **options,
        )
        opened.callback(context.close)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        _listen(page)
        return page

    with ExitStack() as opened:
        yield new_page


@pytest.fixture
def page(browser: Callable[..., Page]) -> Page:
    return browser()


@pytest.fixture
def visit(server: Server) -> Callable[[Page, str], None]:
    """``visit(page, "/distill?distill.temperature=2")`` opens a path and waits until the page is complete."""

    def go(page: Page, path: str = "/") -> None:
        page.goto(server.url + path)
        settle(page)

    return go


@pytest.fixture
def settled() -> Callable[[Page], None]:
    return settle


def _listen(page: Page) -> None:
    errors: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].split("?")[0].endswith(OWN_404):
            errors.append(f"{message.text} ({message.location['url']})")

    requests: list[str] = []
    open_: set[str] = set()

    def asked(request: Request) -> None:
        requests.append(request.url)
        open_.add(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", asked)
    page.on("requestfinished", lambda request: open_.discard(request.url))
    page.on("requestfailed", lambda request: open_.discard(request.url))
    page.kd_errors, page.kd_requests, page.kd_open = errors, requests, open_  # type: ignore[attr-defined]


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
