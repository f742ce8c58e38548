"""What only a browser shows of tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.looks


def test_a_table_has_no_download_that_a_spreadsheet_would_run(page: Page, visit: Callable[..., None]) -> None:
    """Streamlit's own writes "=1+1" as it is."""
    visit(page, "/data")
    table = page.get_by_test_id("stDataFrame").first
    table.hover()
    expect(page.get_by_role("button", name="Search").first).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)


def test_a_tables_buttons_cover_nothing_on_a_phone(
    browser: Callable[..., Page], visit: Callable[..., None]
) -> None:
    """Where there is no pointer to hover with, Streamlit shows them from the start."""
    page = browser(width=390, height=844, has_touch=True, is_mobile=True)
    visit(page, "/data")
    buttons = page.get_by_test_id("stElementToolbar").first
    expect(buttons).to_be_visible()
    page.wait_for_function(
        """buttons => {
            const place = buttons.closest("[data-testid=stElementContainer]");
            const above = place.previousElementSibling.getBoundingClientRect().bottom;
            return buttons.firstElementChild.getBoundingClientRect().top >= above;
        }""",
        arg=buttons.element_handle(),
    )
