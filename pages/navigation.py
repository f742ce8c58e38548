"""The pages of *Learn*, which the dashboard and a classroom have in common, and how an entry is written."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.learn.labs.catalogue import LABS
from pages.shared import addresses


def entry(script: str, title: str, icon: str, **options: Any) -> Any:
    """A page; its address is its folder's name, and the default page needs none."""
    options.setdefault("url_path", None if options.get("default") else script.split("/")[-2])
    return st.Page(script, title=title, icon=f":material/{icon}:", **options)


def learn_pages(*, lessons_first: bool = False) -> list[Any]:
    """``lessons_first``: the lessons are what opens without a path."""
    labs = [
        entry(addresses.LABS, "Labs", "school", url_path="learn"),
        *(
            st.Page(lab.page, title=lab.title, icon=lab.icon, url_path=lab.name, visibility="hidden")
            for lab in LABS
        ),
    ]
    lessons = entry(addresses.LESSONS, "Lessons", "cast_for_education", default=lessons_first)
    return [
        *([lessons, *labs] if lessons_first else [*labs, lessons]),
        entry(addresses.QUIZ, "Quiz", "quiz"),
        entry(addresses.RACE, "Race", "flag"),
        entry(addresses.GLOSSARY, "Glossary", "menu_book"),
    ]
