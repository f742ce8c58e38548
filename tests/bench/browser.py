"""The dashboard on a server of its own, in Chromium: what the benches of pages begin with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import ARGUMENTS, PATIENCE
from tests.e2e.dashboard import Server


@contextmanager
def dashboard(home: Path, script: str = "") -> Iterator[tuple[Server, Page]]:
    """``script`` runs in the browser before those of each page."""
    server = Server(home)
    server.start()
    try:
        with browse(script) as page:
            yield server, page
    finally:
        server.stop()


@contextmanager
def browse(script: str = "") -> Iterator[Page]:
    """A browser of its own; ``script`` runs in it before those of each page."""
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        context = playwright.chromium.launch_persistent_context(
            tempfile.mkdtemp(prefix="kd-browser-"),
            executable_path=program,
            args=ARGUMENTS,
            viewport={"width": 1440, "height": 900},
        )
        context.set_default_timeout(PATIENCE)
        context.add_init_script(script)
        yield context.pages[0]
        context.close()
