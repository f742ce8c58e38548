"""The frame around the pages, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

PAGES = (
    "/",
    "/data",
    "/distill",
    "/search",
    "/runs",
    "/report",
    "/tradeoffs",
    "/capacity",
    "/learn",
    "/temperature",
    "/loss",
    "/divergence",
    "/transfer",
    "/size",
    "/replay",
    "/choosing",
    # What a lab shows after its question.
    "/temperature?hide=question",
    "/loss?hide=question",
    "/divergence?hide=question",
    "/transfer?hide=question",
    "/size?hide=question",
    "/replay?hide=question",
    "/choosing?hide=question",
    "/claims",
    "/claims?hide=question",
    "/quiz",
    "/lessons",
    "/lessons?lesson=alpha",
    "/lessons?lesson=alpha&step=2",
    "/lessons?lesson=when-not&step=3",
    "/lessons?lesson=choosing&step=4",
    "/race",
    "/glossary",
    "/playground",
    "/export",
)
SIDEBAR = [
    "Home",
    "Data",
    "Distill",
    "Search",
    "Runs",
    "Report",
    "Trade-offs",
    "Capacity",
    "Labs",
    "Lessons",
    "Quiz",
    "Race",
    "Glossary",
    "Playground",
    "Export",
]


def links(page: Page) -> list[str]:
    return page.get_by_test_id("stSidebarNavLink").all_inner_texts()


def names(page: Page) -> list[str]:
    return [text.splitlines()[-1] for text in links(page)]


def test_a_deep_link_on_a_fresh_server_is_the_same_app(
    page: Page, visit: Callable[..., None], console_errors: Callable[[Page], list[str]]
) -> None:
    visit(page, "/distill")
    expect(page.get_by_role("heading", name="Distill", level=1)).to_be_visible()
    assert names(page) == SIDEBAR
    visit(page, "/")
    expect(page.get_by_role("heading", name="KD Studio")).to_be_visible()
    assert names(page) == SIDEBAR
    assert console_errors(page) == []


@pytest.mark.looks
def test_a_link_with_an_impossible_setting_says_so(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/distill?distill.temperature=999")
    expect(
        page.get_by_text("The link has distill.temperature=999, which is not possible here")
    ).to_be_visible()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("2")


@pytest.mark.looks
@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_every_page_can_be_read_by_everyone(
    theme: str,
    width: int,
    browser: Callable[..., Page],
    visit: Callable[..., None],
    axe: Callable[[Page], list[str]],
    console_errors: Callable[[Page], list[str]],
    foreign_requests: Callable[[Page], list[str]],
) -> None:
    page = browser(theme=theme, width=width)
    for path in PAGES:
        visit(page, path)
        assert axe(page) == [], path
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow == 0, path
    assert console_errors(page) == []
    assert foreign_requests(page) == []


@pytest.mark.looks
@pytest.mark.parametrize("width", [1440, 390])
def test_the_sizes_of_a_task_stand_in_equal_boxes(
    width: int, browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    page = browser(width=width, height=900)
    visit(page, "/data")
    boxes = page.locator("[class*=st-key-sizes-]").get_by_test_id("stMetric")
    expect(boxes).to_have_count(5)
    # Once the page's style is there, which may be after its boxes.
    equal = page.wait_for_function(
        """() => {
            const boxes = document.querySelectorAll('[class*=st-key-sizes-] [data-testid=stMetric]');
            const wide = new Set([...boxes].map(box => Math.round(box.getBoundingClientRect().width)));
            return wide.size === 1 && [...wide][0];
        }"""
    )
    assert equal.json_value() >= 140, "a box holds its words"


def test_a_run_is_seen_from_every_page(
    page: Page, browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    visit(page, "/")
    page.get_by_role("button", name="Run the demo").click()
    expect(page).to_have_url(re.compile(r"/distill\?run=\d{8}-\d{6}-[0-9a-f]{4}$"))
    other = browser()
    visit(other, "/runs")
    strip = other.get_by_test_id("stSidebar").get_by_role("link", name="Demo")
    expect(strip).to_be_visible()
    strip.click()
    expect(other).to_have_url(page.url)
