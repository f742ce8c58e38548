"""Lab 1, temperature: one answer of the teacher softened, and what its soft labels say of the whole task."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import slider
from kd_core.distillation.metrics import log_softmax, softmax
from kd_core.errors import KDError
from kd_core.learn.anatomy import entropy
from kd_core.learn.examples import Examples, shipped
from kd_core.system.formatting import percent, times
from pages.learn.labs.controls import Controls, question
from pages.learn.labs.texts import choose_example
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, prose, term
from pages.shared.written import decimals, written

PAGE = "temperature"
COLDEST, HOTTEST, _ = slider("objective.temperature")
CURVE = np.linspace(COLDEST, HOTTEST, 79)
LISTED = 12
SAME, OTHER, ALIKE = "The same as before", "The second one takes over", "None: all become equal"


@st.fragment
def temperature_lab() -> None:
    controls = Controls(PAGE, "source", "text", "temperature")
    if not _asked(controls):
        return
    result = controls.open()
    example = choose_example(controls)
    if example is None:
        return
    examples, row = example
    temperature = controls.setting("temperature", "Temperature")
    logits = examples.logits["teacher"][row]
    with result:
        bars, curve = st.columns([7, 5], gap="large")
        with bars:
            _bars(logits, examples, temperature)
        with curve:
            _entropy(logits, temperature)
        st.header("What you see", anchor=False)
        prose(_words(logits, examples, row, temperature))
        _numbers(logits, examples.labels, temperature)
        _over_all_texts(controls, examples)


def _asked(controls: Controls) -> bool:
    """About the recorded headline that the lab starts with, whose answer at T = 1 is all that is shown."""
    try:
        examples = shipped()
    except KDError:  # the lab says what is missing
        return True
    logits = examples.logits["teacher"][examples.undecided]
    shares = softmax(logits, HOTTEST)
    first, second = np.argsort(-logits)[:2]
    settled = question(
        controls,
        f"Below is the teacher's answer to one headline, at a temperature of 1. Raise the temperature to "
        f"{HOTTEST:g}: which class comes first then?",
        (SAME, OTHER, ALIKE),
        SAME,
        f"At T = {HOTTEST:g} {escape(examples.labels[first])} still leads, with {percent(shares[first])} "
        f"against {percent(shares[second])} for {escape(examples.labels[second])}; equal shares would be "
        f"{percent(1 / len(shares))}.",
    )
    if not settled:
        st.markdown(f"“{escape(examples.texts[examples.undecided])}”")
        _bars(logits, examples, 1.0)
    return settled


def _numbers(logits: np.ndarray, labels: tuple[str, ...], temperature: float) -> None:
    order = np.argsort(-logits, kind="stable")
    share = st.column_config.NumberColumn(format="%.1f %%")
    # One column where both temperatures are the same.
    shares = {f"T = {t:g}": 100 * softmax(logits, t)[order] for t in (1.0, temperature)}
    table = pd.DataFrame({"Class": [labels[i] for i in order], "Logit": logits[order]} | shares)
    st.dataframe(
        written(table, {"Logit": decimals(2)}),
        hide_index=True,
        key=f"{PAGE}.numbers",
        width=620,
        column_config=dict.fromkeys(shares, share),
        alt=f"Logits and probabilities of the teacher at {' and '.join(shares)}",
    )


def _bars(logits: np.ndarray, examples: Examples, temperature: float) -> None:
    order = np.argsort(-logits, kind="stable")[:2]
    shares = softmax(logits, temperature)
    chart(
        figures.temperature_preview(logits.tolist(), examples.labels, temperature, dark=is_dark()),
        key=f"{PAGE}.bars",
        alt=f"The teacher's answer at T = {temperature:g}: "
        + ", ".join(f"{examples.labels[i]} {percent(shares[i])}" for i in order),
    )


def _entropy(logits: np.ndarray, temperature: float) -> None:
    entropies = [float(entropy(log_softmax(logits, t))) for t in CURVE]
    chart(
        figures.entropy_curve(CURVE.tolist(), entropies, temperature, len(logits), dark=is_dark()),
        key=f"{PAGE}.entropy",
        alt=f"Entropy of the answer: {entropies[0]:.2f} nats at T = {COLDEST:g}, {entropies[-1]:.2f} at "
        f"T = {HOTTEST:g}",
    )
    at_one, at_t = (float(entropy(log_softmax(logits, t))) for t in (1.0, temperature))
    change = f"{at_t - at_one:+.2f}".replace("-", "−")
    st.metric(
        f"Entropy at T = {temperature:g}",
        f"{at_t:.2f} nats",
        delta=None if temperature == 1 else f"{change} against T = 1",
        delta_color="off",
        delta_arrow="off",
        help=term("entropy"),
    )


def _words(logits: np.ndarray, examples: Examples, row: int, temperature: float) -> str:
    order = np.argsort(-logits, kind="stable")
    first, second = (escape(examples.labels[i]) for i in order[:2])
    cold, hot = softmax(logits)[order], softmax(logits, temperature)[order]
    warm = temperature != 1  # else there is nothing to compare with
    start = f"At T = 1 the teacher gives {first} {percent(cold[0])} and {second} {percent(cold[1])}. "
    start += (
        f"At T = {temperature:g} it is {percent(hot[0])} and {percent(hot[1])}: dividing all logits by the "
        "same number changes how far apart the classes are, and never their order."
        if warm
        else "Move the temperature to soften the answer."
    )
    if len(order) == 2:
        return f"{start} With two classes there is no second place, and little to know beyond the answer."
    label, last = (escape(examples.labels[i]) for i in (int(examples.truth[row]), order[-1]))
    knowledge = (
        f"{start}\n\n**Why the second place is knowledge.** The label says {label}, and that all other "
        f"classes are equally wrong. The teacher says that {second} is {times(cold[1] / cold[-1])} as "
        f"likely as {last}: *dark knowledge* (Hinton, Vinyals and Dean, a talk of 2014)."
    )
    if not warm:
        return knowledge
    return (
        f"{knowledge} At T = {temperature:g} it is {times(hot[1] / hot[-1])} as likely. The higher the "
        "temperature, the more the small probabilities count in what the student has to match."
    )


def _over_all_texts(controls: Controls, examples: Examples) -> None:
    st.header(f"Over all {len(examples.texts):,} texts", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        shares = examples.similarity(1.0)  # softened, each row would tend to equal shares
        chart(
            figures.class_similarity(shares.tolist(), examples.labels, dark=is_dark()),
            key=f"{PAGE}.similarity",
            alt="Which classes the teacher finds alike, at T = 1",
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
        "Each row is a true class, over the texts that the teacher gets right. At T = 1, it shows where the "
        "probability goes that the label does not get. A row adds up to 100 %. The most one-sided row: "
        f"{percent(shares[row, column], 0)} of what is left of {escape(examples.labels[row])} goes to "
        f"{escape(examples.labels[column])}, by {len(examples.right_of(int(row))):,} texts; as the "
        "largest of all it is flattered."
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
