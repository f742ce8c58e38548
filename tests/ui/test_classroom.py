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
from tests.ui.lab_page import EVIL, act, images, said

Room = Callable[..., AppTest]
LEARN = (addresses.LABS, addresses.LESSONS, addresses.QUIZ, addresses.RACE, addresses.GLOSSARY)
REVEAL = ("button", "room.reveal", None)


def plain(text: str) -> str:
    """Remove what keeps a text from being markup."""
    return html.unescape(text).replace("\u2060", "").replace("\u00a0", " ")


def links(test: AppTest) -> list[str]:
    return [link.proto.label for link in test.get("page_link")]


def buttons(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """Return ``room(page, "student")``: a page as somebody sees it. Nothing may be written."""
    home = tmp_path / "home"
    monkeypatch.setenv("KD_HOME", str(home))
    for kind in (Store, Runner):
        monkeypatch.setattr(kind, "__init__", lambda *_, **__: pytest.fail("A classroom has neither"))
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


def again(room: Room, page: AppTest, who: str, *steps: tuple[str, str, object]) -> AppTest:
    """Draw a page once more, as it is for somebody, and use its controls."""
    room.act_as(who)  # type: ignore[attr-defined]
    return act(page.run(), *steps)


@pytest.mark.parametrize("page", [*LEARN, *(lab.page for lab in LABS)])
def test_every_page_shows_recordings_alone(room: Room, page: str) -> None:
    shown = room(page)
    assert said(shown)
    assert shown.title
    assert not shown.error
    assert not {"Measure", "Live: set up your own"} & set(buttons(shown))


@pytest.mark.parametrize("name", ["data-and-size", "temperature"])
def test_lesson_whose_labs_read_the_store_elsewhere(room: Room, name: str) -> None:
    page = room(addresses.LESSONS)
    for step in range(1, len(lessons()[name].part_names) + 1):
        page.query_params.update(lesson=name, step=str(step))
        assert said(page.run())
        assert not page.error


@pytest.mark.parametrize("page", ["HOME", "DATA", "DISTILL", "RUNS", "EXPORT", "PRESENT"])
def test_rest_of_the_dashboard_is_not_there(room: Room, page: str) -> None:
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        room(getattr(addresses, page), "stranger")


@pytest.mark.parametrize("who", ["student", "stranger"])
def test_only_the_presenter_can_ask_the_room(room: Room, who: str) -> None:
    assert [title.value for title in room(addresses.PRESENT, "presenter").title] == ["The room"]
    for page, own in ((addresses.LESSONS, "lessons.answer_alpha"), (addresses.RACE, "race.bet")):
        presenter, shown = (room(page, one, lesson="alpha") for one in ("presenter", who))
        assert "Ask the room" in buttons(presenter)
        assert not presenter.radio, "the question is there once"
        assert not [label for label in buttons(shown) if label.startswith("Ask the room")]
        assert [radio.key for radio in shown.radio] == [own]
        assert not {"Present", "Leave presenter view"} & {*buttons(presenter), *buttons(shown)}
    assert not room(addresses.RACE, "presenter").button(key="race.go").disabled
    answer = room(addresses.LESSONS, "presenter", lesson="alpha", step="3")
    assert "You did not answer" not in said(answer)


def test_vote_from_question_to_reveal(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_view, "SEATED", Counter("ab"))  # the phone that answers is gone by then
    presenter = room(addresses.PRESENT, "presenter")
    act(presenter, ("selectbox", "room.question", "alpha"), ("button", "room.ask", None))
    question = lesson_question(lessons()["alpha"])
    assert VOTES.question == question
    student, number = room(addresses.GLOSSARY), VOTES.number

    def hidden() -> bool:
        """Return whether nothing of what is right is on the student's page."""
        words = said(student)
        return not (
            "check_circle" in words or question.because in words or "See it in the lab" in links(student)
        )

    assert question.words in said(student)
    assert hidden()
    assert student.button(key=f"vote.send_{number}").disabled
    act(student, ("radio", f"vote.answer_{number}", question.options[0]))
    act(student, ("button", f"vote.send_{number}", None))
    assert "It counts; wait for the others." in said(student)
    assert hidden()
    assert VOTES.tally()[question.options[0]] == 1
    assert "It counts" in said(room(addresses.RACE)), "the same browser does not answer again on another page"
    assert "Send" in buttons(room(addresses.LABS, "other"))
    assert "Send" not in buttons(room(addresses.LABS, "stranger"))

    again(room, presenter, "presenter")
    assert "**1** of 3 has answered" in said(presenter)
    act(presenter, REVEAL)
    (right,) = question.right
    assert f"material/check_circle: **{right}**" in said(presenter).replace("&#44;", ",")
    again(room, student, "student")
    assert f"**{right}**" in said(student)
    assert plain(question.because) in plain(said(student))
    assert "See it in the lab" in links(student)


def test_numbers_are_asked_in_bands_that_settle_them() -> None:
    points = ("Below 0 points", "0 to 1 points", "1 to 3 points", "3 to 5 points", "Above 5 points")
    gain = lesson_question(lessons()["data-and-size"])
    assert (gain.options, gain.right) == (points, ("1 to 3 points",))
    for name, lesson in lessons().items():
        question = lesson_question(lesson)
        assert question.because.endswith("."), "no colon before a table that a phone does not show"
        assert "{" not in question.because
        if number := lesson.number:
            (right,) = question.right
            low, high = map(float, right.split(" ")[0:3:2])
            # What is right is not at the edge of its band, where the next one would be as good an answer.
            assert low + number.step <= float(facts(name).answer) <= high - number.step, name
            assert list(number.bands) == sorted(number.bands)


def own_question(room: Room, words: str, answers: str, because: str = "") -> AppTest:
    presenter = act(room(addresses.PRESENT, "presenter"), ("selectbox", "room.question", "own"))
    assert "Write a question" in said(presenter)
    fill = {"words": words, "answers": answers, "because": because}
    act(presenter, *(("text_input", f"room.{name}", text) for name, text in fill.items()))
    return act(presenter, ("button", "room.ask", None))


def test_questions_of_the_quiz_and_of_a_race(room: Room) -> None:
    presenter = room(addresses.PRESENT, "presenter")
    act(presenter, ("selectbox", "room.question", "4"), ("button", "room.ask", None))
    assert VOTES.question == quiz_question(quiz()[3])
    assert room(addresses.LABS).radio[0].options == list(quiz()[3].options)
    race = act(room(addresses.RACE, "presenter"), ("segmented_control", "race.course", "texts"))
    act(race, ("button", "race.ask", None), ("button", "race.reveal", None))
    assert "**All answers are right**" in said(race)


def test_open_question_can_be_closed_whatever_is_chosen(room: Room) -> None:
    presenter = own_question(room, "Louder?", "yes | no")
    act(presenter, ("text_input", "room.because", "A reason that came late"))
    assert "room.open.reveal" in [button.key for button in presenter.button], "its words have changed"
    back = room(addresses.PRESENT, "presenter")  # Streamlit forgets what was typed on a page that one leaves
    act(back, ("button", "room.open.reveal", None))
    assert VOTES.revealed
    act(back, ("button", "room.open.close", None))
    assert VOTES.question is None
    assert "Louder?" not in said(back)


def test_question_of_ones_own_is_text(room: Room) -> None:
    presenter = own_question(room, EVIL, f"{EVIL} | b", EVIL)
    student = room(addresses.LABS)
    assert not images(student)
    assert not [option for option in student.radio[0].options if "![" in option]
    again(room, presenter, "presenter", REVEAL)
    again(room, student, "student")
    assert plain(said(student)).count(plain(EVIL)) >= 2, "question and why"
    assert not images(student)
