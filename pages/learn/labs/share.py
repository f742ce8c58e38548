"""A presenter's link to a lab: question first, then the lab, then what is right. All of it is in the address.

Besides ``hide`` and ``ask`` (see ``controls``) it may say ``options=a|b`` to choose from, ``answer=a``.
"""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from pages.learn.labs.controls import QUESTION, labels_of
from pages.shared.text import escape

BETWEEN = "|"
MOST_LETTERS = 300


def ask_first(name: str) -> bool:
    """Ask the link's question, if it has one; whether it is answered, so that the lab may be seen."""
    question = st.query_params.get("ask")
    if not question or _guess(name, question):
        return True
    with st.container(border=True):
        st.markdown(f":material/help: **{escape(question)}**")
        options = _options(st.query_params.get("options", ""))
        key = f"{name}.asked"
        with st.form(f"{name}.asked_form", border=False):
            guess = (
                st.radio("Your answer", options, format_func=escape, index=None, key=key)
                if options
                else st.text_input("Your answer", key=key, max_chars=MOST_LETTERS, width=420)
            )
            if st.form_submit_button("Show the lab", type="primary", icon=":material/visibility:"):
                if not (guess or "").strip():
                    st.caption(":material/info: Answer first. A guess is enough.")
                    return False
                st.session_state[_place(name)] = (question, guess)
                st.rerun()
    return False


def reveal(name: str) -> None:
    """Below the lab: the visitor's answer, and beside it the presenter's once the visitor asks for it."""
    question = st.query_params.get("ask")
    if not question:
        return
    guess, right = _guess(name, question), st.query_params.get("answer")
    with st.container(border=True, key=f"{name}.reveal"):
        st.markdown(f":material/help: **{escape(question)}**")
        st.markdown(f"Your answer: **{escape(guess)}**")
        if not right:
            st.caption("What does the lab say? Compare it with your answer.")
        elif st.session_state.get(f"{name}.revealed") == question:
            verdict = "Right." if _same(guess, right) else f"The answer is: {escape(right)}."
            colour, icon = ("green", "check_circle") if _same(guess, right) else ("orange", "lightbulb")
            st.markdown(f":{colour}[:material/{icon}: **{verdict}**]")
        elif st.button("Show the answer", key=f"{name}.show", icon=":material/visibility:"):
            st.session_state[f"{name}.revealed"] = question
            st.rerun()


@st.fragment
def share(name: str) -> None:
    """A link that opens the lab as it stands, with controls out of sight and a question before it."""
    labels = {**labels_of(name), QUESTION: "The lab's own question"}
    with st.expander("Share this lab", icon=":material/share:"):
        st.markdown(
            "Make a link that opens this lab with the settings that it has now. With a question, whoever "
            "opens it answers first, then sees the lab, then what is right."
        )
        hide = st.pills(
            "Keep out of sight",
            list(labels),
            selection_mode="multi",
            format_func=lambda control: escape(labels[control]),
            key=f"{name}.share_hide",
        )
        question = st.text_input("Question (optional)", key=f"{name}.share_ask", max_chars=MOST_LETTERS)
        left, right = st.columns(2)
        options = left.text_input(
            "Answers to choose from (optional)",
            key=f"{name}.share_options",
            max_chars=MOST_LETTERS,
            placeholder="Larger | Smaller | The same",
            help="With | between them; without any, the answer is typed in",
            disabled=not question,
        )
        answer = right.text_input(
            "What is right (optional)",
            key=f"{name}.share_answer",
            max_chars=MOST_LETTERS,
            help="It is in the link too, where a curious visitor can read it",
            disabled=not question,
        )
        problem = _problem(options, answer) if question else None
        if problem:
            st.caption(f":material/warning: {problem}")
        link, made = _link(name, hide, question, options, answer), f"{name}.share_link"
        if st.button(
            "Make the link", key=f"{name}.share_make", icon=":material/link:", disabled=problem is not None
        ):
            st.session_state[made] = link
        if st.session_state.get(made) == link:  # until something else is chosen
            st.code(link, language=None, wrap_lines=True)
            st.caption("Copy it with the button at its end. It has the settings of this moment.")


def _problem(options: str, answer: str) -> str | None:
    choices = _options(options)
    if len(choices) == 1:
        return "One answer leaves no choice: put | between two or more."
    if choices and answer.strip() and answer.strip() not in choices:
        return f"What is right has to be one of the answers: {escape(', '.join(choices))}."
    return None


def _link(name: str, hide: list[str], question: str, options: str, answer: str) -> str:
    settings = {key: value for key, value in st.query_params.items() if key.startswith(f"{name}.")}
    parameters = {"hide": ",".join(hide), "ask": question.strip()}
    if question.strip():
        parameters |= {"options": BETWEEN.join(_options(options)), "answer": answer.strip()}
    address = (st.context.url or f"/{name}").split("?")[0]
    query = urlencode({**settings, **{key: value for key, value in parameters.items() if value}})
    return f"{address}?{query}" if query else address


def _options(text: str) -> list[str]:
    return list(dict.fromkeys(option.strip() for option in text.split(BETWEEN) if option.strip()))


def _same(guess: str, right: str) -> bool:
    return guess.strip().casefold() == right.strip().casefold()


def _place(name: str) -> str:
    return f"{name}.answered"


def _guess(name: str, question: str) -> str:
    """This visitor's answer to this very question; empty before there is one."""
    answered, guess = st.session_state.get(_place(name), ("", ""))
    return guess if answered == question else ""
