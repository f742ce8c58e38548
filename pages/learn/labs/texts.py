"""The texts that a lab works on: recorded ones, or those of a run of one's own."""

from __future__ import annotations

import streamlit as st

from kd_core.distillation.roles import CORE
from kd_core.errors import KDError
from kd_core.learn.examples import Examples, of_run, shipped
from pages.learn.labs.controls import Controls
from pages.learn.labs.own import finished_runs
from pages.shared.text import escape

BUNDLED = "bundled"
MOST_TEXTS = 1_000  # that a list offers; a longer one would take seconds to send
_MOST_LETTERS = 72


def choose_examples(controls: Controls) -> Examples:
    """The texts that the lab works on. Raises: KDError."""
    runs = {run_id: run for run_id, run in finished_runs().items() if set(CORE) <= run.accuracy.keys()}

    def shown(source: str) -> str:
        if source == BUNDLED:
            return "200 BBC headlines, recorded"
        return f"{runs[source].title} · {source}"

    source = controls.add(
        "source",
        "selectbox",
        "Texts",
        [BUNDLED, *runs],
        format_func=shown,
        on_change=controls.start_anew,
        args=("text",),
        help="Recorded numbers that come with KD Studio, or the test texts of any finished run",
    )
    return _examples(source)


def choose_example(controls: Controls) -> tuple[Examples, int] | None:
    """The texts, and which one is chosen; None, and an error shown, where they are gone."""
    try:
        examples = choose_examples(controls)
        return examples, choose_text(controls, examples)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
        return None


def choose_text(controls: Controls, examples: Examples) -> int:
    """The number of the text, at first one that the teacher finds hard to decide."""
    rows = range(min(len(examples.texts), MOST_TEXTS))
    first = examples.undecided
    row: int = controls.add(
        "text",
        "selectbox",
        "Text",
        list(rows),
        index=first if first in rows else 0,
        format_func=lambda row: text_option(examples, row),
    )
    controls.note(f"Its label: **{escape(examples.labels[int(examples.truth[row])])}**")
    return row


def text_option(examples: Examples, row: int) -> str:
    """How the list, and a link, name a text."""
    return f"{row + 1}. {short(examples.texts[row])}"


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}…"


@st.cache_resource(max_entries=8, show_spinner="Reading the texts")
def _examples(source: str) -> Examples:
    """Raises: KDError."""
    return shipped() if source == BUNDLED else of_run(source)
