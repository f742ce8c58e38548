"""The form's second half: temperature, alpha, and everything that is folded away."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import streamlit as st

from kd_core import figures
from kd_core.config import ObjectiveConfig, TrainingConfig, sections
from kd_core.data.bundled import TASKS
from kd_core.distillation.metrics import softmax
from kd_core.figures.split import loss_split, split_in_words, split_spoken
from kd_core.learn.recorded import Recorded, recorded
from pages.shared.charts import chart, is_dark
from pages.shared.fields import field
from pages.shared.run_form.consent import typed
from pages.shared.run_form.link import key
from pages.shared.text import term
from pages.shared.upload import CONSENTS

# Settings with a place of their own in the form; the rest is advanced.
SHOWN = {
    "task.name",
    *(
        f"{model}.{size}"
        for model in ("teacher", "student")
        for size in ("model", "layers", "hidden", "heads")
    ),
    "objective.temperature",
    "objective.alpha",
}
OF_A_FILE = {"text_column", "label_column", "test_file", "transfer_file", "encoding", "delimiter"}
OF_A_FILE |= set(CONSENTS)
OF_A_FILE |= {"knowledge", "answer_columns", "answers", "gold", "normalise", "smoothing"}
NAMED = {"transfer_texts": "transfer set", "seed": "seed"}  # settings that are terms of the glossary
TITLES = {
    "task": "Task",
    "teacher": "Teacher",
    "student": "Student",
    "objective": "Objective",
    "training": "Training of the students",
    "controls": "Comparison",
}
METRICS = ("auto", "accuracy", "macro_f1")  # of any task


def choose_objective() -> dict[str, Any]:
    temperature = field(
        ObjectiveConfig, "temperature", key=key("objective.temperature"), help=term("temperature")
    )
    alpha = field(
        ObjectiveConfig,
        "alpha",
        key=key("objective.alpha"),
        label="Alpha: who the student listens to",
        help=term("alpha"),
    )
    with st.container(gap="xxsmall", key="distill.alpha_split"):
        st.image(loss_split(alpha, dark=is_dark()), width="stretch", alt=split_spoken(alpha))
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            for end in split_in_words(alpha):
                st.caption(end, width="content")
    return {"temperature": temperature, "alpha": alpha}


def choose_rest(task: dict[str, Any], *, without: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """All other settings, by section, each with its default until it is changed."""
    typed_in = task["name"] not in TASKS and len(task) == 1  # neither bundled nor saved with its settings
    values: dict[str, dict[str, Any]] = {}
    for section, fields in sections():
        names = [
            name
            for name in fields.model_fields
            if f"{section}.{name}" not in {*SHOWN, *without}
            and (section != "task" or typed_in or name not in OF_A_FILE)
        ]
        st.markdown(f"**{TITLES[section]}**", help=term("teacher") if section == "teacher" else None)
        values[section] = {
            name: choose_seeds()
            if name == "seeds"
            else field(fields, name, key=key(f"{section}.{name}"), **_meaning(name), **_noted(section, name))
            for name in names
        }
    return values


def choose_seeds(*, container: Any = st) -> Any:
    """The seeds, and what they ask for in words: "0" alone looks like none."""
    typed = field(TrainingConfig, "seeds", key=key("training.seeds"), container=container)
    count = len([seed for seed in str(typed or "").split(",") if seed.strip()])
    st.caption(  # as wide as the form
        f"{count} trainings of each student, and their mean."
        if count > 1
        else "One training of each student. Type 0,1,2 for three, and chance counts for less."
    )
    return typed


def _noted(section: str, name: str) -> dict[str, Any]:
    """A file that is typed in was meant; one that a link names is asked about. f1:CLASS may be typed in."""
    place = key(f"{section}.{name}")
    if name == "metric":
        chosen = st.query_params.get(place) or METRICS[0]
        return {"options": list(dict.fromkeys([*METRICS, chosen])), "accept_new_options": True}
    return {"on_change": typed, "args": (place,)} if name in ("test_file", "transfer_file") else {}


def _meaning(name: str) -> dict[str, str]:
    """The glossary's words, where a setting is named by one of its terms."""
    return {"help": term(NAMED[name])} if name in NAMED else {}


def show_softening(temperature: float) -> None:
    """How T softens what a real teacher said about one headline."""
    examples = recorded()
    row = _undecided(examples)
    logits = examples.logits["teacher"][row].tolist()
    chart(
        figures.temperature_preview(logits, examples.labels, temperature, dark=is_dark()),
        key="distill.softening",
        alt=_in_words(examples, row, temperature),
    )


@st.cache_data(show_spinner=False)
def headline() -> str:
    """The headline of the preview."""
    examples = recorded()
    return examples.texts()[_undecided(examples)]


def _undecided(examples: Recorded) -> int:
    """A headline that the teacher gets right without being sure: T shows most there."""
    shares = softmax(examples.logits["teacher"])
    right = shares.argmax(axis=1) == examples.truth
    return int(np.argmin(np.abs(shares.max(axis=1) - 0.85) + 10 * ~right))


def _in_words(examples: Recorded, row: int, temperature: float) -> str:
    first = int(examples.logits["teacher"][row].argmax())
    before, after = (100 * softmax(examples.logits["teacher"][row], t)[first] for t in (1.0, temperature))
    return (
        f"The teacher's probability of {examples.labels[first]} for one headline: {before:.0f} % at T = 1, "
        f"{after:.0f} % at T = {temperature:g}."
    )
