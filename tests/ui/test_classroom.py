"""A classroom, page by page: Learn alone, nothing of a store, votes, and who the presenter is."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from kd_core.learn.facts import facts
from kd_core.learn.lessons import lessons
from kd_core.learn.quiz import quiz
from pages.learn.labs.catalogue import LABS
from pages.shared import addresses
from pages.shared.charts import AHEAD
from pages.shared.room import browsers, vote_view
from pages.shared.room.questions import lesson_question, quiz_question
from pages.shared.room.votes import VOTES
from tests import ROOT
from tests.ui.lab_page import EVIL, said

Room = Callable[..., AppTest]


def plain(text: str) -> str:
    """Without what keeps it from being markup."""
    return html.unescape(text).replace("\u2060", "").replace("\u00a0", " ")


def links(test: AppTest) -> list[str]:
    return [link.proto.label for link in test.get("page_link")]


def not_here(*_: object, **__: object) -> None:
    pytest.fail("A classroom has no store and no runner")


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """``room("learn/race/page.py", "student")``: a page as somebody sees it. Nothing may be written."""
    home = tmp_path / "home"
    monkeypatch.setenv("KD_HOME", str(home))
    monkeypatch.setattr(Store, "__init__", not_here)
    monkeypatch.setattr(Runner, "__init__", not_here)
    cookies = {
        "presenter": {browsers.PRESENTER: browsers.WORD, browsers.BROWSER: browsers.new_browser()},
        "student": {browsers.BROWSER: browsers.new_browser()},
        "other": {browsers.BROWSER: browsers.new_browser()},
        "stranger": {browsers.PRESENTER: "guess", browsers.BROWSER: "guess.guess"},
    }
    st.cache_resource.clear()
    st.cache_data.clear()

    def act_as(who: str) -> None:
        monkeypatch.setattr(browsers, "_cookies", lambda: cookies[who])

    def at(page: str, who: str = "student", **parameters: str) -> AppTest:
        act_as(who)
        test = AppTest.from_file(str(ROOT / "pages" / "classroom.py"), default_timeout=30)
        test.session_state[AHEAD] = True
        test.run()
        test.query_params.update(parameters)
        return test.switch_page(page).run()

    at.act_as = act_as  # type: ignore[attr-defined]
    yield at
    act_as("presenter")
    VOTES.close()
    assert not home.exists()


@pytest.mark.parametrize(
    "page",
    [
        addresses.LABS,
        addresses.LESSONS,
        addresses.QUIZ,
        addresses.RACE,
        addresses.GLOSSARY,
        *(lab.page for lab in LABS),
    ],
)
def test_every_page_shows_recordings_alone(room: Room, page: str) -> None:
    shown = room(page)
    assert not shown.exception
    assert not shown.error
    assert shown.title
    labels = [button.label for button in shown.button]
    assert not {"Measure", "Live: set up your own"} & set(labels)


@pytest.mark.parametrize("lesson", list(lessons()))
def test_every_step_of_a_lesson(room: Room, lesson: str) -> None:
    for step in range(1, len(lessons()[lesson].part_names) + 1):
        shown = room(addresses.LESSONS, lesson=lesson, step=str(step))
        assert not shown.exception
        assert not shown.error


@pytest.mark.parametrize(
    "page", [addresses.HOME, addresses.DATA, addresses.DISTILL, addresses.RUNS, addresses.EXPORT]
)
def test_the_rest_of_the_dashboard_is_not_there(room: Room, page: str) -> None:
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        room(page)


@pytest.mark.parametrize("who", ["student", "stranger"])
def test_only_the_presenter_has_the_presenters_page(room: Room, who: str) -> None:
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        room(addresses.PRESENT, who)
    assert [title.value for title in room(addresses.PRESENT, "presenter").title] == ["The room"]


@pytest.mark.parametrize("page", [addresses.LESSONS, addresses.RACE])
def test_no_student_can_ask_the_room(room: Room, page: str) -> None:
    def asks(who: str) -> bool:
        shown = room(page, who, lesson="alpha")
        return bool([button for button in shown.button if button.label.startswith("Ask the room")])

    assert asks("presenter")
    assert not asks("student")
    assert not asks("stranger")


def test_whoever_presents_asks_the_room_and_not_themselves(room: Room) -> None:
    for page, own in ((addresses.LESSONS, "lessons.answer_alpha"), (addresses.RACE, "race.bet")):
        presenter = room(page, "presenter", lesson="alpha")
        assert not presenter.radio, "the question is there once"
        assert "Ask the room" in [button.label for button in presenter.button]
        student = room(page, lesson="alpha")
        assert [radio.key for radio in student.radio] == [own]
        for shown in (presenter, student):
            assert "presenting.switch" not in [button.key for button in shown.button]
    assert not room(addresses.RACE, "presenter").button(key="race.go").disabled
    answer = room(addresses.LESSONS, "presenter", lesson="alpha", step="3")
    assert "You did not answer" not in said(answer)


def test_where_nobody_is_wrong_that_is_said(room: Room) -> None:
    presenter = room(addresses.RACE, "presenter")
    presenter.segmented_control(key="race.course").set_value("texts").run()
    presenter.button(key="race.ask").click().run()
    assert VOTES.question is not None
    assert set(VOTES.question.right) == set(VOTES.question.options), "this race has no winner"
    presenter.button(key="race.reveal").click().run()
    assert "**All answers are right**" in said(presenter)


def test_a_vote_from_question_to_reveal(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_view, "SEATED", Counter("ab"))  # the phone that answers is gone by then
    presenter = room(addresses.PRESENT, "presenter")
    presenter.selectbox(key="room.question").set_value("alpha").run()
    presenter.button(key="room.ask").click().run()
    question = lesson_question(lessons()["alpha"])
    assert VOTES.question == question

    student = room(addresses.GLOSSARY)
    assert question.words in said(student)
    assert "material/check_circle" not in said(student), "what is right is not on the page"
    number = VOTES.number
    assert student.button(key=f"vote.send_{number}").disabled
    student.radio(key=f"vote.answer_{number}").set_value(question.options[0]).run()
    student.button(key=f"vote.send_{number}").click().run()
    assert "It counts; wait for the others." in said(student)
    assert "material/check_circle" not in said(student)
    assert question.because not in said(student)
    assert "See it in the lab" not in links(student)
    assert VOTES.tally()[question.options[0]] == 1
    assert "It counts" in said(room(addresses.RACE)), "the same browser does not answer again on another page"
    assert "Send" in [button.label for button in room(addresses.LABS, "other").button]
    assert not [b for b in room(addresses.LABS, "stranger").button if b.label == "Send"]

    room.act_as("presenter")  # type: ignore[attr-defined]
    presenter.run()
    assert "**1** of 3 has answered" in said(presenter)
    presenter.button(key="room.reveal").click().run()
    (right,) = question.right
    assert f"material/check_circle: **{right}**" in said(presenter).replace("&#44;", ",")
    room.act_as("student")  # type: ignore[attr-defined]
    student.run()
    assert f"**{right}**" in said(student)
    assert "the label's class is raised most." in plain(question.because)
    assert plain(question.because) in plain(said(student)), "why"
    assert "See it in the lab" in links(student), "and where to see it"


@pytest.mark.parametrize("name", list(lessons()))
def test_why_is_read_without_the_rest_of_the_lesson(name: str) -> None:
    because = lesson_question(lessons()[name]).because
    assert because.endswith("."), "no colon before a table that a phone does not show"
    assert "{" not in because


def test_a_number_is_asked_in_bands_that_settle_it() -> None:
    """What is right is not at the edge of its band, where the next one would be as good an answer."""
    gain = lesson_question(lessons()["data-and-size"])
    assert gain.options == (
        "Below 0 points",
        "0 to 1 points",
        "1 to 3 points",
        "3 to 5 points",
        "Above 5 points",
    )
    assert gain.right == ("1 to 3 points",)
    for name, lesson in lessons().items():
        if number := lesson.number:
            (right,) = lesson_question(lesson).right
            low, high = map(float, right.split(" ")[0:3:2])
            answer = float(facts(name).answer)
            assert low + number.step <= answer <= high - number.step, name
            assert list(number.bands) == sorted(number.bands)


def test_a_question_of_the_quiz_is_asked_too(room: Room) -> None:
    presenter = room(addresses.PRESENT, "presenter")
    presenter.selectbox(key="room.question").set_value("4").run()
    presenter.button(key="room.ask").click().run()
    item = quiz()[3]
    assert VOTES.question == quiz_question(item)
    student = room(addresses.LABS)
    assert student.radio[0].options == list(item.options)
    assert item.because not in plain(said(student))
    room.act_as("presenter")  # type: ignore[attr-defined]
    presenter.button(key="room.reveal").click().run()
    room.act_as("student")  # type: ignore[attr-defined]
    student.run()
    assert item.because in plain(said(student))
    assert "See it in the lab" in links(student)


def test_the_open_question_is_on_the_room_whatever_is_chosen_there(room: Room) -> None:
    presenter = room(addresses.PRESENT, "presenter")
    presenter.selectbox(key="room.question").set_value("own").run()
    presenter.text_input(key="room.words").set_value("Louder?").run()
    presenter.text_input(key="room.answers").set_value("yes | no").run()
    presenter.button(key="room.ask").click().run()
    presenter.text_input(key="room.because").set_value("A reason that came late").run()
    assert "room.open.reveal" in [button.key for button in presenter.button], "its words have changed"
    back = room(addresses.PRESENT, "presenter")  # Streamlit forgets what was typed on a page that one leaves
    back.button(key="room.open.reveal").click().run()
    assert VOTES.revealed
    back.button(key="room.open.close").click().run()
    assert VOTES.question is None
    assert "Louder?" not in said(back)


def test_a_question_of_ones_own_is_text(room: Room) -> None:
    presenter = room(addresses.PRESENT, "presenter")
    presenter.selectbox(key="room.question").set_value("own").run()
    assert "Write a question" in said(presenter)
    presenter.text_input(key="room.words").set_value(EVIL).run()
    presenter.text_input(key="room.answers").set_value(f"{EVIL} | b").run()
    presenter.text_input(key="room.because").set_value(EVIL).run()
    presenter.button(key="room.ask").click().run()
    VOTES.reveal()
    assert plain(EVIL) in plain(said(room(addresses.LABS))), "why"
    VOTES.revealed = False
    student = room(addresses.LABS)
    assert not [element.value for element in student.markdown if "![" in element.value]
    assert not [option for option in student.radio[0].options if "![" in option]
