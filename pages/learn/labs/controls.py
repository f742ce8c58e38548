"""What all labs share: their controls, what a link says about them, a question first.

A link to a lab may say ``hide=source,text`` (controls to keep out of sight; they keep their values, which the
link can set too) and ``ask=...`` (a question of the presenter's own, instead of the lab's).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from kd_core.config import slider, slider_start
from pages.shared.text import escape, prose, term
from pages.shared.visitors import in_classroom

QUESTION = "question"
UNTOUCHED = ("revealed", "playing", "answered", "guessed")  # what a visitor has seen or set going, of any lab


class Controls:
    """The controls of the lab ``page`` by name; made anew in each run of its script."""

    def __init__(self, page: str, *names: str, part: str = "controls") -> None:
        """``part`` tells the sets of one page apart, where it has several."""
        self.page, self.part = page, part
        self.names = (*names, QUESTION)
        hidden = [name.strip() for name in st.query_params.get("hide", "").split(",") if name.strip()]
        self.hidden = [name for name in hidden if name in self.names]
        self.unknown = [name for name in hidden if name not in self.names]
        self._labels = st.session_state.setdefault(f"{page}.labels", {})
        self._starts = st.session_state.setdefault(f"{page}.starts", {})

    def open(self) -> Any:
        """Lay the lab out, before the first ``add``, and return the place for what the controls move.

        Above it stand the choices and, in a bar that stays in view while the reader scrolls, what is moved.
        """
        with st.container(key=f"lab.page.{self.part}"):
            self._choices = st.container(key=f"lab.choices.{self.part}")
            self._bar = st.container(key=f"lab.bar.{self.part}")
            # Kept in the page, so that a hidden widget reads and checks the link as the others do.
            self._unseen = st.container(key=f"lab.hidden.{self.part}")
            return st.container()

    def add(
        self, name: str, kind: str, label: str, *arguments: Any, in_view: bool = False, **settings: Any
    ) -> Any:
        """The widget ``st.<kind>``; its value is in the URL as ``page.name``. ``in_view``: in the bar."""
        is_new = self.key(name) not in st.session_state
        value = getattr(self._place(name, label, in_view), kind)(
            label, *arguments, key=self.key(name), bind="query-params", **settings
        )
        if is_new:
            self._starts[name] = value
        return value

    def setting(self, name: str, label: str, value: float | None = None) -> float:
        """A slider in the bar for a setting of the objective: its range, and the lessons' or a ``value``."""
        low, high, step = map(float, slider(f"objective.{name}"))
        start = slider_start(f"objective.{name}") if value is None else value
        return float(self.add(name, "slider", label, low, high, start, step, help=term(name), in_view=True))

    def start_anew(self, name: str) -> None:
        """That control at its first option: what it offers is another thing now. A callback.

        Setting it says so to the browser, which would go on showing the old option's words.
        """
        st.session_state[self.key(name)] = 0

    def button(self, name: str, label: str, *, in_view: bool = False, **settings: Any) -> bool:
        return bool(self._place(name, label, in_view).button(label, key=self.key(name), **settings))

    def _place(self, name: str, label: str, in_view: bool) -> Any:
        self._labels[name] = label
        return self._unseen if name in self.hidden else self._bar if in_view else self._choices

    def key(self, name: str) -> str:
        return f"{self.page}.{name}"

    @property
    def may_start(self) -> bool:
        """Whether a measurement is offered: without its button, what it would measure is no use."""
        return not in_classroom() and "start" not in self.hidden

    def note(self, words: str) -> None:
        self._choices.caption(words)


def labels_of(page: str) -> dict[str, str]:
    """The controls of a lab that was shown in this session: what the reader calls them, by name."""
    return dict(st.session_state.get(f"{page}.labels", {}))


def reset(page: str) -> None:
    """The lab as it was opened: by itself, by a link or by a lesson. A callback."""
    for name, value in st.session_state.get(f"{page}.starts", {}).items():
        st.session_state[f"{page}.{name}"] = value
    for name in UNTOUCHED:
        st.session_state.pop(f"{page}.{name}", None)
    for key in map(str, list(st.session_state)):  # of a lab with several questions
        if key.startswith(f"{page}.") and key.endswith(".guessed"):
            st.session_state.pop(key)


def question_replaced(controls: Controls) -> bool:
    """Whether the link asks a question of its own, which is shown, or hides the lab's.

    Call it once on a page: it also warns of hidden controls that do not exist.
    """
    if controls.unknown:
        st.caption(
            f":material/warning: The link hides {escape(', '.join(controls.unknown))}, which is not here. "
            f"This lab has {', '.join(controls.names)}."
        )
    if own := st.query_params.get("ask"):
        with st.container(border=True):
            st.markdown(f":material/help: **{escape(own)}**")
    return bool(own) or QUESTION in controls.hidden


def question(controls: Controls, words: str, options: Sequence[str], right: str, because: str) -> bool:
    """Ask before the lab answers, unless the link replaces the question; whether the lab may be seen.

    What is asked is about recorded numbers, so that no control changes what is right. ``because`` has the
    numbers that settle it. Once on a page.
    """
    if question_replaced(controls):
        return True
    place = controls.key("guessed")
    before = st.session_state.get(place)
    with st.container(border=True, key=f"lab.question.{controls.page}", gap="small"):
        first = "" if before else "**First a guess.** "
        given = ask(
            f":material/help: {first}{words}", options, right, because, before, key=controls.key("guess")
        )
    if given is not None and before is None:
        st.session_state[place] = given
        st.rerun()
    return given is not None


def ask(
    words: str, options: Sequence[str], right: str, because: str, before: str | None, *, key: str
) -> str | None:
    """A question with a button for each answer; what was just answered, or ``before``, which is judged.

    Buttons and not a choice: the first arrow key in a choice would answer already.
    """
    prose(words)
    if before is not None:
        verdict(before == right, before, right, because)
        return before
    with st.container(horizontal=True):
        for number, option in enumerate(options):
            if st.button(escape(option), key=f"{key}_{number}"):
                return option
    return None


def verdict(good: bool, guess: str, right: str, because: str = "") -> None:
    """Whether a guess is right, what is right if it is not, and why; ``because`` is Markdown."""
    if good:
        prose(f":green[:material/check_circle: **Right: {escape(guess)}.**] {because}")
    else:
        prose(
            f":orange[:material/lightbulb: **No. The answer is: {escape(right)}.**] You said: "
            f"{escape(guess)}. {because}"
        )
