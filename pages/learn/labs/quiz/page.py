"""The closing quiz: twelve questions, each with the lab that shows the answer. Kept for this session only."""

import streamlit as st

from kd_core.learn.quiz import quiz
from pages.learn.labs.catalogue import LABS
from pages.learn.labs.controls import ask
from pages.shared import addresses
from pages.shared.text import escape

ANSWERS = "quiz.answers"

st.title("Quiz", anchor=False)
st.markdown(
    "What stays after the lessons and labs? Each answer comes with its reason, and with the lab that shows "
    "it. Your answers are forgotten when you close the page."
)
score = st.container()
answers: dict[int, str] = st.session_state.setdefault(ANSWERS, {})
labs = {lab.name: lab for lab in LABS}
for number, item in enumerate(quiz()):
    with st.container(border=True, key=f"quiz.question.{number}", gap="small"):
        given = ask(
            f"**{number + 1}.** {escape(item.question)}",
            item.options,
            item.right,
            escape(item.because),
            answers.get(number),
            key=f"quiz.{number}",
        )
        if given is not None and given != answers.get(number):
            answers[number] = given
            st.rerun()
        if given is not None:
            lab = labs[item.lab]
            st.page_link(lab.page, label=f"See it in the lab: {lab.title}", icon=lab.icon, width="content")

right = sum(answers.get(number) == item.right for number, item in enumerate(quiz()))
with score:
    st.progress(len(answers) / len(quiz()), text=f"{len(answers)} of {len(quiz())} answered, {right} right")
if answers:
    with st.container(horizontal=True):
        if st.button("Start again", key="quiz.again", icon=":material/replay:"):
            answers.clear()
            st.rerun()
        st.page_link(addresses.LESSONS, label="Lessons", icon=":material/cast_for_education:")
