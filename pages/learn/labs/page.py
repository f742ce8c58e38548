"""The labs: what each one answers."""

import streamlit as st

from pages.learn.labs.catalogue import LABS
from pages.shared import addresses

st.title("Labs", anchor=False)
st.markdown(
    "Each lab moves one idea of knowledge distillation on real numbers of a real teacher and its students. "
    "You guess first, then you find out. Nothing has to be trained. You only need to know what a neural "
    "network is."
)
COLUMNS = 3
for start in range(0, len(LABS), COLUMNS):
    for column, lab in zip(st.columns(COLUMNS), LABS[start : start + COLUMNS], strict=False):
        with column.container(border=True, height="stretch", key=f"labs.{lab.name}"):
            st.page_link(lab.page, label=f"**{lab.title}**", icon=lab.icon)
            st.markdown(lab.question)
            st.caption(f":material/schedule: {lab.minutes} minutes")
GUIDED = (
    (
        addresses.LESSONS,
        "Lessons",
        "cast_for_education",
        "Six guided lessons: answer first, then find out in the labs.",
    ),
    (addresses.QUIZ, "Quiz", "quiz", "Twelve questions at the end: what have you understood?"),
    (
        addresses.RACE,
        "Race",
        "flag",
        "Two or three settings against each other on one chart, for a live audience.",
    ),
)
for column, (address, title, icon, about) in zip(st.columns(len(GUIDED)), GUIDED, strict=True):
    with column.container(border=True, height="stretch", key=f"labs.{title.lower()}"):
        st.page_link(address, label=f"**{title}**", icon=f":material/{icon}:")
        st.markdown(about)
with st.container(key="labs.more"):
    st.page_link(addresses.GLOSSARY, label="The words, in the glossary", icon=":material/menu_book:")
