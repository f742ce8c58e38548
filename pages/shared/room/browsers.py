"""Who is in a classroom: browsers by a cookie of this server, and the presenter by a word from the terminal.

Nothing is written: what signs the cookies, and the word, live as long as the process.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections import Counter
from collections.abc import Mapping

import streamlit as st

BROWSER, PRESENTER = "kd_browser", "kd_presenter"
# From ``kd app --classroom``. Without a word nobody is the presenter.
WORD = os.environ.pop("KD_CLASSROOM_WORD", "") or secrets.token_urlsafe(16)
SEATS = int(os.environ.get("KD_CLASSROOM_SEATS", "80"))
SEATED: Counter[str] = Counter()  # connections of each browser that has any
_SIGNING_KEY = secrets.token_bytes(32)


def new_browser() -> str:
    """A cookie for a browser that has none."""
    name = secrets.token_urlsafe(12)
    return f"{name}.{_signature(name)}"


def browser_of(cookies: Mapping[str, str]) -> str | None:
    """The browser's name, if its cookie is one of this server's."""
    name, _, signature = cookies.get(BROWSER, "").partition(".")
    return name if name and hmac.compare_digest(signature.encode(), _signature(name).encode()) else None


def presents(cookies: Mapping[str, str]) -> bool:
    """Whether these are the presenter's."""
    return is_word(cookies.get(PRESENTER, ""))


def is_word(text: str) -> bool:
    return hmac.compare_digest(text.encode(), WORD.encode())


def this_browser() -> str | None:
    """The browser that this session belongs to."""
    return browser_of(_cookies())


def is_presenter() -> bool:
    """Whether this session is the presenter's."""
    return presents(_cookies())


def _cookies() -> Mapping[str, str]:
    return st.context.cookies


def _signature(name: str) -> str:
    return hmac.new(_SIGNING_KEY, name.encode(), "sha256").hexdigest()[:32]
