"""How much pages and training cost each other, and how soon a run shows its first point.

    python -m tests.bench.bench_pages

Starts a server of its own, opens the dashboard in Chromium and runs the demo. Prints, from one run of this
script: seconds to the first point of the teacher's curve, and of the student's where teacher and knowledge
are cached; a page's rerun while idle and while a run trains (p50, p95, ratio); the student's steps per second
with the page open and closed (ratio). Nothing is asserted: the figures depend on the machine, and a headless
browser draws with the same cores.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page

from tests.bench.browser import dashboard
from tests.e2e.dashboard import settle

RERUNS = 120
WATCH = 12  # seconds in which steps are counted


# In the browser, where a quick rerun is over before a look from outside: when it asked the server for a
# rerun, and when the words that only that rerun brings were on the page.
NOTE_REQUESTS = """
    window.kdSent = [];
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        window.kdSent.push(performance.now());
        send.call(this, data);
    };
"""
WATCH_FOR = """(wanted) => {
    const main = document.querySelector('[data-testid=stMain]');
    window.kdSent = []; window.kdSeen = null;
    new MutationObserver((_, observer) => {
        if (window.kdSent.length && main.textContent.includes(wanted)) {
            window.kdSeen = performance.now(); observer.disconnect();
        }
    }).observe(main, {subtree: true, childList: true, characterData: true});
}"""
SEARCHES = (("nothing is called this", "No run matches"), ("bbc", " chosen"))


def rerun_times(page: Page, url: str) -> list[float]:
    """Milliseconds from a request of the Runs page's search to its answer on the page."""
    page.goto(f"{url}/runs")
    settle(page)
    box = page.get_by_role("textbox", name="Search")
    times = []
    for number in range(RERUNS):
        typed, answer = SEARCHES[number % 2]
        page.evaluate(WATCH_FOR, answer)
        box.fill(typed)
        page.wait_for_function("() => window.kdSeen !== null")
        times.append(page.evaluate("() => window.kdSeen - window.kdSent[0]"))
        page.wait_for_timeout(150)  # the rest of this rerun is not part of the next
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
    with dashboard(home, NOTE_REQUESTS) as (server, page):
        page.goto(server.url)
        page.get_by_role("button", name="Run the demo").wait_for()
        time.sleep(10)  # a visitor reads the page; torch is imported meanwhile
        start = time.monotonic()
        page.get_by_role("button", name="Run the demo").click()
        page.get_by_text(re.compile("Teacher: step")).wait_for(timeout=120_000)
        print(f"first point of the teacher's curve: {time.monotonic() - start:.1f} s after the click")
        url = page.url
        page.get_by_text(re.compile("Distilled student: step")).wait_for(timeout=600_000)
        # Both while the same student trains: the others take shorter steps.
        opened = steps_per_second(home / "kd.sqlite")
        page.goto("about:blank")
        closed = steps_per_second(home / "kd.sqlite")
        print(f"steps/s: {opened:.1f} with the page open, {closed:.1f} closed, {opened / closed:.2f}")
        busy = show("rerun of the Runs page while a student trains", rerun_times(page, server.url))
        page.goto(url)
        page.get_by_role("link", name="Open the report").wait_for(timeout=600_000)
        idle = show("rerun of the Runs page while idle", rerun_times(page, server.url))
        print(f"p95 busy / idle: {busy / idle:.2f}")
        page.goto(f"{server.url}/distill?distill.temperature=2")
        start = time.monotonic()
        page.get_by_role("button", name=re.compile("Start distillation")).click()
        page.get_by_text(re.compile("Distilled student: step")).wait_for(timeout=120_000)
        print(f"first point of the student's curve, all else cached: {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
