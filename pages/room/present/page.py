"""The presenter's page of a classroom: the way in for everybody, and questions to the room."""

import streamlit as st

from kd_core.errors import KDError
from kd_core.learn.lessons import lessons
from kd_core.learn.quiz import quiz
from pages.room.present.view import own_question, seats, way_in
from pages.shared.room.browsers import is_presenter
from pages.shared.room.questions import lesson_question, quiz_question
from pages.shared.room.vote_view import ask_the_room
from pages.shared.room.votes import VOTES, Question
from pages.shared.text import escape

OWN = "own"


def chosen_question(name: str) -> Question | None:
    """None as long as a question of one's own is not whole."""
    if name == OWN:
        return own_question()
    if name.isdecimal():
        return quiz_question(quiz()[int(name) - 1])
    return lesson_question(lessons()[name])


if not is_presenter():  # who types this page's address has no such page; this is for who finds another way
    st.stop()
st.title("The room", anchor=False)
left, right = st.columns(2, gap="large")
with left:
    way_in()
with right:
    seats()
    opened = st.container()
    st.subheader("Ask a question", anchor=False)
    names = {name: lesson.title for name, lesson in lessons().items()}
    names |= {str(number): f"Quiz {number}: {item.question}" for number, item in enumerate(quiz(), 1)}
    chosen = st.selectbox(
        "Question",
        [*names, OWN],
        format_func=lambda name: names.get(name, "A question of your own"),
        key="room.question",
    )
    try:
        question = chosen_question(chosen)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
    else:
        if VOTES.question not in (None, question):  # asked on another page, or in words that have changed
            with opened:
                ask_the_room(VOTES.question, "room.open")
        if question:
            ask_the_room(question, "room")
