"""Questions for a room: those of the lessons, those of the quiz, and the bet of a race."""

from __future__ import annotations

from itertools import pairwise

import streamlit as st

from kd_core.learn.facts import facts
from kd_core.learn.lessons import Lesson
from kd_core.learn.quiz import Question as QuizQuestion
from pages.shared import addresses
from pages.shared.room.votes import Question
from pages.shared.text import escape

BANDS = 5  # that a question for a number offers to choose from


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
    width = (number.high - number.low) / BANDS
    edges = [number.low + i * width for i in range(BANDS + 1)]
    bands = tuple(f"{low:g} to {high:g} {number.unit}".replace("-", "−") for low, high in pairwise(edges))
    right = bands[min(max(int((float(known.answer) - number.low) / width), 0), BANDS - 1)]
    return Question(words, bands, (right,), because, link)


def quiz_question(item: QuizQuestion) -> Question:
    return Question(escape(item.question), item.options, (item.right,), escape(item.because), _lab(item.lab))


def _lab(name: str) -> tuple[str, str]:
    return addresses.lab(name), "See it in the lab"
