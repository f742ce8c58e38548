"""The quiz: whole, and each question with a lab that there is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kd_core.learn.quiz import Question, quiz
from pages.learn.labs.bodies import LAB_BODIES


def test_twelve_questions_with_a_reason_and_a_lab() -> None:
    assert len(quiz()) == 12
    for item in quiz():
        assert item.because.endswith(".")
        assert item.lab in LAB_BODIES
        assert item.question.endswith("?")
    assert {item.lab for item in quiz()} == set(LAB_BODIES) - {"claims"}, "every lab is asked about"


def test_the_right_answer_is_not_always_in_one_place() -> None:
    places = [item.options.index(item.right) for item in quiz()]
    assert max(map(places.count, places)) < 6
    assert len(set(places)) == 3


def test_the_right_answer_is_not_always_the_longest() -> None:
    longest = [item.right == max(item.options, key=len) for item in quiz()]
    assert sum(longest) < 9


def test_a_question_that_cannot_be_answered_is_refused() -> None:
    with pytest.raises(ValidationError, match="has to be one of the options"):
        Question(question="Why?", options=("a", "b"), right="c", because="x.", lab="loss")
