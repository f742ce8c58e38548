"""Lessons step by step, the quiz, the presenter view, and links that a presenter makes."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.learn.facts import facts
from kd_core.learn.lessons import lessons
from kd_core.learn.quiz import quiz
from pages.shared.addresses import LESSONS, QUIZ
from tests.ui.lab_page import EVIL, App, act, images, said

LAB = "learn/labs/scripts/loss.py"
NEXT, BACK = ("button", "lessons.next", None), ("button", "lessons.back", None)
SWITCH = ("button", "presenting.switch", None)


def test_a_card_for_each_lesson(app: App) -> None:
    page = app(LESSONS, lesson="zebra")
    titles = [f"**{i}. {lesson.title}**" for i, lesson in enumerate(lessons().values(), 1)]
    assert [button.label for button in page.button] == titles
    assert said(page).count("10 minutes") == len(titles)
    assert "There is no lesson “zebra”" in said(page)


@pytest.mark.parametrize(
    ("step", "header"),
    [*((step, "A question first") for step in ("0", "-1", "x", "²", "")), ("99", "In short")],
)
def test_impossible_step_becomes_a_possible_one(app: App, step: str, header: str) -> None:
    assert app(LESSONS, lesson="alpha", step=step).header[0].value == header


def test_lesson_asks_shows_and_tells(app: App) -> None:
    page = app(LESSONS, lesson="alpha")
    assert "“Howard hits back at mongrel jibe” has the label politics" in said(page)
    answer, reset = ("radio", "lessons.answer_alpha", "politics, as the label says"), "lessons.reset"
    act(page, answer, ("button", reset, None), NEXT)
    assert "Answer first. A guess is enough." in said(page)
    assert page.header[0].value == "A question first"
    act(page, answer, NEXT)
    assert page.query_params["step"] == "2"
    assert page.selectbox(key="loss.text").value == int(facts("alpha").words["row"])
    assert page.selectbox(key="loss.student").value == "untrained"
    assert not page.radio, "the lab's own question is kept out of sight"
    assert page.toggle(key="loss.t_squared").value, "the lesson asks for it"
    assert "At alpha = 0.7." in said(page), "what there was to find"
    for alpha, raised in ((0.75, "politics"), (0.65, "sports")):
        act(page, ("slider", "loss.alpha", alpha))
        assert f"The strongest push raises the logit of {raised}" in said(page)
    act(page, ("button", reset, None))
    assert page.slider(key="loss.alpha").value == 0.3
    act(page, BACK, answer, NEXT, NEXT)
    words = said(page)
    assert "No. The answer is: sports, as the teacher says." in words
    assert "You said: politics, as the label says." in words
    assert "From alpha = **0.7** on" in words
    act(page, NEXT)
    assert page.header[0].value == "In short"
    act(page, ("button", "lessons.after", None))
    assert page.title[0].value == "How much data, how small a student"


def test_typed_address_has_the_settings_of_the_lesson(app: App) -> None:
    page = app(LESSONS, lesson="alpha", step="2")
    assert page.selectbox(key="loss.text").value == int(facts("alpha").words["row"])
    assert page.query_params["hide"] == "source,divergence,question"
    last = app(LESSONS, lesson="choosing", step="4")
    assert [link.proto.label for link in last.main.get("page_link")] == ["Quiz", "All labs"]


@pytest.mark.parametrize("name", list(lessons()))
def test_every_step_is_drawn(app: App, name: str) -> None:
    steps = len(lessons()[name].part_names)
    page = app(LESSONS, lesson=name)
    for step in range(1, steps + 1):
        page.query_params.update(lesson=name, step=str(step))
        words = said(page.run())
        assert f"Step {step} of {steps}" in page.get("progress")[0].proto.text
        assert "First a guess" not in words or name == "data-and-size", "the lesson has asked before"
        assert "{" not in words
        assert ("You did not answer in this session." in words) == (step == steps - 1)


@pytest.mark.parametrize(
    ("name", "answer", "verdict", "known"),
    [
        ("temperature", 30.0, "Near enough.", "You said 30.0 %; it is 31.7 %."),
        ("data-and-size", 0.0, "As possible as what was measured.", "You said 0.0 points; with a 95 % inte"),
        ("data-and-size", 2.5, "Near enough.", "2.5 points; with a 95 % interval of −0.6 to +4.7, measured"),
        ("data-and-size", 9.0, "Not near.", "measured is 2.1 points"),
    ],
)
def test_number_is_judged_by_its_distance_and_the_interval(
    app: App, name: str, answer: float, verdict: str, known: str
) -> None:
    page = app(LESSONS, lesson=name)
    act(page, ("number_input", f"lessons.answer_{name}", answer), NEXT, BACK)
    assert page.number_input(key=f"lessons.answer_{name}").value == answer
    act(page, *[NEXT] * (len(lessons()[name].part_names) - 2))
    assert verdict in said(page)
    assert known in said(page)


def test_quiz_judges_explains_and_counts(app: App) -> None:
    page = app(QUIZ)
    assert page.get("progress")[0].proto.text == "0 of 12 answered, 0 right"
    assert not page.main.get("page_link")
    assert not [item for item in quiz() if item.because[:30] in said(page)]
    for number, item in enumerate(quiz()[:2]):
        option = item.options.index(item.right)
        act(page, ("button", f"quiz.{number}_{option if number else option - 1}", None))
    assert page.get("progress")[0].proto.text == "2 of 12 answered, 1 right"
    words = said(page)
    assert words.count("**Right: ") == 1
    assert f"**No. The answer is: {quiz()[0].right}.**" in words
    assert quiz()[0].because[:30] in words
    assert page.main.get("page_link")[0].proto.label == "See it in the lab: Temperature"
    act(page, ("button", "quiz.again", None))
    assert page.get("progress")[0].proto.text == "0 of 12 answered, 0 right"


def test_presenter_view_by_button_and_by_link(app: App) -> None:
    for page, label in ((app(LAB), "Present"), (app(LAB, view="presenter").run(), "Leave presenter view")):
        assert page.button(key="presenting.switch").label == label
        other = {"Present", "Leave presenter view"} - {label}
        assert {act(page, SWITCH).button(key="presenting.switch").label} == other
        assert act(page, SWITCH).button(key="presenting.switch").label == label
    page = act(app(LESSONS, lesson="alpha"), SWITCH)
    assert not page.header, "the line above says it"
    assert act(page, NEXT).query_params["step"] == "2", "whoever presents need not answer first"


# A presenter's link


def show_lab(page: AppTest) -> None:
    next(button for button in page.button if button.label == "Show the lab").click().run()


def test_question_of_a_link_comes_before_the_lab(app: App) -> None:
    page = app(LAB, ask="Up or down?", options="Up|Down", answer="Up", **{"loss.temperature": "8"})
    assert "Up or down?" in said(page)
    assert not page.slider
    show_lab(page)
    assert "Answer first. A guess is enough." in said(page)
    page.radio(key="loss.asked").set_value("Down")
    show_lab(page)
    assert page.slider(key="loss.temperature").value == 8
    assert "Your answer: **Down**" in said(page)
    assert "The answer is" not in said(page)
    assert "The answer is: Up." in said(act(page, ("button", "loss.show", None)))


def test_words_of_a_link_are_text(app: App) -> None:
    page = app(LAB, ask=EVIL, options=f"{EVIL}|b", answer=EVIL)
    assert f"**{EVIL}**" in said(page).replace("\u2060", "")
    assert "![" not in "".join(page.radio(key="loss.asked").options)
    page.radio(key="loss.asked").set_value(EVIL)
    show_lab(page)
    assert "Right." in said(act(page, ("button", "loss.show", None)))
    assert not images(page)
    typed = app(LAB, ask="Which way?", answer="Up")
    typed.text_input(key="loss.asked").set_value(" up ")
    show_lab(typed)
    assert "Right." in said(act(typed, ("button", "loss.show", None)))


def test_link_is_made_of_what_is_on_the_page(app: App) -> None:
    page = app(LAB, hide="question", **{"loss.temperature": "8"})
    page.button_group(key="loss.share_hide").set_value(["source", "question"])
    act(page, ("text_input", "loss.share_ask", "Up or down?"))
    for options, answer, problem in (
        ("Up", "", "One answer leaves no choice: put | between two or more."),
        ("Up | Down | Up", "Sideways", "What is right has to be one of the answers: Up, Down."),
    ):
        fill = (("text_input", "loss.share_options", options), ("text_input", "loss.share_answer", answer))
        assert problem in said(act(page, *fill))
        assert page.button(key="loss.share_make").disabled
    act(page, ("text_input", "loss.share_answer", "Down"), ("button", "loss.share_make", None))
    query = "loss.temperature=8&hide=source%2Cquestion&ask=Up+or+down%3F&options=Up%7CDown&answer=Down"
    assert page.code[0].value.endswith(f"?{query}")
    page.run()
    assert page.code, "it stays until something else is chosen"
    assert not act(page, ("text_input", "loss.share_ask", "Up?")).code
