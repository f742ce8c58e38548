"""What a chart does only in a browser: it stays, fits its place, and says when it cannot be drawn."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from kd_core.figures.style import INK
from tests.e2e.dashboard import Server, settle

Visit = Callable[..., None]
DRAWN = ".kd-chart .main-svg"
PLOTLY = re.compile(r"/plotly\.min\.js")


def fetched(page: Page) -> int:
    return sum(bool(PLOTLY.search(url)) for url in page.kd_requests)  # type: ignore[attr-defined]


@pytest.mark.looks
def test_a_slider_changes_the_chart_and_keeps_its_legend(page: Page, visit: Visit) -> None:
    """Drawn anew it would blink, and forget that somebody left a line out."""
    visit(page, "/loss?hide=question")
    chart = page.locator(".st-key-loss-sizes .kd-chart")
    chart.evaluate("chart => { chart.dataset.mine = 'yes' }")
    hidden = chart.locator(".legend .traces").first
    hidden.locator(".legendtoggle").click()
    expect(hidden).to_have_css("opacity", "0.5")  # Plotly's way to say: left out
    line = chart.locator(".shapelayer path")
    before = line.get_attribute("d")
    page.get_by_role("slider", name="Temperature").press("ArrowRight")
    expect(line).not_to_have_attribute("d", before or "")
    expect(chart).to_have_attribute("data-mine", "yes")
    expect(hidden).to_have_css("opacity", "0.5")
    assert fetched(page) == 1


@pytest.mark.looks
def test_charts_are_as_wide_as_their_place(page: Page, visit: Visit) -> None:
    visit(page, "/temperature?hide=question")
    chart = page.locator(".st-key-temperature-entropy .kd-chart")
    expect(chart.locator(".main-svg").first).to_be_visible()
    narrow = chart.evaluate("chart => chart.offsetWidth")
    page.get_by_test_id("stSidebarHeader").hover()
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.wait_for_function(
        """([place, narrow]) => {
            const chart = document.querySelector(place);
            const drawn = chart.querySelector('.main-svg').clientWidth;
            return drawn > narrow + 100 && drawn === chart.offsetWidth;
        }""",
        arg=[".st-key-temperature-entropy .kd-chart", narrow],
    )


@pytest.mark.looks
def test_what_draws_charts_cannot_be_had(page: Page, visit: Visit) -> None:
    page.route(PLOTLY, lambda route: route.fulfill(status=503))
    visit(page, "/temperature?hide=question")
    chart = page.locator(".st-key-temperature-entropy .kd-chart")
    expect(chart).to_have_text("What draws charts could not be loaded: the server says 503. Reload the page.")
    page.unroute(PLOTLY)
    page.reload()
    expect(chart.locator(".main-svg").first).to_be_visible()


def test_below_a_path_of_a_proxy(page: Page, server: Server) -> None:
    server.stop()
    server.url += "/tools/kd"
    server.start("--server.baseUrlPath", "tools/kd")
    page.goto(f"{server.url}/temperature?hide=question")
    settle(page)
    expect(page.locator(DRAWN).first).to_be_visible()


@pytest.mark.looks
def test_a_page_without_charts_fetches_what_draws_them_on_the_next(page: Page, visit: Visit) -> None:
    with page.expect_response(PLOTLY):
        visit(page, "/glossary")
    expect(page.locator(".st-key-charts_ahead")).to_be_hidden()
    page.get_by_role("link", name="Labs").click()
    page.get_by_role("link", name="Temperature").first.click()
    expect(page.locator(DRAWN).first).to_be_visible()
    assert fetched(page) == 1


@pytest.mark.looks
def test_a_chart_follows_the_theme(page: Page, visit: Visit) -> None:
    """Its axes were black on black until the page was loaded again."""
    page.emulate_media(color_scheme="light")
    visit(page, "/temperature?hide=question")
    drawn = "() => document.querySelector('.kd-chart')?.layout?.font?.color"
    page.wait_for_function(drawn)
    light = page.evaluate(drawn)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(before) => ({drawn})() !== before", arg=light)
    assert page.evaluate(drawn) == INK[1]
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"(light) => ({drawn})() === light", arg=light)
    assert light == INK[0]
