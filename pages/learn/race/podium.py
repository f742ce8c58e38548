"""What is said of a race: who leads, who stands where at the end, and what the test texts can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from kd_core.learn.race import Pair
from kd_core.learn.recorded import recorded_lab
from kd_core.system import formatting
from pages.shared.text import escape

ORDINALS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}


def leader(standings: tuple[int, Mapping[str, float]] | None, lanes: int) -> str:
    """``standings`` as from ``kd_core.learn.race.standing``."""
    if standings is None:
        return "Nobody has started. The first look at the validation texts opens the race."
    step, accuracies = standings
    (first, best), *others = accuracies.items()
    if not others:
        return f"So far only {escape(first)} has started: {formatting.percent(best)} at step {step:,}."
    second, next_best = others[0]
    field = "all lanes" if len(accuracies) == lanes else "the lanes so far"
    *level, last = (escape(name) for name, accuracy in accuracies.items() if accuracy == best)
    if level:
        return (
            f"At step {step:,}, which {field} have reached, {', '.join(level)} and {last} are level with "
            f"{formatting.percent(best)} of the validation texts."
        )
    return (
        f"At step {step:,}, which {field} have reached, {escape(first)} leads with "
        f"{formatting.percent(best)} of the validation texts, {100 * (best - next_best):.1f} points before "
        f"{escape(second)}."
    )


def last_look(name: str, curve: pd.DataFrame) -> str:
    """For the chart's description."""
    if curve.empty:
        return f"{name} has not started"
    step = curve["step"].iloc[-1]
    accuracy = float(curve.loc[curve["step"] == step, "accuracy"].mean())
    return f"{name} {formatting.percent(accuracy)} at step {step:,}"


def place(name: str, rank: Mapping[str, int]) -> str:
    """ "2nd" or "1st, shared"."""
    shared = list(rank.values()).count(rank[name]) > 1
    return f"{ORDINALS[rank[name]]}{', shared' if shared else ''}"


def podium(
    rows: Sequence[Mapping[str, Any]],
    compared: Sequence[Pair],
    names: Mapping[str, str],
    seeds: str,
) -> None:
    """``rows`` of the table, best first; ``seeds`` says over which seeds the numbers are."""
    st.subheader("Podium", anchor=False)
    st.table(pd.DataFrame(rows).map(escape), hide_index=True, alt="Places and test accuracies")
    for pair in compared:
        st.markdown(f"- {_in_words(pair, names)}")
    st.caption(
        f"Accuracies: {formatting.ABOUT_PLUS_MINUS}. Differences text by text, each with its 95 % "
        f"interval. {seeds}"
    )


def between_seeds() -> float:
    """The largest distance between two recorded students that differ only in their seed.

    Without those that start from nothing, which differ more and do not race.
    """
    cells = pd.DataFrame(recorded_lab("transfer")["cells"])
    cells = cells[cells["who"] != "plain_start"]
    accuracies = cells.groupby(["who", "transfer"])["accuracy"]
    return float((accuracies.max() - accuracies.min()).max())


def winners(rank: Mapping[str, int]) -> list[str]:
    return [name for name, place in rank.items() if place == 1]


def result(rank: Mapping[str, int], names: Mapping[str, str]) -> str:
    """Who has won, which stands where the leader was said."""
    first = [escape(names[name]) for name in winners(rank)]
    if len(first) == 1:
        return f":material/trophy: **{first[0]} wins.**"
    return (
        f":material/balance: **{', '.join(first[:-1])} and {first[-1]} share the first place: the test texts "
        "cannot tell them from the best.**"
    )


def _in_words(pair: Pair, names: Mapping[str, str]) -> str:
    ahead, behind, gain = escape(names[pair.ahead]), escape(names[pair.behind]), pair.verdict
    span = formatting.interval(gain.low, gain.high)
    gap = f"{formatting.points(gain.delta)} ({span}, {gain.n:,} test texts)"
    if pair.told_apart:
        return f"{ahead} is better than {behind}: {gap}."
    return f"{ahead} and {behind} cannot be told apart: {gap}."
