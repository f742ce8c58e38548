"""Journeys through a dashboard that trains: upload to report, label issues, interruptions, and a search.

All journeys use one server. Their runs are as short as they can be watched.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from kd_core.config import DistillConfig
from pages.shared.run_form.link import form_link
from tests.e2e import dashboard
from tests.e2e.dashboard import MINUTE, RUN, Server, choose_file, running, settle, wait_for_verdict

Visit = Callable[..., None]
Found = Callable[[Page], list[str]]
QUICK = {"controls.shifted": False, "controls.labelled_only": False, "controls.latency_repeats": 10}
SHORT = {
    "task.train_texts": 400,
    "task.transfer_texts": 500,
    "teacher.model": "scratch",
    "teacher.epochs": 1,
    "training.steps": 120,
    **QUICK,
}
POINTS = """() => {
    const chart = document.querySelector('.st-key-live-loss .js-plotly-plot');
    return Math.max(0, ...((chart && chart._fullData) || []).map(line => line._length || 0));
}"""
# Chromium's measure of layout shift: the moved share of the window times the distance, and what moved.
WATCH_SHIFTS = """() => {
    window.kdShifts = [];
    const named = source => (source.node?.textContent || source.node?.className || '?').slice(0, 60);
    new PerformanceObserver(list => window.kdShifts.push(
        ...list.getEntries().map(shift => [shift.value, shift.sources.map(named)])
    )).observe({type: 'layout-shift'});
}"""
CELLS = ".st-key-search-map .annotation-text"
ROW = 35  # pixels, in the label editor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("journeys") / "home") as server:
        yield server


def form(**changes: object) -> str:
    """Return the address of the form with short settings and these changes."""
    return f"/distill?{urlencode(form_link(DistillConfig().change({**SHORT, **changes})))}"


def run_in(page: Page) -> str:
    """Wait for the page of a run and return its id."""
    expect(page).to_have_url(re.compile(rf"/distill.*{RUN.pattern}"))
    match = RUN.search(page.url)
    assert match
    return match[1]


def start(page: Page, visit: Visit, **changes: object) -> str:
    visit(page, form(**changes))
    page.get_by_role("button", name="Start distillation").click()
    return run_in(page)


def use_task(page: Page, visit: Visit, **changes: object) -> None:
    """Save the task on the Data page and open the form with these changes."""
    page.get_by_role("button", name=re.compile("^Save th")).click()
    page.get_by_role("button", name="Use this task").click()
    expect(page).to_have_url(re.compile("/distill"))
    short = urlencode(form_link(DistillConfig().change({**QUICK, "training.steps": 40, **changes})))
    visit(page, f"/distill?{page.url.partition('?')[2]}&{short}")


def wait_for_curve(page: Page, count: int) -> None:
    page.wait_for_function(f"count => ({POINTS})() >= count", arg=count)


def test_upload_to_report(
    page: Page, visit: Visit, tmp_path: Path, console_errors: Found, foreign_requests: Found
) -> None:
    """Every text and label of the file is Markdown and HTML that would request an image."""
    bait = "![x](http://127.0.0.1:9/x) <img src=http://127.0.0.1:9/y>"
    file = tmp_path / "bait.csv"
    rows = [f'"{bait} number {i} of {label}","{bait} {label}"' for i in range(12) for label in ("a", "b")]
    file.write_text("text,label\n" + "\n".join(rows))
    visit(page, "/data?data.view=Upload+your+own")
    choose_file(page, "data.file", file)
    use_task(page, visit, **{"teacher.model": "scratch"})
    page.get_by_role("button", name="Start distillation").click()
    run_in(page)
    wait_for_curve(page, 2)
    page.evaluate(WATCH_SHIFTS)
    wait_for_verdict(page)
    shifts = page.evaluate("() => window.kdShifts")
    assert sum(size for size, _ in shifts) < 0.05, shifts  # up to 0.1 counts as good on the web
    page.get_by_role("link", name="Open the report").click()
    expect(page).to_have_url(re.compile(r"/report\?run="))
    for tab in ("Quality", "Fidelity", "Curves", "Reproduce"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
    visit(page, "/runs")
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    assert foreign_requests(page) == []
    assert console_errors(page) == []


def test_a_teachers_file_to_a_run_with_a_corrected_label(page: Page, visit: Visit, axe: Found) -> None:
    visit(page, "/data?data.view=Answers+of+a+teacher")
    page.get_by_role("button", name="Some gold labels").click()
    use_task(page, visit)
    page.get_by_role("button", name="Start distillation").click()
    first = run_in(page)
    wait_for_verdict(page)
    visit(page, f"/data?data.view=Doubtful+labels&run={first}")
    corrected = page.get_by_role("button", name="Start a run with the mended labels")
    expect(corrected).to_be_disabled()
    assert axe(page) == []
    # The editor is a canvas without an element for a cell.
    editor = page.get_by_test_id("stDataFrame").locator(".dvn-scroller")
    editor.dblclick(position={"x": 50, "y": 1.5 * ROW})
    page.get_by_role("option", name="wrong label", exact=True).click()
    corrected.click()
    assert run_in(page) != first
    wait_for_verdict(page)
    expect(page.get_by_text(re.compile("1 text mended")).first).to_be_visible()


def test_two_tabs_a_queue_a_pause_a_stop_and_a_killed_server(
    page: Page, browser: Callable[..., Page], visit: Visit, server: Server
) -> None:
    visit(page, form(**{"training.steps": 100_000}))
    page.get_by_role("button", name="Start distillation").dblclick()  # starts one run
    run = run_in(page)
    wait_for_curve(page, 3)
    page.reload()
    settle(page)
    wait_for_curve(page, 3)

    other = browser()
    start(other, visit, **{"objective.temperature": 2.0})
    expect(other.get_by_text("Position 1 in the queue")).to_be_visible()
    other.get_by_role("button", name="Cancel this run").click()
    expect(other.get_by_text("Position 1 in the queue")).to_be_hidden()

    visit(other, f"/distill?run={run}")
    other.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    visit(page, "/runs")
    expect(page.get_by_test_id("stSidebar").get_by_text("Paused")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.locator(".st-key-live-stop_menu button").click()  # Streamlit has another button named Stop
    page.get_by_role("button", name="Stop this run").click()
    for tab in (page, other):
        expect(tab.get_by_text("Stopped. Its last checkpoint is kept.")).to_be_visible()

    killed = start(page, visit, **{"training.steps": 400, "objective.temperature": 3.0})
    dashboard.wait_for_points(server.home, killed, 40)
    server.stop(signal.SIGKILL)
    server.start()
    visit(page, f"/distill?run={killed}")
    expect(page.get_by_text("The program that ran it went away.")).to_be_visible()
    wait_for_curve(page, 1)
    before = page.evaluate(POINTS)
    page.get_by_role("button", name="Resume from the last checkpoint").click()
    wait_for_verdict(page)
    wait_for_curve(page, before)


def test_a_search_is_stopped_continued_and_opens_its_report(
    page: Page, visit: Visit, console_errors: Found, axe: Found
) -> None:
    small = {"teacher.layers": 2, "teacher.hidden": 64, "teacher.heads": 2, "task.transfer_texts": 100}
    lists = [("search.temperatures", "4"), ("search.alphas", "0.3"), ("search.alphas", "0.7")]
    settings = form_link(DistillConfig().change({**SHORT, **small})).items()
    visit(page, f"/search?{urlencode([*settings, *lists, ('search.folds', '2')])}")
    expect(page.get_by_text("8 trainings:")).to_be_visible()
    page.get_by_role("button", name="Start search").click()
    expect(page).to_have_url(re.compile(r"[?&]study="))
    # The recorded example is shown until the search has a map of its own.
    expect(page.get_by_role("img", name=re.compile("of 2 settings done"))).to_be_visible()
    done = page.locator(CELLS).filter(has_text="±")
    expect(done.first).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    again = page.get_by_role("button", name="Start it again")
    expect(again).to_be_visible()
    settle(page)
    before = done.all_text_contents()
    page.reload()
    settle(page)
    expect(done).to_have_count(len(before))
    assert done.all_text_contents() == before
    assert axe(page) == []
    again.click()
    expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=8 * MINUTE)
    after = done.all_text_contents()
    assert len(after) == 3  # two settings, and the student without a teacher
    assert all(any(text.startswith(cell.partition("±")[0]) for text in after) for cell in before)
    assert console_errors(page) == []
