"""The quiz: complete, with an existing lab for each question."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kd_core.learn.quiz import Question, quiz
from pages.learn.labs.bodies import LAB_BODIES


def test_questions_are_complete() -> None:
    assert len(quiz()) == 12
    for item in quiz():
        assert item.because.endswith(".")
        assert item.lab in LAB_BODIES
        assert item.question.endswith("?")
    assert {item.lab for item in quiz()} == set(LAB_BODIES) - {"claims"}, "every lab is asked about"


def test_places_of_right_answers() -> None:
    places = [item.options.index(item.right) for item in quiz()]
    assert max(map(places.count, places)) < 6
    assert len(set(places)) == 3


def test_a_question_without_its_answer_is_refused() -> None:
    with pytest.raises(ValidationError, match="has to be one of the options"):
        Question(question="Why?", options=("a", "b"), right="c", because="x.", lab="loss")
