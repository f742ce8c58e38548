"""How much pages and training cost each other, and how soon a run shows its first point.

    python -m tests.bench.bench_pages

Starts a server of its own, opens the dashboard in Chromium and runs the demo. Prints, from one run of this
script: seconds to the first point of the teacher's curve; a page's rerun while idle and while a run trains
(p50, p95, ratio); the student's steps per second with the page open and closed (ratio). Nothing is asserted:
the figures depend on the machine, and a headless browser draws with the same cores.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import ARGUMENTS
from tests.e2e.dashboard import Server, settle

RERUNS = 30
WATCH = 15  # seconds in which steps are counted


# Notes when the script starts and ends, in the browser: a quick rerun is over before a look from outside.
OBSERVE = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    window.kdStates = [];
    new MutationObserver(() => window.kdStates.push([app.dataset.testScriptState, performance.now()]))
        .observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""
DONE = """() => {
    const states = window.kdStates.map(([state, _]) => state);
    return states.includes('running') && states.at(-1) === 'notRunning';
}"""


def rerun_times(page: Page, url: str) -> list[float]:
    """Milliseconds from Enter in the Runs page's search to the end of the script."""
    page.goto(f"{url}/runs")
    settle(page)
    page.evaluate(OBSERVE)
    times = []
    for number in range(RERUNS):
        box = page.get_by_role("textbox", name="Search")
        box.fill(f"text {number % 2}")
        start = page.evaluate("() => { window.kdStates = []; return performance.now(); }")
        box.press("Enter")
        page.wait_for_function(DONE)
        times.append(page.evaluate("() => window.kdStates.at(-1)[1]") - start)
    return times


def steps_per_second(database: Path) -> float:
    with sqlite3.connect(database) as connection:
        count = "select coalesce(sum(step), 0) from (select max(step) as step from points group by training)"
        first, start = connection.execute(count).fetchone()[0], time.monotonic()
        time.sleep(WATCH)
        return (connection.execute(count).fetchone()[0] - first) / (time.monotonic() - start)


def show(name: str, times: list[float]) -> float:
    p95 = quantiles(times, n=20)[-1]
    print(f"{name}: p50 {median(times):.0f} ms, p95 {p95:.0f} ms")
    return p95


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="kd-bench-")) / "home"
    home.mkdir()
    server = Server(home)
    server.start()
    try:
        with sync_playwright() as playwright:
            program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
            context = playwright.chromium.launch_persistent_context(
                tempfile.mkdtemp(prefix="kd-browser-"), executable_path=program, args=ARGUMENTS
            )
            page = context.pages[0]
            page.goto(server.url)
            page.get_by_role("button", name="Run the demo").wait_for()
            time.sleep(10)  # a visitor reads the page; torch is imported meanwhile
            start = time.monotonic()
            page.get_by_role("button", name="Run the demo").click()
            page.get_by_text(re.compile("Teacher: step")).wait_for(timeout=120_000)
            print(f"first point of the teacher's curve: {time.monotonic() - start:.1f} s after the click")
            url = page.url
            page.get_by_text(re.compile("Distilled student: step")).wait_for(timeout=600_000)
            busy = show("rerun of the Runs page while a student trains", rerun_times(page, server.url))
            page.goto(url)
            page.get_by_text(re.compile("step")).first.wait_for()
            opened = steps_per_second(home / "kd.sqlite")
            page.goto("about:blank")
            closed = steps_per_second(home / "kd.sqlite")
            print(f"steps/s: {opened:.1f} with the page open, {closed:.1f} closed, {opened / closed:.2f}")
            page.goto(url)
            page.get_by_role("link", name="Open the report").wait_for(timeout=600_000)
            idle = show("rerun of the Runs page while idle", rerun_times(page, server.url))
            print(f"p95 busy / idle: {busy / idle:.2f}")
            context.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
