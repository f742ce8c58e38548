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
        "Settings against each other on one chart, for a live audience.",
    ),
    (addresses.GLOSSARY, "Glossary", "menu_book", "What each word means, in a sentence or two."),
)
COLUMNS = 3
places = [
    *((lab.page, lab.name, lab.title, lab.icon, lab.question, lab.minutes) for lab in LABS),
    *(
        (address, title.lower(), title, f":material/{icon}:", about, None)
        for address, title, icon, about in GUIDED
    ),
]
for start in range(0, len(places), COLUMNS):
    for column, (address, name, title, icon, about, minutes) in zip(
        st.columns(COLUMNS), places[start : start + COLUMNS], strict=False
    ):
        with column.container(border=True, height="stretch", key=f"labs.{name}"):
            st.page_link(address, label=f"**{title}**", icon=icon)
            st.markdown(about)
            if minutes:
                st.caption(f":material/schedule: {minutes} minutes")
