"""One lesson, step by step: a question, the lab, the answer, a summary. All but the answers is in the URL."""

from __future__ import annotations

import streamlit as st

from kd_core.figures.handout import handout
from kd_core.learn.examples import shipped
from kd_core.learn.facts import Facts, facts
from kd_core.learn.lessons import Lesson, Number, lessons
from kd_core.system import formatting
from pages.learn.labs.bodies import LAB_BODIES
from pages.learn.labs.controls import reset, verdict
from pages.learn.labs.lessons.cards import PAGE
from pages.learn.labs.texts import text_option
from pages.shared import addresses
from pages.shared.presenting import presenter_switch, presenting, reset_button
from pages.shared.room.browsers import is_presenter
from pages.shared.room.questions import lesson_question
from pages.shared.room.vote_view import ask_the_room
from pages.shared.text import escape, prose
from pages.shared.visitors import in_classroom

TITLES = {"Before": "A question first", "Reveal": "The answer", "Summary": "In short"}
Answer = str | float | None


def lesson_view(lesson: Lesson, step: int) -> None:
    """Raises: DataError without the corpus that the headlines are from."""
    facts, steps = _facts(lesson.name), lesson.part_names
    part = steps[step]
    if part in lesson.lab_parts and lesson.labs[step - 1].hide and "hide" not in st.query_params:
        _go(lesson, step, facts)  # a typed address, without the lesson's settings
    title = TITLES.get(part, "Try it")
    with st.container(gap="xxsmall", key="labs.title"):
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Lessons", key="lessons.all", icon=":material/arrow_back:", type="tertiary"):
                st.switch_page(PAGE)
            reset_button("lessons.reset", _reset, lesson.name)
            st.download_button(
                "Handout",
                data=lambda: handout(lesson).encode(),
                file_name=f"{lesson.name}.html",
                mime="text/html",
                key="lessons.handout",
                icon=":material/print:",
                type="tertiary",
                on_click="ignore",
                help="The lesson as one sheet to print: the question on the front, the answer on the back",
            )
            presenter_switch()
        st.title(lesson.title, anchor=False)
    st.progress((step + 1) / len(steps), text=f"Step {step + 1} of {len(steps)} · {title}")
    if not presenting():  # on a wall that line is large enough, and what is below it has to fit
        st.header(title, anchor=False)
    answer = _answer(lesson)
    if part == "Reveal":
        _settle(lesson, facts, answer)
    prose(facts.fill(lesson.parts[part], escape))
    if part == "Before":
        if in_classroom() and is_presenter():  # the room answers
            ask_the_room(lesson_question(lesson), "lessons")
        else:
            answer = _ask(lesson, facts)
    elif part in lesson.lab_parts:
        LAB_BODIES[lesson.labs[step - 1].name]()
        with st.expander("What you should have found", icon=":material/checklist:"):
            prose(facts.fill(lesson.parts[f"Found{part.removeprefix('Lab')}"], escape))
    _buttons(lesson, step, facts, blocked=part == "Before" and answer is None and not presenting())


@st.cache_resource(max_entries=8, show_spinner="Counting")
def _facts(name: str) -> Facts:
    return facts(name)


def _place(lesson: Lesson) -> str:
    return f"lessons.answer_{lesson.name}"


def _reset(name: str) -> None:
    """Nothing answered, and the labs as the lesson opens them. A callback."""
    lesson = lessons()[name]
    st.session_state.get("lessons.answers", {}).pop(name, None)
    if _place(lesson) in st.session_state:
        st.session_state[_place(lesson)] = None
    for lab in lesson.labs:
        reset(lab.name)


def _answer(lesson: Lesson) -> Answer:
    """What was answered in this session."""
    answer: Answer = st.session_state.get("lessons.answers", {}).get(lesson.name)
    return answer


