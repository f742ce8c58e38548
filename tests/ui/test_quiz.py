"""The quiz as it is answered."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.learn.quiz import quiz
from tests.ui.lab_page import said

App = Callable[..., AppTest]
PAGE = "learn/labs/quiz/page.py"


def score(page: AppTest) -> str:
    return page.get("progress")[0].proto.text


def answer(page: AppTest, number: int, option: str) -> AppTest:
    return page.button(key=f"quiz.{number}_{quiz()[number].options.index(option)}").click().run()


def test_no_reason_is_there_before_the_answer(app: App) -> None:
    page = app(PAGE)
    assert score(page) == "0 of 12 answered, 0 right"
    assert not page.main.get("page_link")
    assert not [item for item in quiz() if item.because[:30] in said(page)]


def test_answers_are_judged_explained_and_counted(app: App) -> None:
    page = app(PAGE)
    for number, item in enumerate(quiz()):
        wrong = next(option for option in item.options if option != item.right)
        page = answer(page, number, wrong if number == 0 else item.right)
        assert not page.exception
    assert score(page) == "12 of 12 answered, 11 right"
    words = said(page)
    assert words.count("**Right: ") == 11
    assert f"**No. The answer is: {quiz()[0].right}.**" in words
    assert quiz()[0].because[:30] in words
    links = [link.proto.label for link in page.main.get("page_link")]
    assert links[0] == "See it in the lab: Temperature"
    page.button(key="quiz.again").click().run()
    assert score(page) == "0 of 12 answered, 0 right"
