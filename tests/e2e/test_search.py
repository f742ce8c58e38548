"""A search in a real browser: watched, reloaded, stopped and resumed."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from kd_core.config import DistillConfig
from pages.shared.run_form.link import form_link

MINUTE = 60_000
PHONE = {"width": 390, "height": 844}
# Long enough to stop in the middle, short enough to wait for.
SHORT = {
    "task.transfer_texts": 100,
    "teacher.epochs": 1,
    "teacher.model": "scratch",
    "teacher.layers": 2,
    "teacher.hidden": 64,
    "teacher.heads": 2,
    "training.steps": 120,
    "controls.shifted": False,
    "controls.labelled_only": False,
    "controls.latency_repeats": 10,
}
CELLS = ".st-key-search-map .annotation-text"


def texts(page: Page) -> list[str]:
    """What the cells of the map say."""
    return page.locator(CELLS).all_text_contents()


def measured(page: Page) -> list[str]:
    """The cells that are done: mean ± error."""
    return [text for text in texts(page) if "±" in text]


def top(element: Locator) -> float:
    """How far below the page's top it begins."""
    element.wait_for()
    return element.evaluate("element => element.getBoundingClientRect().top")  # type: ignore[no-any-return]


def test_without_a_search_a_phone_shows_start_then_the_example_then_the_settings(
    browser: Callable[..., Page], visit: Callable[[Page, str], None]
) -> None:
    """Two columns whose parts are mixed: see app.css, which leans on how Streamlit nests them."""
    page = browser(**PHONE)
    visit(page, "/search")
    start, example = page.get_by_role("button", name="Start search"), page.locator(".st-key-search-map")
    expect(start).to_be_in_viewport()
    settings = page.get_by_role("combobox", name="Task")
    assert top(start) < top(example) < top(settings)
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(settings).to_be_in_viewport()
    assert top(start) < top(settings)


def test_a_phone_shows_distills_choices_before_what_will_happen(
    browser: Callable[..., Page], visit: Callable[[Page, str], None]
) -> None:
    page = browser(**PHONE)
    visit(page, "/distill")
    task = page.get_by_role("combobox", name="Task")
    expect(task).to_be_in_viewport()
    expect(page.get_by_role("button", name="Start distillation")).to_be_in_viewport()
    expect(page.get_by_text("4 Validate")).to_be_visible(timeout=2 * MINUTE)  # it is all there
    assert top(task) < top(page.get_by_role("heading", name="What will happen"))
    page.set_viewport_size({"width": 1440, "height": 900})
    visit(page, "/distill")
    expect(page.get_by_text("4 Validate")).to_be_visible(timeout=2 * MINUTE)
    expect(page.get_by_role("button", name="Start distillation")).to_be_in_viewport()


def test_a_search_survives_a_reload_a_stop_and_goes_on(
    page: Page,
    visit: Callable[[Page, str], None],
    settled: Callable[[Page], None],
    console_errors: Callable[[Page], list[str]],
    axe: Callable[[Page], list[str]],
) -> None:
    lists = [("search.temperatures", "4"), ("search.alphas", "0.3"), ("search.alphas", "0.7")]
    form = [*form_link(DistillConfig().change(SHORT)).items(), *lists, ("search.folds", "2")]
    visit(page, f"/search?{urlencode(form)}")
    expect(page.get_by_text("8 trainings:")).to_be_visible()
    page.get_by_role("button", name="Start search").click()
    expect(page).to_have_url(re.compile(r"[?&]study="))
    # Until its map is there, the recorded example's is, which has cells of its own.
    expect(page.get_by_role("img", name=re.compile("of 2 settings done"))).to_be_visible()
    expect(page.locator(CELLS).filter(has_text="±").first).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    again = page.get_by_role("button", name="Start it again")
    expect(again).to_be_visible()
    settled(page)
    expect(page.locator(CELLS).filter(has_text="±").first).to_be_visible()
    before = measured(page)

    page.reload()
    settled(page)
    expect(page.locator(CELLS).filter(has_text=before[0])).to_have_count(before.count(before[0]))
    assert measured(page) == before
    assert axe(page) == []
    page.set_viewport_size(PHONE)
    assert top(page.locator(".st-key-search-map")) < top(page.get_by_role("button", name="Start search"))
    page.set_viewport_size({"width": 1440, "height": 900})

    again.click()
    expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=8 * MINUTE)
    after = measured(page)
    assert len(after) == 3  # two settings, and the student alone
    numbers = [text.partition("±")[0] for text in before]
    assert all(any(text.startswith(number) for text in after) for number in numbers)
    assert console_errors(page) == []
