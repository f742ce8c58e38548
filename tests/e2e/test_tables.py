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
