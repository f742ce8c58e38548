"""Lab 5: how small can a student be? A grid of layers and widths, and a guess before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation.comparison import Verdict
from kd_core.figures.lab_runs import SIZE_MEASURES, SizeMeasure, measured
from kd_core.learn.lab_results import LabReport, against_best, size_table, smallest
from kd_core.learn.recorded import recorded_lab
from kd_core.system import formatting
from pages.learn.labs.controls import Controls, question_replaced
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, term

PAGE = "size"
REVEALED = f"{PAGE}.revealed"
KNOWN_BEFORE: tuple[SizeMeasure, ...] = ("params", "embedding_share")
HELP: dict[SizeMeasure, str] = {
    "accuracy": "Of the distilled student on the test texts",
    "params": "All weights, the embeddings among them",
    "embedding_share": "Share of the weights that are in the lookup tables for word pieces and positions",
    "latency_ms": "Median time of one text at a time on one thread",
}


@st.fragment
def size_lab() -> None:
    report = recorded_lab("size")
    grid, teacher = size_table(report), report["teacher"]["accuracy"]
    controls = Controls(PAGE, "keep", "layers", "width", "reveal", "measure")
    ask_to_guess = not question_replaced(controls)
    left, right = st.columns([4, 8], gap="large")
    with left:
        controls.open()
    keep = controls.add(
        "keep",
        "slider",
        "Share of the teacher's accuracy to keep (%)",
        90,
        100,
        97,
        help=f"The teacher has {formatting.percent(teacher)}",
    )
    if ask_to_guess:
        controls.note(
            ":material/help: **First a guess.** Which is the smallest student, by its parameters, that keeps "
            f"{keep} % of the teacher's accuracy: {formatting.percent(keep / 100 * teacher)} or more?"
        )
    guess = (
        controls.add(
            "layers", "segmented_control", "Layers", sorted(set(grid["layers"])), help=term("student")
        ),
        controls.add("width", "segmented_control", "Width (hidden size)", sorted(set(grid["hidden"]))),
    )
    if not st.session_state.get(REVEALED):
        controls.button(
            "reveal",
            "Show what was measured",
            type="primary",
            icon=":material/visibility:",
            disabled=None in guess,
            on_click=lambda: st.session_state.update({REVEALED: True, controls.key("measure"): "accuracy"}),
            help="Choose layers and a width first" if None in guess else None,
        )
    shown = st.session_state.get(REVEALED, False)
    measure = controls.add(
        "measure",
        "segmented_control",
        "Colour and numbers",
        _measures(grid, shown),
        default="params",
        required=True,
        format_func=SIZE_MEASURES.get,
    )
    controls.note(f"{HELP[measure]}.")
    answer = smallest(grid, keep / 100 * teacher)
    with right:
        _picture(grid, measure, guess, answer if shown else None)
        st.subheader("What you see", anchor=False)
        st.markdown(_words(grid, teacher, keep, guess, answer) if shown else _before(grid))
        if shown:
            _table(grid, teacher)
        st.caption(_conditions(report, grid))


def _measures(grid: pd.DataFrame, shown: bool) -> list[SizeMeasure]:
    """What is known before anything is trained; then also what was measured."""
    if not shown:
        return list(KNOWN_BEFORE)
    timed = bool(grid["latency_ms"].notna().all())
    return [measure for measure in SIZE_MEASURES if timed or measure != "latency_ms"]


def _picture(
    grid: pd.DataFrame,
    measure: SizeMeasure,
    guess: tuple[int | None, int | None],
    answer: Mapping[str, Any] | None,
) -> None:
    layers, width = guess
    marked: dict[tuple[int, int], str] = {}
    if layers and width:
        marked[layers, width] = "your guess"
    if answer:
        place = (answer["layers"], answer["hidden"])
        marked[place] = "your guess: right" if place in marked else "the smallest"
    cells = grid.to_dict("records")
    description = ", ".join(f"{row['layers']} x {row['hidden']}: {measured(row, measure)}" for row in cells)
    chart(
        figures.size_grid(grid, measure, marked=marked, dark=is_dark()),
        key=f"{PAGE}.grid",
        alt=f"{SIZE_MEASURES[measure]} by layers and width. {description}",
    )


def _before(grid: pd.DataFrame) -> str:
    rows = grid.sort_values("params").to_dict("records")
    small, large = rows[0], rows[-1]
    return (
        f"From {_name(small)} to {_name(large)} the parameters grow from "
        f"{formatting.count(int(small['params']))} to {formatting.count(int(large['params']))}. "
        f"Most are embeddings: {formatting.percent(small['embedding_share'], 0)} of the smallest student and "
        f"{formatting.percent(large['embedding_share'], 0)} of the largest. A layer costs little "
        "beside the table of word pieces, whose size grows with the width alone. How the accuracy grows is "
        "for you to guess."
    )


def _words(
    grid: pd.DataFrame,
    teacher: float,
    keep: int,
    guess: tuple[int | None, int | None],
    answer: Mapping[str, Any] | None,
) -> str:
    target = f"{keep} % of the teacher's accuracy ({formatting.percent(keep / 100 * teacher)})"
    if answer is None:
        sentence = f"None of these students keeps {target}."
    else:
        size = int(answer["params"])
        sentence = (
            f"The smallest that keeps {target} is **{_name(answer)}**: {_accuracy(answer)} with "
            f"{formatting.count(size)} parameters."
        )
    row = grid[(grid["layers"] == guess[0]) & (grid["hidden"] == guess[1])]
    if len(row) and (answer is None or (answer["layers"], answer["hidden"]) != guess):
        guessed = row.iloc[0].to_dict()
        sentence += (
            f" Your guess, {_name(guessed)}, has {_accuracy(guessed)} with "
            f"{formatting.count(int(guessed['params']))}."
        )
    best = grid.iloc[int(grid["accuracy"].argmax())].to_dict()
    pairs = _against_best()
    alike = sum(pair.kind == "no_difference" for pair in pairs.values()) - 1
    gap = pairs.get((answer["layers"], answer["hidden"])) if answer else None
    if gap and answer and _name(answer) != _name(best):
        sentence += (
            f" Text by text it is {formatting.points(gap.delta)} against the best of the grid "
            f"({formatting.interval(gap.low, gap.high)})."
        )
    return (
        f"{sentence} The best of the grid is {_name(best)} with {_accuracy(best)}, a little flattered as the "
        f"best of {len(grid)}. Text by text, {alike} of the others cannot be told from it. "
        f"{_by_width(grid)} "
        "One likely reason: a wider student has the larger table of word pieces, which starts from the "
        "teacher's; a further layer starts from nothing."
    )


@st.cache_data(max_entries=1, show_spinner=False)
def _against_best() -> dict[tuple[int, int], Verdict]:
    return against_best(recorded_lab("size"))


def _by_width(grid: pd.DataFrame) -> str:
    """What width and layers bring, on average."""
    averages = {name: grid.groupby(name)["accuracy"].mean() for name in ("hidden", "layers")}
    width, layers = (float(100 * (means.iloc[-1] - means.iloc[0])) for means in averages.values())
    return (
        f"From the narrowest to the widest the accuracy changes by {formatting.signed(width)} points "
        f"on average, from one layer to {int(averages['layers'].index[-1])} by {formatting.signed(layers)}."
    )


def _name(row: Mapping[Any, Any]) -> str:
    layers = int(row["layers"])
    return f"{layers} {'layer' if layers == 1 else 'layers'} of {int(row['hidden'])}"


def _accuracy(row: Mapping[Any, Any]) -> str:
    return f"{formatting.percent(row['accuracy'])} {formatting.plus_minus(row['low'], row['high'])}"


def _table(grid: pd.DataFrame, teacher: float) -> None:
    rows = grid.sort_values("params").to_dict("records")
    columns = {
        "Student": [_name(row) for row in rows],
        "Parameters": [formatting.count(int(row["params"])) for row in rows],
        "Embeddings": [formatting.percent(row["embedding_share"], 0) for row in rows],
        "Accuracy": [_accuracy(row) for row in rows],
        "Of the teacher's": [formatting.percent(row["accuracy"] / teacher) for row in rows],
    }
    if grid["latency_ms"].notna().all():
        columns["Latency p50"] = [formatting.milliseconds(row["latency_ms"]) for row in rows]
    with st.expander("All students, smallest first"):
        st.dataframe(
            pd.DataFrame(columns), hide_index=True, key=f"{PAGE}.table", alt="Accuracy by the student's size"
        )


def _conditions(report: LabReport, grid: pd.DataFrame) -> str:
    config, machine = report["config"], report["machine"]
    seeds = sorted({int(count) for count in grid["seeds"]})  # two while the last pass is recorded
    conditions = (
        f"{escape(config['task']['name'])}, {report['test_texts']:,} test texts; distilled with "
        f"{config['task']['transfer_texts']:,} transfer texts, {config['training']['steps']:,} steps, "
        f"{' or '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'} each. "
        f"Recorded with assets/record.py on {escape(machine['processor'])}, {machine['cores']} cores."
    )
    if "latency" in report:
        timed, times = report["latency"]["machine"], report["latency"]["ms"].values()
        how = formatting.what_is_timed(1, 1, all(one.get("tokenizer") for one in times))
        conditions += (
            f" Latencies are of one {escape(timed['processor'])}, {how}: compare them with each other, not "
            "with yours."
        )
    return conditions
