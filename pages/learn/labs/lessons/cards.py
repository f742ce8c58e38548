"""All lessons, a card each."""

from __future__ import annotations

import streamlit as st

from kd_core.learn.lessons import Lesson
from pages.shared import addresses

PAGE = addresses.LESSONS
COLUMNS = 2


def lesson_cards(lessons: list[Lesson]) -> None:
    for start in range(0, len(lessons), COLUMNS):
        for column, (number, lesson) in zip(
            st.columns(COLUMNS), enumerate(lessons[start : start + COLUMNS], start + 1), strict=False
        ):
            with column.container(border=True, height="stretch", key=f"labs.lesson_{lesson.name}"):
                # Not a page link: one to the page where one is leaves the browser's address as it was.
                if st.button(
                    f"**{number}. {lesson.title}**",
                    key=f"lessons.{lesson.name}",
                    icon=lesson.icon,
                    type="tertiary",
                ):
                    st.switch_page(PAGE, query_params={"lesson": lesson.name})
                st.markdown(lesson.about)
                st.caption(f":material/schedule: {lesson.minutes} minutes")
