"""The open question as a student sees it above every page, and as the presenter does."""

from __future__ import annotations

import streamlit as st

from pages.shared.room.browsers import SEATED, is_presenter, this_browser
from pages.shared.room.votes import VOTES, Question
from pages.shared.text import escape, prose

POLL, COUNT = 3, 1  # seconds between two looks, of a student and of the presenter
BESIDE = 48  # characters of options that have room beside each other, at a projector's size


def vote_bar() -> None:
    """For students: nothing until a question is open."""
    st.fragment(_bar, run_every=POLL)()


def _bar() -> None:
    question, number, browser = VOTES.question, VOTES.number, this_browser()
    if question is None or browser is None:
        return
    with st.container(border=True, key="vote"):
        st.markdown(f":material/how_to_vote: **{question.words}**")
        mine = VOTES.answer_of(browser)
        if VOTES.revealed:
            _tally(question)
            if mine:
                st.markdown(f"Your answer: **{escape(mine)}**")
        elif mine:
            st.markdown(f"Your answer: **{escape(mine)}**. It counts; wait for the others.")
        else:
            choice = st.radio(
                "Your answer", question.options, index=None, format_func=escape, key=f"vote.answer_{number}"
            )
            st.button(
                "Send",
                key=f"vote.send_{number}",
                type="primary",
                icon=":material/send:",
                disabled=choice is None,
                on_click=_send,
                args=(browser, question, choice or ""),
                help="Each browser answers once",
            )


def _send(browser: str, question: Question, option: str) -> None:
    VOTES.answer(browser, question, option)


def ask_the_room(question: Question, key: str) -> None:
    """For the presenter: open this question, watch the tally, reveal. Nothing for anybody else."""
    if is_presenter():
        st.fragment(_ask, run_every=COUNT if VOTES.question == question else None)(question, key)


def _ask(question: Question, key: str) -> None:
    with st.container(border=True, key=f"{key}.room"):
        st.markdown(f":material/how_to_vote: **{question.words}**")
        if VOTES.question != question:
            st.caption(" · ".join(escape(option) for option in question.options))
            label = "Ask the room" if VOTES.question is None else "Ask the room this instead"
            if st.button(label, key=f"{key}.ask", type="primary", icon=":material/how_to_vote:"):
                VOTES.open(question)
                st.rerun()
            return
        tally = VOTES.tally()
        # Above the bars: below them the last ones push it out of view.
        with st.container(horizontal=True, vertical_alignment="center"):
            if not VOTES.revealed:
                st.button(
                    "Reveal",
                    key=f"{key}.reveal",
                    type="primary",
                    icon=":material/visibility:",
                    on_click=VOTES.reveal,
                )
            if st.button("Close the question", key=f"{key}.close", icon=":material/close:"):
                VOTES.close()
                st.rerun()
            if not VOTES.revealed:
                voters = VOTES.voters()  # a phone that goes to sleep leaves the room, its answer stays
                words = f"**{len(voters)}** of {len(SEATED.keys() | voters)} "
                words += f"{'has' if len(voters) == 1 else 'have'} answered"
                st.markdown(words, width="content")
        if VOTES.revealed:
            _tally(question, beside=True)
        else:
            _bars(tally, (), beside=True)


def _tally(question: Question, *, beside: bool = False) -> None:
    """How the room answered, what is right, why, and where everybody can see it."""
    _bars(VOTES.tally(), question.right, beside=beside)
    if question.right:
        right = "All answers are right" if len(question.right) == len(question.options) else None
        right = right or escape(" or ".join(question.right))
        st.markdown(f":green[:material/check_circle: **{right}**]")
    if question.because:
        prose(question.because)
    if question.link:
        page, label = question.link
        st.page_link(page, label=label, icon=":material/arrow_forward:", width="content")


def _bars(tally: dict[str, int], right: tuple[str, ...], *, beside: bool = False) -> None:
    """How many chose each option; ``beside`` each other on a projector, where a column would not fit.

    Long ones are below each other there too: a word that has no room is broken.
    """
    answers = sum(tally.values())
    beside = beside and len(tally) * max(map(len, tally), default=0) <= BESIDE
    places = st.columns(len(tally), vertical_alignment="bottom") if beside else [st.container()] * len(tally)
    for place, (option, count) in zip(places, tally.items(), strict=True):
        mark = ":material/check_circle: " if option in right else ""
        place.progress(count / max(answers, 1), text=f"{mark}**{count}** · {escape(option)}")
