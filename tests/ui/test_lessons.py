"""Lessons step by step, and links that a presenter makes."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.learn.facts import facts
from kd_core.learn.lessons import lessons
from tests.ui.lab_page import EVIL, said

App = Callable[..., AppTest]
PAGE = "learn/labs/lessons/page.py"
LAB = "learn/labs/scripts/loss.py"


def forward(page: AppTest) -> AppTest:
    return page.button(key="lessons.next").click().run()


def test_a_card_for_each_lesson(app: App) -> None:
    page = app(PAGE)
    assert [button.label for button in page.button] == [
        f"**{i}. {lesson.title}**" for i, lesson in enumerate(lessons().values(), 1)
    ]
    assert said(page).count("10 minutes") == len(lessons()) == 6


def test_an_unknown_lesson_says_so(app: App) -> None:
    assert "There is no lesson “zebra”" in said(app(PAGE, lesson="zebra"))


@pytest.mark.parametrize("step", ["0", "99", "x", "-1", "²"])
def test_an_impossible_step_is_a_possible_one(app: App, step: str) -> None:
    page = app(PAGE, lesson="alpha", step=step)
    assert not page.exception
    assert page.header[0].value in ("A question first", "In short")


def test_a_lesson_asks_shows_and_tells(app: App) -> None:
    page = app(PAGE, lesson="alpha")
    assert "“Howard hits back at mongrel jibe” has the label politics" in said(page)
    forward(page)
    assert "Answer first. A guess is enough." in said(page)
    assert page.header[0].value == "A question first"
    page.radio(key="lessons.answer_alpha").set_value("politics, as the label says").run()
    forward(page)
    assert page.query_params["step"] == "2"
    assert page.selectbox(key="loss.text").value == int(facts("alpha").words["row"])
    assert page.selectbox(key="loss.student").value == "untrained"
    assert not page.radio, "the lab's own question is kept out of sight"
    assert page.toggle(key="loss.t_squared").value, "the lesson asks for it"
    assert "At alpha = 0.7." in said(page), "what there was to find"
    page.slider(key="loss.alpha").set_value(0.75).run()
    assert "The strongest push raises the logit of politics" in said(page)
    page.slider(key="loss.alpha").set_value(0.65).run()
    assert "The strongest push raises the logit of sports" in said(page)
    forward(page)
    words = said(page)
    assert "No. The answer is: sports, as the teacher says." in words
    assert "You said: politics, as the label says." in words
    assert "From alpha = **0.7** on" in words
    forward(page)
    assert page.header[0].value == "In short"
    page.button(key="lessons.after").click().run()
    assert page.title[0].value == "How much data, how small a student"


def test_a_typed_address_has_the_lessons_settings_too(app: App) -> None:
    page = app(PAGE, lesson="alpha", step="2")
    assert page.selectbox(key="loss.text").value == int(facts("alpha").words["row"])
    assert page.query_params["hide"] == "source,divergence,question"
    assert not page.radio


def test_the_last_lesson_ends_with_a_way_on(app: App) -> None:
    page = app(PAGE, lesson="choosing", step="4")
    assert [link.proto.label for link in page.main.get("page_link")] == ["Quiz", "All labs"]


def test_every_step_of_every_lesson_is_drawn(app: App) -> None:
    for name, lesson in lessons().items():
        for step in range(1, len(lesson.part_names) + 1):
            page = app(PAGE, lesson=name, step=str(step))
            words = said(page)
            assert "First a guess" not in words or name == "data-and-size", "the lesson has asked before"
            assert "{" not in words


def test_going_back_keeps_the_answer(app: App) -> None:
    page = app(PAGE, lesson="temperature")
    page.number_input(key="lessons.answer_temperature").set_value(30.0).run()
    forward(page)
    page.button(key="lessons.back").click().run()
    assert page.number_input(key="lessons.answer_temperature").value == 30
    forward(page)
    assert page.slider(key="temperature.temperature").value == 1
    forward(page)
    assert "Near enough." in said(page)
    assert "You said 30.0 %; it is 31.7 %." in said(page)


@pytest.mark.parametrize(
    ("answer", "words"),
    [(0.0, "As possible as what was measured."), (2.5, "Near enough."), (9.0, "Not near.")],
)
def test_an_answer_within_the_interval_is_as_possible_as_the_measured_one(
    app: App, answer: float, words: str
) -> None:
    page = app(PAGE, lesson="data-and-size")
    page.number_input(key="lessons.answer_data-and-size").set_value(answer).run()
    for _ in range(3):
        forward(page)
    assert words in said(page)
    assert f"You said {answer:.1f} points; with a 95 % interval of −0.6 to +4.7, measured is 2.1" in said(
        page
    )


def test_who_comes_in_the_middle_is_told_that_nothing_was_answered(app: App) -> None:
    assert "You did not answer in this session." in said(app(PAGE, lesson="soft-labels", step="3"))


def test_a_lesson_may_have_two_labs(app: App) -> None:
    page = app(PAGE, lesson="data-and-size", step="3")
    assert page.button(key="size.reveal").label == "Show what was measured"
    assert "Step 3 of 5" in page.get("progress")[0].proto.text


# A presenter's link


def test_a_shared_question_comes_before_the_lab_and_its_answer_after(app: App) -> None:
    page = app(LAB, ask="Up or down?", options="Up|Down", answer="Up", **{"loss.temperature": "8"})
    assert "Up or down?" in said(page)
    assert not page.slider
    show = next(button for button in page.button if button.label == "Show the lab")
    show.click().run()
    assert "Answer first. A guess is enough." in said(page)
    page.radio(key="loss.asked").set_value("Down")
    next(button for button in page.button if button.label == "Show the lab").click().run()
    assert page.slider(key="loss.temperature").value == 8
    assert "Your answer: **Down**" in said(page)
    assert "The answer is" not in said(page)
    page.button(key="loss.show").click().run()
    assert "The answer is: Up." in said(page)


def test_what_a_link_says_is_text(app: App) -> None:
    page = app(LAB, ask=EVIL, options=f"{EVIL}|b", answer=EVIL)
    radio = page.radio(key="loss.asked")
    assert "![" not in "".join(radio.options)
    radio.set_value(EVIL)
    next(button for button in page.button if button.label == "Show the lab").click().run()
    page.button(key="loss.show").click().run()
    assert "Right." in said(page)
    assert not [element.value for element in page.markdown if "![" in element.value]


def test_a_link_is_made_of_what_is_on_the_page(app: App) -> None:
    page = app(LAB, hide="question", **{"loss.temperature": "8"})
    page.button_group(key="loss.share_hide").set_value(["source", "question"])
    page.text_input(key="loss.share_ask").set_value("Up or down?").run()
    page.text_input(key="loss.share_options").set_value("Up | Down | Up")
    page.text_input(key="loss.share_answer").set_value("Sideways").run()
    assert "What is right has to be one of the answers: Up, Down." in html.unescape(said(page))
    assert page.button(key="loss.share_make").disabled
    page.text_input(key="loss.share_answer").set_value("Down").run()
    page.button(key="loss.share_make").click().run()
    link = page.code[0].value
    assert link.endswith(
        "?loss.temperature=8&hide=source%2Cquestion&ask=Up+or+down%3F&options=Up%7CDown&answer=Down"
    )
    page.run()
    assert page.code[0].value == link  # it stays until something else is chosen
    page.text_input(key="loss.share_ask").set_value("Up?").run()
    assert not page.code
