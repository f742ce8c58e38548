"""What a search has found, as ``kd search`` and ``kd show`` print it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from kd_core.cli.output import console, print_json, table
from kd_core.errors import RunError
from kd_core.system.formatting import capitalised, percent, signed

if TYPE_CHECKING:
    from kd_core.jobs.store import Store
    from kd_core.search import Cell, SearchResult

HEADINGS = {
    "temperature": "T",
    "alpha": "Alpha",
    "learning_rate": "Learning rate",
    "student": "Student",
    "divergence": "Divergence",
}


def show(store: Store, result: SearchResult, as_json: bool) -> None:
    if as_json:
        return print_json(result.model_dump(mode="json"))
    out = console(sys.stdout)
    varied = [name for name, options in result.config.choices.items() if len(options) > 1]
    named = [name for name in HEADINGS if name in varied or name in ("temperature", "alpha")]
    of_alone = [name for name in ("student", "learning_rate") if name in varied]
    from kd_core.distillation.roles import metric_name

    measure = capitalised(metric_name(result.metric))
    headings = (*(HEADINGS[name] for name in varied), measure, "Best minus this", "")
    done = sorted(result.cells, key=lambda cell: -(cell.mean or 0.0))
    out.print(
        f"\nSearch {result.study}: {result.trainings_done:,} of {result.trainings:,} trainings, "
        f"{result.config.folds} folds. {measure} on held-out training texts, ± one standard error; "
        "differences in points with their 95 % interval."
    )
    numbers = range(len(varied), len(varied) + 2)
    out.print(table(headings, [_row(result, cell, varied) for cell in done], numbers))
    for cell in result.alone:
        if cell.mean is not None:
            which = f", {_named(cell, of_alone)}" if of_alone else ""
            gap = f"; best minus this {_gap(cell)}" if cell.from_best else ""
            out.print(f"\nStudent alone{which}: {_accuracy(cell)}{gap}", soft_wrap=True)
    if result.teacher:
        mean = fmean(score.accuracy for score in result.teacher)
        out.print(f"Teachers, one a fold: {percent(mean)}", soft_wrap=True)
    if result.choice is not None:
        best, chosen = (_named(result.cells[one or 0], named) for one in (result.best, result.choice))
        out.print(f"\nBest: {best}. Chosen: {chosen}.", soft_wrap=True)
        out.print(
            "The choice is the smallest and cheapest of those within one standard error of the best, fold by "
            "fold."
        )
        if result.optimism is not None:
            from kd_core.search.results import flattered

            out.print(flattered(result), soft_wrap=True)
    if result.run_id:
        out.print(f"\n{_of_run(store, result.run_id)}", soft_wrap=True)
    return None


def _of_run(store: Store, run_id: str) -> str:
    """What the chosen setting came to after training on all training data, or why that is not known."""
    try:
        store.run(run_id)  # a deleted one has a report, which nobody can look up
        report = store.report(run_id)
    except RunError as error:  # it goes on where the search began, or ended early there
        return f"The chosen setting on all training data: {error}"
    return (
        f"On the test texts, after training on all training data: {report.judged_by} "
        f"{percent(report.student.by(report.metric))}. {report.sentence}\nRun {run_id}: kd show {run_id}"
    )


def _row(result: SearchResult, cell: Cell, varied: Sequence[str]) -> tuple[str, ...]:
    values = cell.setting.model_dump() if cell.setting else {}
    shown = [_value(values.get(name, "")) for name in varied]
    remark = "" if cell.state == "done" else cell.error or cell.state
    if cell.state == "done" and cell.same_as_best:
        remark = "cannot be told from the best"
    if cell.number == result.choice:
        remark = "chosen"
    if cell.number == result.best:
        remark = "best, chosen" if result.best == result.choice else "best"
    return (*shown, _accuracy(cell), _gap(cell), remark)


def _gap(cell: Cell) -> str:
    """What the best has more, in points, with its interval."""
    gap = cell.from_best
    return f"{signed(100 * gap.mean)} [{signed(100 * gap.low)}, {signed(100 * gap.high)}]" if gap else ""


def _accuracy(cell: Cell) -> str:
    if cell.mean is None:
        return ""
    return percent(cell.mean) + (f" ± {100 * cell.se:.1f}" if cell.se is not None else "")


def _named(cell: Cell, names: Sequence[str]) -> str:
    """ "T 4, alpha 0.3, student cnn"."""
    values = cell.setting.model_dump() if cell.setting else {}
    words = {name: "T" if name == "temperature" else HEADINGS[name].lower() for name in names}
    return ", ".join(f"{words[name]} {_value(values[name])}" for name in names if name in values)


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
