"""Questions for a room: those of the lessons, and the bet of a race."""

from __future__ import annotations

import streamlit as st

from kd_core.learn.lessons import Lesson, Number, facts
from pages.shared.room.votes import Question
from pages.shared.text import escape

BANDS = 5  # that a question for a number offers to choose from


@st.cache_data(max_entries=32, show_spinner=False)
def of_lesson(
    name: str, words: str, options: tuple[str, ...], low: float, high: float, unit: str
) -> Question:
    """Cached by what is asked; see ``lesson_question``. Raises: DataError without the headlines' corpus."""
    known = facts(name)
    if options:
        return Question(known.fill(words, escape), tuple(map(known.fill, options)), (str(known.answer),))
    width = (high - low) / BANDS
    bands = tuple(f"{low + i * width:g} to {low + (i + 1) * width:g} {unit}" for i in range(BANDS))
    right = bands[min(max(int((float(known.answer) - low) / width), 0), BANDS - 1)]
    return Question(known.fill(words, escape), bands, (right,))


def lesson_question(lesson: Lesson) -> Question:
    """What a lesson asks first; a number as bands, which are quick to tap. Raises: as ``of_lesson``."""
    number = lesson.number or Number(low=0, high=1, step=1, unit="", close=0)
    return of_lesson(lesson.name, lesson.question, lesson.options, number.low, number.high, number.unit)
