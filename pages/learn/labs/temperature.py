"""Lab 1, temperature: one answer of the teacher softened, and what its soft labels say of the whole task."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import slider
from kd_core.distillation.metrics import log_softmax, softmax
from kd_core.learn.anatomy import entropy
from kd_core.learn.examples import Examples
from kd_core.system.formatting import percent
from pages.learn.labs.controls import Controls, choose_example, question
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, term

PAGE = "temperature"
COLDEST, HOTTEST, _ = slider("objective.temperature")
CURVE = np.linspace(COLDEST, HOTTEST, 79)
LISTED = 12
SAME, OTHER, ALIKE = "The same as before", "The second one takes over", "None: all become equal"


@st.fragment
def temperature_lab() -> None:
    controls = Controls(PAGE, "source", "text", "temperature")
    top = st.container()
    left, right = st.columns([4, 8], gap="large")
    example = choose_example(controls, left)
    if example is None:
        return
    examples, row = example
    temperature = controls.setting("temperature", "Temperature")
    logits = examples.logits["teacher"][row]
    with top:
        _question(controls, logits, examples)
    with left:
        _numbers(logits, examples.labels, temperature)
    with right:
        _pictures(logits, examples, temperature)
    st.header("What you see", anchor=False)
    st.markdown(_words(logits, examples, row, temperature))
    _over_all_texts(controls, examples, temperature)


def _question(controls: Controls, logits: np.ndarray, examples: Examples) -> None:
    shares = softmax(logits, HOTTEST)
    first, second = np.argsort(-logits)[:2]
    question(
        controls,
        f"Raise the temperature from 1 to {HOTTEST:g}. Which class comes first then?",
        (SAME, OTHER, ALIKE),
        SAME,
        f"At T = {HOTTEST:g} {escape(examples.labels[first])} still leads, with {percent(shares[first])} "
        f"against {percent(shares[second])} for {escape(examples.labels[second])}; equal shares would be "
        f"{percent(1 / len(shares))}.",
    )


def _numbers(logits: np.ndarray, labels: tuple[str, ...], temperature: float) -> None:
    order = np.argsort(-logits, kind="stable")
    share = st.column_config.NumberColumn(format="%.1f %%")
    hot = f"T = {temperature:g}"
    columns = {
        "Class": [labels[i] for i in order],
        "Logit": logits[order],
        "T = 1": 100 * softmax(logits)[order],
    }
    st.dataframe(
        pd.DataFrame(columns | {hot: 100 * softmax(logits, temperature)[order]}),
        hide_index=True,
        key=f"{PAGE}.numbers",
        column_config={"Logit": st.column_config.NumberColumn(format="%.2f"), "T = 1": share, hot: share},
        alt=f"Logits and probabilities of the teacher at T = 1 and T = {temperature:g}",
    )
    at_one, at_t = (float(entropy(log_softmax(logits, t))) for t in (1.0, temperature))
    st.metric(
        f"Entropy at T = {temperature:g}",
        f"{at_t:.2f} nats",
        delta=f"{at_t - at_one:+.2f} against T = 1".replace("-", "−"),
        delta_color="off",
        help=term("entropy"),
    )


def _pictures(logits: np.ndarray, examples: Examples, temperature: float) -> None:
    order = np.argsort(-logits, kind="stable")[:2]
    shares = softmax(logits, temperature)
    chart(
        figures.temperature_preview(logits.tolist(), examples.labels, temperature, dark=is_dark()),
        key=f"{PAGE}.bars",
        alt=f"The teacher's answer at T = {temperature:g}: "
        + ", ".join(f"{examples.labels[i]} {percent(shares[i])}" for i in order),
    )
    entropies = [float(entropy(log_softmax(logits, t))) for t in CURVE]
    chart(
        figures.entropy_curve(CURVE.tolist(), entropies, temperature, len(logits), dark=is_dark()),
        key=f"{PAGE}.entropy",
        alt=f"Entropy of the answer: {entropies[0]:.2f} nats at T = {COLDEST:g}, {entropies[-1]:.2f} at "
        f"T = {HOTTEST:g}",
    )


def _words(logits: np.ndarray, examples: Examples, row: int, temperature: float) -> str:
    order = np.argsort(-logits, kind="stable")
    first, second = (escape(examples.labels[i]) for i in order[:2])
    cold, hot = softmax(logits)[order], softmax(logits, temperature)[order]
    start = (
        f"As it is (T = 1), the teacher gives {first} {percent(cold[0])} and {second} {percent(cold[1])}. "
        f"At T = {temperature:g} it is {percent(hot[0])} and {percent(hot[1])}: dividing all logits by the "
        "same number changes how far apart the classes are, and never their order."
    )
    if len(order) == 2:
        return f"{start} With two classes there is no second place, so little to know beyond the answer."
    label, last = (escape(examples.labels[i]) for i in (int(examples.truth[row]), order[-1]))
    return (
        f"{start}\n\n**Why the second place is knowledge.** The label says {label}, and that all else is "
        f"equally wrong. The teacher says that {second} is {_times(cold[1] / cold[-1])} as likely as {last}: "
        f"*dark knowledge* (Hinton, Vinyals and Dean 2014; arXiv 1503.02531). At T = {temperature:g} it is "
        f"{_times(hot[1] / hot[-1])} as likely. The higher the temperature, the more the small probabilities "
        "count in what the student has to match."
    )


def _times(ratio: float) -> str:
    return f"{ratio:,.1f} times" if ratio < 100 else f"{ratio:,.0f} times"


def _over_all_texts(controls: Controls, examples: Examples, temperature: float) -> None:
    st.header(f"Over all {len(examples.texts):,} texts", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        shares = examples.similarity(temperature)
        chart(
            figures.class_similarity(shares.tolist(), examples.labels, dark=is_dark()),
            key=f"{PAGE}.similarity",
            alt=f"Which classes the teacher finds alike, at T = {temperature:g}",
        )
        st.caption(_closest(examples, shares))
    with right:
        undecided, doubtful = st.tabs(["Most undecided", "Against their label"])
        with undecided:
            entropies = examples.entropies()
            rows = np.argsort(-entropies, kind="stable")[:LISTED]
            _table(controls, examples, rows, "undecided", {"Entropy": entropies[rows]})
            st.caption("By entropy at T = 1. Choose a row to look at its text above.")
        with doubtful:
            rows = examples.disagreements()
            if not len(rows):
                st.info("The teacher agrees with every label here.", icon=":material/check:")
                return
            rows, count = rows[:LISTED], len(rows)
            sure = 100 * softmax(examples.logits["teacher"][rows]).max(axis=1)
            _table(controls, examples, rows, "doubtful", {"Sure": sure})
            st.caption(
                f"The teacher disagrees with {count:,} of {len(examples.texts):,} labels, the surest "
                "first. Either it is mistaken, or the label is: these are the ones to read again."
            )


def _closest(examples: Examples, shares: np.ndarray) -> str:
    if np.isnan(shares).all():
        return "The teacher gets none of these texts right, so what it leaves to other classes is its error."
    row, column = np.unravel_index(int(np.nanargmax(shares)), shares.shape)
    return (
        "Each row is a true class, over the texts that the teacher gets right: what it does not give to the "
        "label, and where it goes instead. "
        f"Most one-sided of all: {percent(shares[row, column], 0)} of what is left of "
        f"{escape(examples.labels[row])} goes to {escape(examples.labels[column])}."
    )


def _table(
    controls: Controls, examples: Examples, rows: np.ndarray, name: str, measure: dict[str, np.ndarray]
) -> None:
    names, key = np.array(examples.labels), f"{PAGE}.{name}"

    def choose() -> None:
        if chosen := st.session_state[key].selection.rows:
            st.session_state[controls.key("text")] = int(rows[chosen[0]])

    columns = {
        "Text": [examples.texts[row] for row in rows],
        **measure,  # beside the text, so that a phone shows what the rows are ranked by
        "Label": names[examples.truth[rows]],
        "Teacher": names[examples.logits["teacher"][rows].argmax(axis=1)],
    }
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        key=key,
        height=300,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            "Text": st.column_config.TextColumn(width=180),
            "Sure": st.column_config.NumberColumn(format="%.0f %%", width=60),
            "Entropy": st.column_config.NumberColumn(format="%.2f", width=70),
        },
        alt="Texts, their labels and the teacher's answers",
    )
