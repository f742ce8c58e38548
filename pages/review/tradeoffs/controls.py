"""Trade-offs: which candidates, on which axes, within which limits. All of it is in the address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from kd_core.config import HUB_PREFIX
from kd_core.deployment import tradeoffs
from kd_core.deployment.tradeoffs import COSTS, TEST, Cost, Limits
from kd_core.distillation import roles
from kd_core.system.formatting import capitalised, in_sentence
from pages.shared.text import escape, told_apart
from pages.shared.typed import as_typed

COST_NAMES: dict[Cost, str] = {
    "size": "Size",
    "latency": "Latency",
    "params": "Parameters",
    "flops": "FLOPs",
}
LIMITS = (  # of ``Limits``: the words around the number, its step, and what it means
    ("size", "at most", "MB", 1.0, "on disk"),
    ("latency", "at most", "ms", 0.1, "per text"),
    ("accuracy", "at least", "%", 1.0, ""),
)
RATIOS: tuple[Cost, ...] = ("size", "latency")  # twice as small is what counts, not by how many MB
DECADE = 10  # other costs that differ by more are easier to see on a log scale


@dataclass(frozen=True)
class View:
    """What is to be drawn: the candidates of one task, with the accuracy that was asked for."""

    frame: pd.DataFrame
    texts: str
    cost: Cost
    log: bool

    @property
    def texts_name(self) -> str:
        return _texts_name(self.texts)

    @property
    def measures(self) -> str:
        """What they are judged by: "Accuracy", "Macro-F1", "F1 of spam"; "Agreement" without gold labels."""
        return _measures(self.frame)

    def within(self, limits: Limits) -> View:
        """With the columns ``fits`` and ``front``."""
        on_front = tradeoffs.front(
            self.frame[self.cost].to_numpy(float), self.frame["accuracy"].to_numpy(float)
        )
        fits = tradeoffs.fitting(self.frame, limits)
        return replace(self, frame=self.frame.assign(fits=fits, front=on_front))


def choose_view(candidates: pd.DataFrame) -> View:
    """The row of choices above the chart."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        frame = _of_one_task(candidates)
        titles = told_apart(dict(zip(frame["run"], frame["name"], strict=True)))
        frame = frame.assign(name=frame["run"].map(titles))
        texts = st.selectbox(
            f"{escape(_measures(frame))} on",
            tradeoffs.sets(frame),
            format_func=_texts_name,
            key="tradeoffs.texts",
            bind="query-params",
            width=180,
            help="The test texts as they are, corrupted, or of another kind: see what a model loses there",
        )
        as_typed("tradeoffs.against", {name: (name, words) for name, words in COST_NAMES.items()})
        cost = st.segmented_control(
            "Against",
            COSTS,
            default="size",
            required=True,
            format_func=COST_NAMES.__getitem__,
            key="tradeoffs.against",
            bind="query-params",
        )
        costs = frame[cost].dropna()
        log = st.toggle(
            "Log scale",
            value=cost in RATIOS or bool(costs.max() >= DECADE * costs.min()),
            key=f"tradeoffs.log_{cost}",  # each cost has its own range, and so its own default
            bind="query-params",
        )
        present = [who for who in roles.NAMES if (frame["who"] == who).any()]
        names = {who: (who, roles.SHORT_NAMES[who], roles.NAMES[who]) for who in present}
        as_typed("tradeoffs.models", names, several=True)
        shown = st.pills(
            "Models",
            present,
            selection_mode="multi",
            default=[who for who in present if who != "labelled_only"],
            format_func=roles.SHORT_NAMES.__getitem__,
            key="tradeoffs.models",
            bind="query-params",
        )
        frame = _of_one_machine(frame)
    frame = frame[frame["who"].isin(shown)]
    judged = tradeoffs.judged_on(frame, texts)
    if unknown := len(frame) - len(judged):
        st.caption(
            f":material/visibility_off: {unknown:,} of {len(frame):,} models {_why_unknown(frame, texts)}"
        )
    return View(judged, texts, cost, log)


def _measures(frame: pd.DataFrame) -> str:
    """Of one task's candidates."""
    return capitalised(str(frame["measures"].iloc[0])) if len(frame) else "Accuracy"


def _why_unknown(frame: pd.DataFrame, texts: str) -> str:
    if texts == TEST:
        measured = escape(in_sentence(_measures(frame)))
        return f"were measured by an older version, which kept no {measured}. Export or benchmark them again."
    return (
        f"were not measured on {escape(texts)}. Runs do that for their PyTorch models, exports for the "
        "student's ONNX forms."
    )


def choose_limits(measures: str) -> Limits:
    """Sentences with a number to fill in; empty is no limit. ``measures``: as ``View.measures``."""
    limits = {}
    right = "right" if measures == "Accuracy" else escape(in_sentence(measures))
    for name, before, unit, step, meaning in LIMITS:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(before, width=58)
            limits[name] = st.number_input(
                f"{before.capitalize()}, {unit}",
                min_value=0.0,
                max_value=100.0 if unit == "%" else None,
                value=None,
                step=step,
                format="%g",
                placeholder="any",
                label_visibility="collapsed",
                width=138,  # "10.7" and three buttons
                key=f"tradeoffs.{name}",
                bind="query-params",
            )
            st.markdown(f"{unit} {meaning or right}", width="content")
    if limits["accuracy"] is not None:
        limits["accuracy"] /= 100
    return Limits(**limits)


def _of_one_task(candidates: pd.DataFrame) -> pd.DataFrame:
    """Accuracies on different tasks compare with nothing. The newest run's task, unless another is chosen."""
    tasks = list(candidates["task"].unique())
    labels = _short_names(tasks)
    task = st.selectbox(
        "Task",
        tasks,
        format_func=lambda task: labels.get(task, task),
        key="tradeoffs.task",
        bind="query-params",
        width=240,
    )
    return candidates[candidates["task"] == task]


def _of_one_machine(frame: pd.DataFrame) -> pd.DataFrame:
    """Times that were measured under different conditions are not mixed."""
    counts = frame["conditions"].value_counts()
    by_trust = sorted(counts.index, key=tradeoffs.disturbed)
    if len(counts) < 2:
        if any(map(tradeoffs.disturbed, by_trust)):
            st.caption(
                ":material/timer_off: All of them were timed beside other work, which slows a slow model "
                "more than a quick one: measure again when the machine is idle, in a report, under Speed."
            )
        return frame
    conditions = st.selectbox("Timed on", by_trust, key="tradeoffs.timed_on", bind="query-params", width=240)
    others = int(counts.sum() - counts[conditions])
    st.caption(
        f":material/timer_off: {others:,} of {counts.sum():,} models were timed on another machine, "
        f"beside other work or otherwise than on {escape(conditions)}. Such times do not compare, so theirs "
        "are left out."
    )
    return tradeoffs.timed_under(frame, conditions)


def _short_names(tasks: Sequence[str]) -> dict[str, str]:
    """A file's name without its folders, where no other task has the same."""
    short = [task if task.startswith(HUB_PREFIX) else re.split(r"[\\/]", task)[-1] for task in tasks]
    return {task: name if short.count(name) == 1 else task for task, name in zip(tasks, short, strict=True)}


def _texts_name(name: str) -> str:
    return "test texts" if name == TEST else name
