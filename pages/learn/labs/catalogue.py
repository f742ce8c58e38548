"""The labs there are: the question that each answers, and the frame around its page."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.learn.labs.controls import reset
from pages.shared import addresses
from pages.shared.presenting import presenter_switch, presenting, reset_button


@dataclass(frozen=True)
class Lab:
    """One lab; ``name`` is its file in ``learn/labs/scripts`` and its address."""

    name: str
    title: str
    icon: str
    question: str
    minutes: int

    @property
    def page(self) -> str:
        return addresses.lab(self.name)


LABS = (
    Lab(
        "temperature",
        "Temperature",
        ":material/thermostat:",
        "What does the teacher know beyond its answer, and how does a temperature bring it out?",
        3,
    ),
    Lab(
        "loss",
        "The loss, number by number",
        ":material/function:",
        "How do two models' outputs and a label become one number, and which way does it push?",
        5,
    ),
    Lab(
        "divergence",
        "Which way round?",
        ":material/swap_horiz:",
        "A student too small to copy its teacher must give something up. Which loss gives up what?",
        5,
    ),
    Lab(
        "transfer",
        "What does the student learn from?",
        ":material/database:",
        "Labels, the teacher's answers to the same texts, and its answers to more texts: what does each add?",
        4,
    ),
    Lab(
        "size",
        "How small can it be?",
        ":material/grid_on:",
        "Layers and width cost parameters and time. How little of both is enough?",
        3,
    ),
    Lab(
        "replay",
        "Replay",
        ":material/replay:",
        "How does a student come to answer like its teacher: what does it learn early, late, or never?",
        4,
    ),
    Lab(
        "choosing",
        "Choosing honestly",
        ":material/rule:",
        "Of several settings you take the best. How much of its lead is luck, and how do you find out?",
        4,
    ),
    Lab(
        "claims",
        "Papers, tested here",
        ":material/fact_check:",
        "Three papers say what distillation can do. Does it hold for these texts and these models?",
        8,
    ),
)


def lab_title(name: str) -> None:
    lab = next(lab for lab in LABS if lab.name == name)
    with st.container(gap="xxsmall", key="labs.title"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link(addresses.LABS, label="Labs", icon=":material/arrow_back:", width="content")
            reset_button("labs.reset", reset, name)
            presenter_switch()
        st.title(lab.title, anchor=False)
    st.markdown(lab.question)


def lab_links(name: str) -> None:
    """Where to go from here."""
    number = next(number for number, lab in enumerate(LABS) if lab.name == name)
    st.divider()
    with st.container(horizontal=True, key="labs.links"):
        if number and presenting():
            before = LABS[number - 1]
            with st.container(key="labs.back", width="content"):
                st.page_link(before.page, label=f"Back: {before.title}", icon=before.icon, width="content")
        if number + 1 < len(LABS):
            after = LABS[number + 1]
            with st.container(key="labs.next", width="content"):
                st.page_link(after.page, label=f"Next: {after.title}", icon=after.icon, width="content")
        st.page_link(addresses.GLOSSARY, label="Glossary", icon=":material/menu_book:", width="content")
