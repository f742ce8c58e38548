"""Lab 5: how small can a student be? A grid of layers and widths, and a guess before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation.comparison import Verdict
from kd_core.figures.lab_runs import SIZE_MEASURES, SizeMeasure, measured
from kd_core.learn.lab_results import LabReport, against_best, size_table, smallest, worse_than_best
from kd_core.learn.recorded import recorded_lab
from kd_core.system import formatting
from pages.learn.labs.controls import Controls, question_replaced, verdict
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, prose, term

PAGE = "size"
GUESSED = f"{PAGE}.guessed"
GIVE_UP = 1.0  # points of accuracy, in the question and at first
HELP: dict[SizeMeasure, str] = {
    "accuracy": "Of the distilled student on the test texts, mean of the seeds. One colour: these texts "
    "cannot tell the students from the best. Grey: shown to be worse, all comparisons counted.",
    "params": "All weights, those of the embeddings included.",
    "embedding_share": "Share of the weights that are in the look-up tables for word pieces and positions.",
    "latency_ms": "Median time for one text at a time on one thread.",
}


@st.fragment
def size_lab() -> None:
    report = recorded_lab("size")
    grid = size_table(report)
    controls = Controls(PAGE, "layers", "width", "reveal", "give_up", "measure")
    replaced = question_replaced(controls)
    guess = st.session_state.get(GUESSED)
    if not replaced:
        _question(grid, guess)
    result = controls.open()
    if not replaced and guess is None:
        _ask(controls, grid)
        with result:
            _picture(grid, "params", {})
            prose(_before(grid))
        return
    give_up = controls.add(
        "give_up",
        "slider",
        "Accuracy that you would give up (points)",
        0.0,
        3.0,
        GIVE_UP,
        0.5,
        help="Below the most accurate student of the grid",
        in_view=True,
    )
    measure = controls.add(
        "measure",
        "segmented_control",
        "Colour and numbers",
        _measures(grid),
        default="accuracy",
        required=True,
        format_func=SIZE_MEASURES.get,
        in_view=True,
    )
    answer = within(grid, give_up)
    marked = {_place(answer): "the smallest"}
    if guess:
        marked[guess] = "your guess" + (": right" if guess == _place(answer) else "")
    with result:
        _picture(grid, measure, marked)
        st.caption(HELP[measure])
        st.header("What you see", anchor=False)
        prose(_words(grid, give_up, answer))
        _table(grid, report["teacher"]["accuracy"])
        st.caption(_conditions(report, grid))


def _ask(controls: Controls, grid: pd.DataFrame) -> None:
    """Layers and a width; what was measured is shown for an answer."""
    layers = controls.add(
        "layers", "segmented_control", "Layers", sorted(set(grid["layers"])), help=term("student")
    )
    width = controls.add("width", "segmented_control", "Width (hidden size)", sorted(set(grid["hidden"])))
    chosen = None not in (layers, width)
    controls.button(
        "reveal",
        "Show what was measured",
        type="primary",
        icon=":material/visibility:",
        disabled=not chosen,
        on_click=lambda: st.session_state.update({GUESSED: (layers, width)}),
        help=None if chosen else "Choose layers and a width first",
    )


def _question(grid: pd.DataFrame, guess: tuple[int, int] | None) -> None:
    answer, rows = within(grid, GIVE_UP), {_place(row): row for row in grid.to_dict("records")}
    with st.container(border=True, key="lab.question.size", gap="small"):
        prose(
            f":material/help: {'' if guess else '**First a guess.** '}{len(grid)} students were distilled "
            "from one teacher. Which is the smallest, by its parameters, that loses no more than "
            f"{_points(GIVE_UP)} of accuracy against the best of them?"
        )
        if guess is None:
            return
        good = guess == _place(answer)
        because = f"It has {_accuracy(answer)} with {formatting.count(int(answer['params']))} parameters."
        if not good:
            mine = rows[guess]
            because += f" Your guess has {_accuracy(mine)} with {formatting.count(int(mine['params']))}."
        verdict(good, _name(rows[guess]), _name(answer), because)


def _points(count: float) -> str:
    return f"{count:g} {'point' if count == 1 else 'points'}"


def _measures(grid: pd.DataFrame) -> list[SizeMeasure]:
    timed = bool(grid["latency_ms"].notna().all())
    return [measure for measure in SIZE_MEASURES if timed or measure != "latency_ms"]


def _picture(grid: pd.DataFrame, measure: SizeMeasure, marked: dict[tuple[int, int], str]) -> None:
    cells = grid.to_dict("records")
    description = ", ".join(f"{row['layers']} x {row['hidden']}: {measured(row, measure)}" for row in cells)
    # Of accuracies the colour says what these texts can tell apart, not which number is larger.
    worse = worse_than_best(recorded_lab("size"))
    apart = {_place(row): _place(row) in worse for row in cells}
    chart(
        figures.size_grid(
            grid, measure, marked=marked, worse=apart if measure == "accuracy" else None, dark=is_dark()
        ),
        key=f"{PAGE}.grid",
        alt=f"{SIZE_MEASURES[measure]} by layers and width. {description}",
    )


def _before(grid: pd.DataFrame) -> str:
    rows = grid.sort_values("params").to_dict("records")
    small, large = rows[0], rows[-1]
    return (
        f"From {_name(small)} to {_name(large)} the parameters grow from "
        f"{formatting.count(int(small['params']))} to {formatting.count(int(large['params']))}. Most are "
        f"embeddings: {formatting.percent(small['embedding_share'], 0)} of the smallest student and "
        f"{formatting.percent(large['embedding_share'], 0)} of the largest. A layer adds few parameters "
        "beside the table of word pieces, whose size grows with the width alone. How the accuracy grows is "
        "for you to guess."
    )


def _words(grid: pd.DataFrame, give_up: float, answer: Mapping[Any, Any]) -> str:
    best = grid.iloc[int(grid["accuracy"].argmax())].to_dict()
    pairs = _against_best()
    others = len(grid) - 1
    alike = others - len(worse_than_best(recorded_lab("size")))
    loosest = max(pairs, key=lambda place: pairs[place].high - pairs[place].low)
    wide = next(row for row in grid.to_dict("records") if _place(row) == loosest)
    spread = 100 * (grid["accuracy"].max() - grid["accuracy"].min())
    known_to = formatting.plus_minus(best["accuracy"], best["low"], best["high"])
    sentence = (
        f"The best of the grid is {_name(best)} with {_accuracy(best)}, a little flattered as the best of "
        f"{len(grid)}. The smallest within {_points(give_up)} of it is **{_name(answer)}**: "
        f"{_accuracy(answer)} with {formatting.count(int(answer['params']))} parameters."
    )
    if _place(answer) != _place(best):
        gap = pairs[_place(answer)]
        sentence += (
            f" Text by text it is {formatting.points(gap.delta)} against the best "
            f"({formatting.interval(gap.low, gap.high)})."
        )
    return (
        f"{sentence}\n\n**Do not rank these cells.** From the worst to the best are {spread:.1f} points, and "
        f"each accuracy is known to about {known_to}. Text by text, {alike} of the {others} others cannot be "
        "told from the best, and have its colour: with so many compared with one that was picked, the single "
        f"95 % interval that leaves zero out is to be expected, so each has to be {others} times as sure "
        "(Bonferroni). That does "
        f"not show that they are as good: for {_name(wide)} the interval is "
        f"{formatting.interval(pairs[loosest].low, pairs[loosest].high)} points, since its seeds differ so "
        f"much.\n\n**What costs what.** {_by_width(grid)} Even the narrowest starts from its teacher's "
        "vectors of the word pieces, reduced to its width; a further layer starts from nothing. "
        f"{_times(grid)}"
    )


def _times(grid: pd.DataFrame) -> str:
    """Why speed does not follow parameters."""
    if grid["latency_ms"].isna().any():
        return ""
    rows = {_place(row): row for row in grid.to_dict("records")}
    (few, many), (narrow, wide) = ((min(grid[name]), max(grid[name])) for name in ("layers", "hidden"))
    first, deep, broad = rows[few, narrow], rows[many, narrow], rows[few, wide]

    def grows(row: Mapping[Any, Any]) -> str:
        return (
            f"{row['params'] / first['params']:.1f} times the parameters and "
            f"{row['latency_ms'] / first['latency_ms']:.1f} times the time"
        )

    return (
        f"\n\n**Speed does not follow parameters.** Against {_name(first)}, {_name(deep)} have "
        f"{grows(deep)}; {_name(broad)} has {grows(broad)}. A text uses only the few rows of the table that "
        "its word pieces name, and a look-up costs nearly nothing, however long the table is. A layer's "
        "weights are all multiplied for every word piece. Switch to **Latency** to see it."
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
        f"on average, from one layer to {int(averages['layers'].index[-1])} by {formatting.signed(layers)}: "
        "means over these cells, without an interval of their own."
    )


def within(grid: pd.DataFrame, points: float) -> Mapping[Any, Any]:
    """The smallest student whose accuracy is at most so many points below the best one's."""
    found = smallest(grid, grid["accuracy"].max() - points / 100)
    assert found is not None, "the best is within any number of points of itself"
    return found


def _place(row: Mapping[Any, Any]) -> tuple[int, int]:
    return int(row["layers"]), int(row["hidden"])


def _name(row: Mapping[Any, Any]) -> str:
    layers = int(row["layers"])
    return f"{layers} {'layer' if layers == 1 else 'layers'} of {int(row['hidden'])}"


def _accuracy(row: Mapping[Any, Any]) -> str:
    return formatting.with_interval(row["accuracy"], row["low"], row["high"])


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
        f"{' or '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'} each. Recorded with "
        f"assets/record.py on {escape(machine['processor'])}, {machine['cores']} cores."
    )
    if "latency" in report:
        timed, times = report["latency"]["machine"], report["latency"]["ms"].values()
        how = formatting.what_is_timed(1, 1, all(one.get("tokenizer") for one in times))
        conditions += (
            f" Latencies are of one {escape(timed['processor'])}, {how}: compare them with each other, not "
            "with yours."
        )
    return conditions
