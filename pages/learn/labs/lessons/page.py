"""Guided lessons: the list, or one of them."""

import streamlit as st

from kd_core.errors import KDError
from kd_core.learn.lessons import lessons
from pages.learn.labs.lessons.cards import lesson_cards
from pages.learn.labs.lessons.view import lesson_view
from pages.shared.text import escape

name, step = st.query_params.get("lesson", ""), st.query_params.get("step", "1")
lesson = lessons().get(name)
if lesson is None:
    st.title("Lessons", anchor=False)
    st.markdown(
        "Each lesson asks before it tells: answer a question, find out in the lab, compare. All numbers were "
        "measured; nothing has to be trained."
    )
    if name:
        st.warning(
            f"There is no lesson “{escape(name)}”. These are the ones there are.",
            icon=":material/search_off:",
        )
    lesson_cards(list(lessons().values()))
else:
    try:
        most = len(lesson.part_names)
        lesson_view(lesson, min(max(int(step), 1), most) - 1 if step.isdecimal() else 0)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