def _ask(lesson: Lesson, facts: Facts) -> Answer:
    before = _answer(lesson)
    with st.container(border=True):
        prose(f":material/help: **{facts.fill(lesson.question, escape)}**")
        answer: Answer
        if number := lesson.number:
            answer = st.number_input(
                f"Your answer, in {number.unit}",
                number.low,
                number.high,
                None if isinstance(before, str) else before,
                number.step,
                key=_place(lesson),
                format="%g",
                width=360 if presenting() else 240,
                placeholder="A guess is enough",
            )
        else:
            options = [facts.fill(option) for option in lesson.options]
            answer = st.radio(
                "Your answer",
                options,
                index=options.index(before) if before in options else None,
                format_func=escape,
                key=_place(lesson),
            )
    st.session_state.setdefault("lessons.answers", {})[lesson.name] = answer
    return answer


def _settle(lesson: Lesson, facts: Facts, answer: Answer) -> None:
    right = facts.answer
    if answer is None:
        if not presenting():
            st.caption("You did not answer in this session. Go back to the first step to have a guess.")
        return
    with st.container(border=True, key="lessons.verdict"):
        if number := lesson.number:
            low, high = facts.interval or (float(right),) * 2
            near = abs(float(answer) - float(right)) <= number.close
            colour, icon = ("green", "check_circle") if near else ("orange", "lightbulb")
            words = "Near enough." if near else "Not near."
            if not near and low <= float(answer) <= high:
                colour, icon, words = "green", "check_circle", "As possible as what was measured."
            known = "it is"
            if low < high:
                known = f"with a 95 % interval of {formatting.interval(low / 100, high / 100)}, measured is"
            prose(
                f":{colour}[:material/{icon}: **{words}**] You said {_shown(answer, number)}; {known} "
                f"{_shown(right, number)}."
            )
        else:
            verdict(answer == right, str(answer), str(right))


def _shown(value: str | float, number: Number) -> str:
    return f"{float(value):.1f} {number.unit}".replace("-", "−")


def _buttons(lesson: Lesson, step: int, facts: Facts, *, blocked: bool) -> None:
    names = list(lessons())
    after = names[names.index(lesson.name) + 1 :]
    with st.container(horizontal=True, key="lessons.buttons"):
        if step and st.button("Back", key="lessons.back", icon=":material/arrow_back:", shortcut="B"):
            _go(lesson, step - 1, facts)
        if step + 1 < len(lesson.part_names):
            if st.button(
                "Next",
                key="lessons.next",
                type="primary",
                icon=":material/arrow_forward:",
                shortcut="N",
            ):
                # Not disabled before: a click on it also ends the typing of a number, and must not be lost.
                if blocked:
                    number = lesson.number
                    within = f", with a number from {number.low:g} to {number.high:g}" if number else ""
                    st.caption(f":material/info: Answer first{within}. A guess is enough.")
                else:
                    _go(lesson, step + 1, facts)
        elif not after:
            st.page_link(addresses.QUIZ, label="Quiz", icon=":material/quiz:")
            st.page_link(addresses.LABS, label="All labs", icon=":material/school:")
        elif st.button(
            f"Next lesson: {lessons()[after[0]].title}",
            key="lessons.after",
            type="primary",
            icon=":material/arrow_forward:",
            shortcut="N",
        ):
            _go(lessons()[after[0]], 0, facts)


def _go(lesson: Lesson, step: int, facts: Facts) -> None:
    """To another step, whose lab starts with the lesson's settings."""
    parameters = {"lesson": lesson.name, "step": str(step + 1)}
    if lesson.part_names[step] in lesson.lab_parts:
        lab = lesson.labs[step - 1]
        if lab.hide:
            parameters["hide"] = ",".join(lab.hide)
        for name, value in lab.settings.items():
            filled = facts.fill(str(value))
            if name == "text":  # a link names it by its words
                filled = text_option(shipped(), int(filled))
            parameters[f"{lab.name}.{name}"] = filled
    st.switch_page(PAGE, query_params=parameters)
