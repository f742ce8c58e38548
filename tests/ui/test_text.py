"""``escape``: what a reader sees is the text, and nothing in it is markup."""

from __future__ import annotations

import html

import pytest

from app_pages.shared.text import escape


@pytest.mark.parametrize(
    "text",
    [
        "![](http://127.0.0.1:9/x)",
        "[a](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "**bold** _it_ `code` ~~no~~",
        "$x$ costs $5",
        ":material/delete: :smile: :red[x]",
        "# heading",
        "- item",
        "1. item",
        "&lt; & &amp;",
        "a -> b -- c <= d",
        "http://example.org www.example.org a@example.org",
    ],
)
def test_the_text_survives_and_its_markup_does_not(text: str) -> None:
    escaped = escape(text)
    assert html.unescape(escaped).replace("\u2060", "") == text
    assert not set(escaped) & set("*_`$<>[]~\\")
    for pattern in (":material/delete:", ":smile:", "://", "www.", "a@", "-&", "--"):
        assert pattern not in escaped
    assert escaped[0] not in "#-1"


def test_it_is_one_line() -> None:
    assert escape("two\n\n# lines\t") == "two # lines"


def test_plain_text_stays_as_it_is() -> None:
    assert escape("bbc-headlines, T = 4.0 (12:30)") == "bbc-headlines, T = 4.0 (12:30)"
    assert escape(4.0) == "4.0"
