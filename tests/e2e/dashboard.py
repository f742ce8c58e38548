"""The dashboard's server as a process, and steps that several browser tests share."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect

from kd_core.jobs.store import Store
from tests import ROOT

STREAMLIT = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
KD_COMMAND = [sys.executable, "-m", "kd_core.cli"]
KD = [*KD_COMMAND, "app"]
RUN = re.compile(r"[?&]run=(\d{8}-\d{6}-[0-9a-f]{4})")  # in an address
MINUTE = 60_000
# Texts that their element or chart cuts off, and "the page" if it scrolls sideways.
CUT = """() => {
    const main = document.querySelector('[data-testid=stMain]'), found = [];
    const words = 'p, button, label, summary, h1, h2, h3, li, td, [role=tab]';
    for (const each of main.querySelectorAll(words)) {
        const {overflowX, overflowY, display} = getComputedStyle(each);
        if (!each.offsetParent || display === 'inline') continue;
        if (overflowX !== 'visible' && each.scrollWidth > each.clientWidth + 1
            || ['hidden', 'clip'].includes(overflowY) && each.scrollHeight > each.clientHeight + 2)
            found.push(each.textContent);
    }
    for (const chart of main.querySelectorAll('.js-plotly-plot')) {
        const box = chart.getBoundingClientRect();
        for (const each of chart.querySelectorAll('text')) {
            const {left, right, top, bottom, width} = each.getBoundingClientRect();
            if (width && (left < box.left - 1 || right > box.right + 1
                || top < box.top - 1 || bottom > box.bottom + 1))
                found.push(`in a chart: ${each.textContent}`);
        }
    }
    const page = document.documentElement;
    return page.scrollWidth > page.clientWidth ? [...found, 'the page'] : found;
}"""


class Server:
    """A dashboard in a process of its own, with an own ``KD_HOME``. It can be ended and started again."""

    def __init__(self, home: Path, command: list[str] = STREAMLIT, cwd: Path = ROOT) -> None:
        self.home, self.cwd = home, cwd
        self.log = home.parent / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        port = "--port" if "app" in command else "--server.port"
        self.command = [*command, port, str(self.port)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Start, and wait until it answers."""
        env = {
            **os.environ,
            "KD_HOME": str(self.home),
            "STREAMLIT_SERVER_HEADLESS": "true",
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",  # a signal that ends it leaves the stack of each thread in the log
        }
        env.pop("KD_DATABASE_URL", None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *arguments], cwd=self.cwd, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 180
        while True:
            self._find_address()
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5):
                    return
            except OSError as error:
                if isinstance(error, HTTPError):
                    error.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"The server does not answer:\n{self.log.read_text()}")
                time.sleep(0.1)

    def _find_address(self) -> None:
        """It is known before the start."""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit status; ``signal.SIGKILL`` for a crash."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.leave_stacks()
            pytest.fail(f"The server does not end:\n{self.log.read_text()}")

    def leave_stacks(self) -> None:
        """End it so that its log says where each of its threads was."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(timeout=30)


@contextmanager
def running(home: Path, command: list[str] = STREAMLIT) -> Iterator[Server]:
    """A server with that home. Its log must not hold a traceback at the end."""
    home.mkdir(exist_ok=True)
    server = Server(home, command)
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log.read_text()


class Classroom(Server):
    """``kd app --classroom``, for this machine alone; ``presenter`` is the address that only they have."""

    def __init__(self, home: Path, *options: str) -> None:
        super().__init__(home, [*KD, "--classroom", "--host", "127.0.0.1", *options])
        self.presenter = ""

    def _find_address(self) -> None:
        """Random, and said in the terminal."""
        said = re.search(r"For you: +(\S+)", self.log.read_text())
        if said:
            self.presenter = said[1]
            self.url = self.presenter.partition("/present/")[0]


def wait_for_points(home: Path, run: str, count: int = 1) -> None:
    """Until the distilled student learns. A page says it too late to end a small training midway."""
    deadline = time.monotonic() + 300
    with closing(Store(f"sqlite:///{home / 'kd.sqlite'}")) as store:
        while len(store.curve(run, who="student")) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def settle(page: Page) -> None:
    """Until the script has run to its end; that it has begun is told by the title."""
    page.locator("h1").first.wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def wait_for_verdict(page: Page) -> None:
    expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=8 * MINUTE)


def reach(page: Page, role: str, name: str) -> None:
    """Tab until the focus is there."""
    target = page.get_by_role(role, name=name).first
    expect(target).to_be_visible()
    for _ in range(80):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{role} {name!r} cannot be reached by key")


def choose_file(page: Page, key: str, file: Path) -> None:
    """Into the uploader with this key. The page has others, behind its tabs too, and any may come first."""
    page.locator(f".st-key-{key.replace('.', '-')} input[type=file]").set_input_files(file)


def check_first_deep_link(server: Server, page: Page) -> None:
    """A fresh server's very first request may be for any page."""
    page.goto(f"{server.url}/distill?distill.temperature=7.5")
    settle(page)
    expect(page.get_by_role("heading", name="Distill", level=1)).to_be_visible()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("7.5")
    expect(page.get_by_role("dialog")).to_have_count(0)


def check_wrong_address(server: Server, page: Page) -> None:
    """An address that no page has says so, and shows the first page."""
    page.goto(f"{server.url}/nowhere")
    expect(page.get_by_role("dialog")).to_contain_text("Page not found")
    expect(page.get_by_role("heading", name="KD Studio")).to_be_visible()
