"""Questions for a room: those of the lessons, those of the quiz, and the bet of a race."""

from __future__ import annotations

from bisect import bisect
from itertools import pairwise

import streamlit as st

from kd_core.learn.facts import facts
from kd_core.learn.lessons import Lesson
from kd_core.learn.quiz import Question as QuizQuestion
from pages.shared import addresses
from pages.shared.room.votes import Question
from pages.shared.text import escape


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs={Lesson: Lesson.model_dump_json})
def lesson_question(lesson: Lesson) -> Question:
    """What a lesson asks first; a number as bands, which are quick to tap. Why, in the reveal's first words.

    Raises: DataError without the headlines' corpus.
    """
    known = facts(lesson.name)
    words, because = (
        known.fill(text, escape) for text in (lesson.question, lesson.parts["Reveal"].split("\n\n")[0])
    )
    link = _lab(lesson.labs[0].name)
    if not (number := lesson.number):
        options = tuple(map(known.fill, lesson.options))
        return Question(words, options, (str(known.answer),), because, link)
    between = (f"{low:g} to {high:g}" for low, high in pairwise(number.bands))
    named = (f"Below {number.bands[0]:g}", *between, f"Above {number.bands[-1]:g}")
    bands = tuple(f"{band} {number.unit}".replace("-", "−") for band in named)
    return Question(words, bands, (bands[bisect(number.bands, float(known.answer))],), because, link)


def quiz_question(item: QuizQuestion) -> Question:
    return Question(escape(item.question), item.options, (item.right,), escape(item.because), _lab(item.lab))


def _lab(name: str) -> tuple[str, str]:
    return addresses.lab(name), "See it in the lab"
