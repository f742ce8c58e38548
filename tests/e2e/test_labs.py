"""The labs in a real browser: by key alone, and a row of a table that opens its text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from kd_core.config import slider
from tests.e2e.dashboard import reach

pytestmark = pytest.mark.looks

# Of each lab that has one, what moves its first picture.
SLIDERS = {
    "temperature": "Temperature",
    "loss": "Alpha",
    "divergence": "Distance",
    "size": "Accuracy that you would give up",
    "replay": "Step of the training",
    "choosing": "Students tried",
}


def test_a_lab_by_key_alone(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/temperature?hide=source&ask=What%20comes%20second%3F")
    expect(page.get_by_text("What comes second?")).to_be_visible()
    page.get_by_label("Your answer").focus()
    page.keyboard.type("tech")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your answer: tech")).to_be_visible()
    expect(page.get_by_role("combobox", name="Text", exact=True)).to_be_visible()
    expect(page.get_by_role("combobox", name="Texts", exact=True)).to_have_count(0)  # of what is seen
    slider = page.get_by_role("slider", name="Temperature")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("At T = 4.5 it is 34.8 % and 31.4 %")).to_be_visible()
    expect(page).to_have_url(re.compile(r"temperature\.temperature=4\.5"))
    expect(page).to_have_url(re.compile(r"hide=source"))
    reach(page, "link", "Next:")
    expect(page.get_by_role("link", name="Next:")).to_have_css("outline-style", "solid")


def test_the_loss_lab_from_the_guess_to_the_gradient_by_key_alone(
    page: Page, visit: Callable[..., None]
) -> None:
    """Nothing is focused by the script: each control is reached with Tab."""
    visit(page, "/loss")
    expect(page.get_by_role("slider", name="Temperature")).to_have_count(0)
    reach(page, "button", "More weakly")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Right: More weakly.")).to_be_visible()
    reach(page, "combobox", "Soft loss")
    page.keyboard.type("DKD")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("loss.divergence=DKD"))
    expect(page.get_by_text("DKD takes forward KL apart")).to_be_visible()
    reach(page, "slider", "Temperature")
    page.keyboard.press("End")
    expect(page).to_have_url(re.compile(f"loss.temperature={slider('objective.temperature')[1]:g}"))
    reach(page, "switch", "Times T²")
    page.keyboard.press("Space")
    expect(page.get_by_text("Without T² the soft gradient has length")).to_be_visible()


def test_a_number_is_followed_by_pointing_tapping_and_key(
    page: Page, browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    visit(page, "/loss?hide=question")
    flow, how = page.locator(".kd-flow"), page.locator(".kd-flow-how")
    flow.get_by_role("button", name="Soft loss: 5.076").hover()
    expect(how).to_contain_text("T² × D = 4² × 0.317 = 5.076")
    expect(flow.get_by_role("button", name="Total loss:")).to_have_class(re.compile("kd-flow-way"))
    expect(flow.get_by_role("button", name="Hard loss: 7.318")).not_to_have_class(re.compile("kd-flow-way"))
    page.mouse.move(5, 5)
    expect(how).to_contain_text("Point at a number")
    reach(page, "button", "Teacher's logit of politics")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(how).to_contain_text("Teacher's probability of politics, softened: 0.325")

    phone = browser(width=390, height=844)
    visit(phone, "/loss?hide=question")
    phone.locator(".kd-flow").get_by_role("button", name="Total loss: 5.749").click()
    expect(phone.locator(".kd-flow-how")).to_contain_text("2.195 + 3.554 = 5.749")


def test_no_number_covers_another_on_a_tablet(
    browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    tablet = browser(width=820, height=1180)
    visit(tablet, "/loss?hide=question")
    expect(tablet.get_by_role("button", name="Total loss: 5.749")).to_be_visible()
    assert tablet.locator(".kd-flow").evaluate("flow => flow.scrollWidth - flow.clientWidth") == 0


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_sliders_stay_in_view(
    width: int, height: int, browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    page = browser(width=width, height=height)
    for lab, label in SLIDERS.items():
        visit(page, f"/{lab}?hide=question")
        page.get_by_role("heading", name="What you see").scroll_into_view_if_needed()
        # The slider itself is an input that is not drawn.
        slider = page.get_by_role("slider", name=label).first
        expect(page.get_by_test_id("stSlider").filter(has=slider)).to_be_in_viewport()


def test_a_row_of_the_table_becomes_the_text(page: Page, visit: Callable[..., None]) -> None:
    visit(page, "/temperature?hide=question")
    page.get_by_role("tab", name="Most undecided").scroll_into_view_if_needed()
    table = page.get_by_test_id("stDataFrame").nth(1)
    # The table is a canvas, which has a copy for screen readers once it is at rest; while the browser still
    # reads what draws charts (half a second), it takes a click for two.
    expect(table.locator("canvas td").first).to_be_attached()
    expect(page.locator(".st-key-temperature-similarity .main-svg").first).to_be_visible()
    table.click(position={"x": 16, "y": 52})  # the check box of the first row
    expect(page.get_by_role("combobox", name="Text", exact=True)).to_have_value(re.compile("Falconer rebuts"))
