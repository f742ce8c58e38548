"""A server of its own for each test, and a real browser. ``python -m pytest tests/e2e``, or ``make e2e``.

Wait for what a reader sees, never for time.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Playwright, Request, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests.e2e.dashboard import STREAMLIT, Server, running, settle

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
PATIENCE = 180_000  # ms; a busy machine is slow; that is no fault of what is tested
expect.set_options(timeout=PATIENCE)
# Checks that were started in the background inherit that Ctrl + C is ignored, and so would their servers.
signal.signal(signal.SIGINT, signal.default_int_handler)
Theme = str  # "light" or "dark"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E in item.path.parents:
            item.add_marker("e2e")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failed test, what a reader saw and what the server said and did: CI keeps nothing else."""
    report = yield
    if report.when == "call" and report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Page):
                with suppress(BrowserError):  # where it was closed
                    report.sections.append((f"{name} shows", value.locator("body").inner_text()))
                    report.sections.append((f"{name} waits for", _awaited(value)))
            elif isinstance(value, Server):
                if not item.get_closest_marker("looks"):  # else others need it still
                    value.leave_stacks()
                report.sections.append((f"{name} says", value.log.read_text()[-15_000:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that passed at their second try: what was the matter with the first."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"tried again: {report.nodeid}")
        for name, text in (("error", str(report.longrepr)), *report.sections):
            terminalreporter.line(f"-- {name}\n{text}")


def _awaited(page: Page) -> str:
    """Whether the script runs, what the server has not answered, and what the browser has logged."""
    state = page.locator("[data-testid=stApp]").get_attribute("data-test-script-state", timeout=1_000)
    open_, errors = sorted(page.kd_open), page.kd_errors  # type: ignore[attr-defined]
    return "\n".join((f"script: {state}", f"requests without an answer: {open_}", f"errors: {errors}"))


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A fresh server with an empty home, started by another command where a test asks for it.

    Tests that are marked "looks", because they write and start nothing, share one.
    """
    if request.node.get_closest_marker("looks"):
        yield request.getfixturevalue("shared_server")
    else:
        with running(tmp_path / "home", getattr(request, "param", STREAMLIT)) as server:
            yield server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("shared") / "home") as server:
        yield server


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def browser(playwright: Playwright) -> Iterator[Callable[..., Page]]:
    """``browser(theme="dark", width=390, height=844)`` opens a page in a new browser.

    ``zoom=1.5`` is what Ctrl + does there: larger pixels, and fewer of them.
    """
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

    def new_page(
        *, theme: Theme = "light", width: int = 1440, height: int = 900, zoom: float = 1, **options: Any
    ) -> Page:
        context = playwright.chromium.launch_persistent_context(
            opened.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)),
            executable_path=program,  # None: the one that Playwright installed
            headless=True,
            args=ARGUMENTS,
            color_scheme=theme,
            viewport={"width": round(width / zoom), "height": round(height / zoom)},
            device_scale_factor=zoom,
            **options,
        )
        opened.callback(context.close)
        context.set_default_timeout(PATIENCE)
        page = context.pages[0]
        _listen(page)
        return page

    with ExitStack() as opened:
        yield new_page


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
