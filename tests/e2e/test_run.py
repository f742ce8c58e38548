"""Runs in a real browser, from the first click to the report, through reloads, tabs, stops and crashes."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from kd_core.config import DistillConfig
from pages.shared.run_form.link import form_link
from tests import ROOT
from tests.e2e import dashboard
from tests.e2e.dashboard import RUN, wait_for_verdict

SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"
Visit = Callable[..., None]

# Long enough to watch, short enough to wait for.
SHORT = {
    "task.train_texts": 400,
    "task.transfer_texts": 500,
    "teacher.model": "scratch",  # of two layers
    "teacher.epochs": 1,
    "training.steps": 120,
    "controls.shifted": False,
    "controls.labelled_only": False,
    "controls.latency_repeats": 10,
}


def form(**changes: object) -> str:
    """The address of the form with these settings."""
    config = DistillConfig().change({**SHORT, **changes})
    return f"/distill?{urlencode(form_link(config))}"


def start(page: Page, visit: Visit, **changes: object) -> str:
    """Press Start; the run's id."""
    visit(page, form(**changes))
    page.get_by_role("button", name="Start distillation").click()
    expect(page).to_have_url(RUN)
    match = RUN.search(page.url)
    assert match
    return match[1]


POINTS = """() => {
    const chart = document.querySelector('.st-key-live-loss .js-plotly-plot');
    return Math.max(0, ...((chart && chart._fullData) || []).map(line => line._length || 0));
}"""


# Chromium's own measure of what moves by itself: the share of the window, times how far; and what it was.
WATCH_JUMPS = """() => {
    window.kdJumps = [];
    const named = source => (source.node && (source.node.textContent || source.node.className) || '?')
        .slice(0, 60) + ` ${source.previousRect.top} -> ${source.currentRect.top}`;
    new PerformanceObserver(list => window.kdJumps.push(
        ...list.getEntries().map(jump => [jump.value, jump.sources.map(named)])
    )).observe({type: 'layout-shift'});
}"""


def points(page: Page) -> int:
    """How many points the loss curve has."""
    return page.evaluate(POINTS)


def wait_for_points(page: Page, count: int) -> None:
    page.wait_for_function(f"count => ({POINTS})() >= count", arg=count)


def test_the_demo_from_the_first_click_to_the_report(
    page: Page, visit: Visit, console_errors: Callable[[Page], list[str]]
) -> None:
    visit(page, "/")
    page.get_by_role("button", name="Run the demo").click()
    expect(page).to_have_url(RUN)
    wait_for_points(page, 2)
    page.evaluate(WATCH_JUMPS)
    wait_for_verdict(page)
    jumps = page.evaluate("() => window.kdJumps")
    assert sum(size for size, _ in jumps) < 0.05, jumps  # up to 0.1 counts as good on the web
    expect(page.get_by_text(re.compile(r"^This student (is|and)"))).to_be_visible()
    page.get_by_role("link", name="Open the report").click()
    expect(page).to_have_url(re.compile(r"/report\?run="))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(re.compile(r"the same one trained alone"))).to_be_visible()
    assert console_errors(page) == []


def test_a_reload_a_second_tab_and_other_pages_lose_nothing(
    page: Page, browser: Callable[..., Page], visit: Visit, settled: Callable[[Page], None]
) -> None:
    run = start(page, visit, **{"training.steps": 100_000})
    expect(page.get_by_text(re.compile("Distilled student: step"))).to_be_visible()
    wait_for_points(page, 3)
    page.reload()
    settled(page)
    expect(page).to_have_url(re.compile(run))
    wait_for_points(page, 3)

    other = browser()
    visit(other, f"/distill?run={run}")
    wait_for_points(other, 3)
    other.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()

    visit(page, "/runs")
    expect(page.get_by_test_id("stSidebar").get_by_text("Paused")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    page.locator(".st-key-live-stop_menu button").click()  # by its key: Streamlit has a "Stop" of its own
    page.get_by_role("button", name="Stop this run").click()
    for tab in (page, other):
        expect(tab.get_by_text("Stopped. Its last checkpoint is kept.")).to_be_visible()


def test_a_double_click_starts_one_run_and_another_start_is_queued(
    page: Page, browser: Callable[..., Page], visit: Visit
) -> None:
    visit(page, form(**{"training.steps": 100_000}))
    page.get_by_role("button", name="Start distillation").dblclick()
    expect(page).to_have_url(RUN)
    wait_for_points(page, 1)
    visit(page, "/runs")
    expect(page.get_by_text("1 run", exact=False).first).to_be_visible()

    other = browser()
    start(other, visit, **{"objective.temperature": 2.0})
    expect(other.get_by_text("Position 1 in the queue")).to_be_visible()
    other.get_by_role("button", name="Cancel this run").click()
    expect(other.get_by_text("Position 1 in the queue")).to_be_hidden()


def test_a_killed_server_leaves_a_run_that_can_be_resumed(page: Page, visit: Visit, server) -> None:
    run = start(page, visit, **{"training.steps": 400})
    dashboard.wait_for_points(server.home, run, 40)
    server.stop(signal.SIGKILL)
    server.start()
    visit(page, f"/distill?run={run}")
    expect(page.get_by_text("The program that ran it went away.")).to_be_visible()
    wait_for_points(page, 1)  # the page's words do not wait for its charts
    before = points(page)
    page.get_by_role("button", name="Resume from the last checkpoint").click()
    wait_for_verdict(page)
    wait_for_points(page, before)


def test_own_texts_from_upload_to_verdict(
    page: Page, visit: Visit, console_errors: Callable[[Page], list[str]]
) -> None:
    visit(page, "/data?data.view=Upload+your+own")
    dashboard.choose_file(page, "data.file", SAMPLE)
    page.get_by_role("button", name="Save this task").click()
    page.get_by_role("button", name="Use this task").click()
    expect(page).to_have_url(re.compile("/distill"))
    query = page.url.partition("?")[2]
    short = urlencode(form_link(DistillConfig().change(SHORT)))
    visit(page, f"/distill?{query}&{short}")
    page.get_by_role("button", name="Start distillation").click()
    wait_for_verdict(page)
    expect(page.get_by_text("support-messages").first).to_be_visible()
    assert console_errors(page) == []


def test_no_text_of_a_file_is_taken_for_markdown(
    page: Page, visit: Visit, tmp_path: Path, foreign_requests: Callable[[Page], list[str]]
) -> None:
    bait = "![x](http://127.0.0.1:9/x) <img src=http://127.0.0.1:9/y>"
    file = tmp_path / "bait.csv"
    rows = [f'"{bait} number {i} of {label}","{bait} {label}"' for i in range(8) for label in ("a", "b")]
    file.write_text("text,label\n" + "\n".join(rows))
    visit(page, "/data?data.view=Upload+your+own")
    dashboard.choose_file(page, "data.file", file)
    page.get_by_role("button", name="Save this task").click()
    page.get_by_role("button", name="Use this task").click()
    expect(page).to_have_url(re.compile("/distill"))
    short = urlencode(form_link(DistillConfig().change(SHORT)))
    visit(page, f"/distill?{page.url.partition('?')[2]}&{short}")
    expect(page.get_by_text("10 training, ")).to_be_visible()
    page.get_by_role("button", name="Start distillation").click()
    wait_for_verdict(page)
    page.get_by_role("link", name="Open the report").click()
    for tab in ("Quality", "Fidelity", "Curves", "Reproduce"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
    visit(page, "/runs")
    assert foreign_requests(page) == []
