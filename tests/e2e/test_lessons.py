"""A shared lab link and a lesson in a real browser, and both with the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.dashboard import reach

pytestmark = pytest.mark.looks

SHARED = (
    "/temperature?temperature.temperature=8&hide=source,text"
    "&ask=Which%20class%20leads%3F&options=The%20same%7CAnother&answer=The%20same"
)


def test_a_shared_link_asks_shows_and_tells(
    page: Page, visit: Callable[..., None], console_errors: Callable[[Page], list[str]]
) -> None:
    visit(page, SHARED)
    expect(page.get_by_text("Which class leads?")).to_be_visible()
    expect(page.get_by_role("slider", name="Temperature")).to_have_count(0)
    page.get_by_text("Another", exact=True).click()
    page.get_by_role("button", name="Show the lab").click()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("8")
    expect(page.get_by_role("combobox", name="Text", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Show the answer").click()
    expect(page.get_by_text("The answer is: The same.")).to_be_visible()
    assert console_errors(page) == []


def test_a_link_that_was_made_here_opens_the_same_lab(
    page: Page, browser: Callable[..., Page], visit: Callable[..., None], settled: Callable[[Page], None]
) -> None:
    visit(page, "/temperature?hide=question")
    slider = page.get_by_role("slider", name="Temperature")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("temperature=4.5"))
    page.get_by_text("Share this lab").click()
    page.get_by_label("Question (optional)").fill("Why?")
    page.get_by_label("Question (optional)").press("Enter")
    # What the question brings. A button that still moves as the lab is drawn can lose a click, but no key.
    expect(page.get_by_role("textbox", name="Answers to choose from")).to_be_enabled()
    settled(page)
    page.get_by_role("button", name="Make the link").press("Enter")
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert link.endswith("/temperature?temperature.temperature=4.5&ask=Why%3F")
    other = browser()
    other.goto(link)
    settled(other)
    other.get_by_label("Your answer").fill("Because")
    other.get_by_role("button", name="Show the lab").click()
    expect(other.get_by_role("slider", name="Temperature")).to_have_value("4.5")
    expect(other.get_by_text("Your answer: Because")).to_be_visible()


def test_a_lesson_with_the_keyboard_alone(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/lessons")
    reach(page, "button", "2. Temperature")
    page.keyboard.press("Enter")
    reach(page, "spinbutton", "Your answer")
    page.keyboard.type("30")
    page.keyboard.press("Enter")
    reach(page, "button", "Next")
    page.keyboard.press("Enter")
    reach(page, "slider", "Temperature")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("At T = 1.5 it is").first).to_be_visible()
    reach(page, "button", "Next")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You said 30.0 %; it is 31.7 %.")).to_be_visible()
    page.keyboard.press("b")  # the shortcut that stands on the button
    expect(page.get_by_role("slider", name="Temperature")).to_be_visible()


def test_the_first_click_on_next_is_not_lost(page: Page, visit: Callable[..., None]) -> None:
    """It also ends the typing of a number."""
    visit(page, "/lessons?lesson=temperature")
    page.get_by_role("spinbutton", name="Your answer").click()
    page.keyboard.type("30")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("slider", name="Temperature")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("You said 30.0 %; it is 31.7 %.")).to_be_visible()


def test_a_table_in_a_lesson_is_seen_whole_on_a_phone(
    browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    phone = browser(width=360, height=800)
    visit(phone, "/lessons?lesson=when-not&step=3")
    column = phone.get_by_role("columnheader", name="Teacher")
    expect(column).to_be_visible()
    right = column.evaluate("cell => cell.getBoundingClientRect().right")
    assert right <= column.evaluate(
        "cell => cell.closest('[data-testid=stMarkdown]').getBoundingClientRect().right"
    )


def test_a_race_is_seen_whole_on_a_small_projector(
    browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    page = browser(width=1280, height=720)
    visit(page, "/race")
    axis = page.locator(".st-key-race-recorded").get_by_text("Step", exact=True)
    expect(axis).to_be_in_viewport(ratio=1)
    page.get_by_text("C: 12,000 texts").click()
    page.get_by_role("button", name="Start the race").click()
    expect(page.get_by_text(re.compile("which all lanes have reached"))).to_be_visible()
    expect(axis).to_be_in_viewport(ratio=1)


def test_the_quiz_is_answered_and_forgotten(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/quiz")
    page.get_by_role("button", name="How likely each of the other classes is").click()
    expect(page.get_by_text("1 of 12 answered, 1 right")).to_be_visible()
    expect(page.get_by_role("link", name="See it in the lab: Temperature")).to_be_visible()
    visit(page, "/quiz")
    expect(page.get_by_text("0 of 12 answered, 0 right")).to_be_visible()
