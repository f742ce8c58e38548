"""The QR code with the address, who is here, and the form for a question of the presenter's own."""

from __future__ import annotations

import io
from urllib.parse import urlsplit

import segno
import streamlit as st

from kd_core.system.process import is_loopback
from pages.shared.room.browsers import SEATED, SEATS
from pages.shared.room.votes import Question
from pages.shared.text import escape

BETWEEN = "|"
MOST_LETTERS = 300


def way_in() -> None:
    """The address without the presenter's word, as a picture to photograph and as text to type."""
    address = (st.context.url or "").split("?")[0].removesuffix("/present").rstrip("/")
    if is_loopback(urlsplit(address).hostname or ""):
        st.caption(":material/info: A rehearsal: this machine alone can open the address, no phone can.")
    st.markdown("Point a camera at the picture, or type")
    st.code(address, language=None, wrap_lines=True)
    # Last, and as large as the screen leaves room for (present.css): the last row has to read it, too.
    with st.container(key="room.picture"):
        st.image(_picture(address), width="stretch", output_format="PNG", alt=f"QR code of {address}")


@st.cache_data(max_entries=4, show_spinner=False)
def _picture(address: str) -> bytes:
    """With the white border that cameras need, on a dark page too."""
    file = io.BytesIO()
    segno.make(address, error="m").save(file, kind="png", scale=24, border=3)
    return file.getvalue()


def seats() -> None:
    """How many are here, looked at again and again."""
    st.fragment(_seats, run_every=3)()


def _seats() -> None:
    st.markdown(f":material/groups: **{len(SEATED)}** of {SEATS} seats are taken.")


def own_question() -> Question | None:
    """None until there are words and two answers to choose from."""
    words = st.text_input("Your question", key="room.words", max_chars=MOST_LETTERS)
    answers = st.text_input(
        "Answers to choose from",
        key="room.answers",
        max_chars=MOST_LETTERS,
        placeholder="Larger | Smaller | The same",
        help="With | between them",
    )
    options = tuple(dict.fromkeys(each.strip() for each in answers.split(BETWEEN) if each.strip()))
    right = st.selectbox(
        "What is right (optional)",
        options,
        index=None,
        key="room.right",
        help="It stays on the server until you reveal it",
    )
    if not words.strip() or len(options) < 2:
        st.caption(":material/info: Write a question, and two answers or more with | between them.")
        return None
    because = st.text_input(
        "Why (optional)",
        key="room.because",
        max_chars=MOST_LETTERS,
        help="Everybody reads it once you reveal the answer",
    )
    return Question(escape(words), options, (right,) if right else (), escape(because.strip()))
