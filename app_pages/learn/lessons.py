"""Guided lessons: the list, or one of them."""

import streamlit as st

from app_pages.shared.lesson_cards import lesson_cards
from app_pages.shared.lesson_view import lesson_view
from app_pages.shared.text import escape
from kd_core.errors import KDError
from kd_core.lessons import lessons

asked, step = st.query_params.get("lesson", ""), st.query_params.get("step", "1")
lesson = lessons().get(asked)
if lesson is None:
    st.title("Lessons", anchor=False)
    st.markdown(
        "Each lesson asks before it tells: answer a question, find out in the lab, compare. All numbers were "
        "measured; nothing has to be trained."
    )
    if asked:
        st.warning(
            f"There is no lesson “{escape(asked)}”. These are the ones there are.",
            icon=":material/search_off:",
        )
    lesson_cards(list(lessons().values()))
else:
    try:
        most = len(lesson.part_names)
        lesson_view(lesson, min(max(int(step), 1), most) - 1 if step.isdecimal() else 0)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
