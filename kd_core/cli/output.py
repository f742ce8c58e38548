"""How results look: tables on a terminal, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from kd_core.distillation.roles import NAMES
from kd_core.system.formatting import (
    capitalised,
    count,
    megabytes,
    percent,
    printable,
    right_to_left,
    what_is_timed,
)

if TYPE_CHECKING:  # scipy comes with it
    from kd_core.distillation.report import ModelReport, Report

LEFT_TO_RIGHT = "\u200e"  # a mark that nothing is drawn for
FEWEST_LETTERS = 3  # of a column of words, in a terminal that is too narrow for all of them
MOST_CLASSES = 12  # that are listed: a task may have hundreds

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")


class _Console(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def console(stream: TextIO, piped: int = 120) -> Console:
    """A console that shows texts as they are: brackets are no markup, ``:name:`` is no emoji.

    It is ``piped`` characters wide where no terminal says how wide. What would command the terminal (in a
    run's name, say) is not passed on.
    """
    width = None if stream.isatty() else piped
    return _Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))


def from_left(text: str) -> str:
    """``text``, after which all goes on from left to right: an Arabic cell would take the next ones along."""
    return f"{text}{LEFT_TO_RIGHT}" if right_to_left(text) else text


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[int] = (), *, first: int = 0
) -> RenderableType:
    """``numbers`` are the columns that have some; ``first`` is what the first column needs to be whole.

    Where they would be cut, on a narrow terminal, a row's cells stand below each other.
    """
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    cells = [["" if cell is None else from_left(str(cell)) for cell in row] for row in rows]
    least = 0
    for index, heading in enumerate(headings):
        right, needs = index in numbers, first if index == 0 else 0
        result.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=right or needs > 0,
            min_width=needs or None,
        )
        widest = max(map(cell_len, (heading, *(row[index] for row in cells))))
        least += 2 + (widest if right else needs or min(widest, FEWEST_LETTERS))
    for row in cells:
        result.add_row(*row)
    return _Fitting(result, headings, cells, least)


@dataclass(frozen=True)
class _Fitting:
    """``least``: the characters that the table takes at least."""

    table: Table
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    least: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.least <= options.max_width:
            yield self.table
            return
        for row in self.rows:
            for place, (heading, cell) in enumerate(zip(self.headings, row, strict=True)):
                text = f"{heading}: {cell}" if heading else cell
                if cell:
                    yield console.render_str(f"  {text}" if place else text, style="" if place else "bold")


@contextmanager
def stray_prints_to_stderr() -> Iterator[None]:
    """Libraries that print must not get into the result."""
    with redirect_stdout(sys.stderr):
        yield


def print_report(out: Console, report: Report) -> None:
    """The run's table, its accuracy on other texts, the verdict, and where it lies."""
    models = {NAMES[who]: model for who, model in report.judged.items()}
    headings = ("", *map(capitalised, report.measured.values()), "Parameters", "Size", "p50", "p95")
    timed = report.timing
    whose = f", of the {report.timed_by.name}" if report.timed_by else ""
    out.print(
        f"\nOn {report.rows['test']:,} test texts. "
        f"Latency p50 and p95 in ms{whose}: {what_is_timed(timed.batch, timed.threads, timed.tokenizer)}."
    )
    rows = [(name, *_result(report, model)) for name, model in models.items()]
    out.print(table(headings, rows, range(1, len(headings))))

    _print_classes(out, report)
    shifts = report.student.shifted
    if shifts:
        others = [(NAMES[who], *map(percent, own.values())) for who, own in report.on_other_texts.items()]
        word = capitalised(report.measured[report.other_metric])
        out.print(f"\n{word} on the test texts, and on texts unlike the labelled ones.")
        out.print(table(("", "test", *shifts), others, range(1, len(shifts) + 2)))

    from kd_core.distillation.report_times import unsteady

    place = f"Run {report.run_id}: {report.folder}"
    for line in filter(None, (report.sentence, *report.notes, unsteady(report), place)):
        out.print(f"\n{line}", soft_wrap=True)


def _print_classes(out: Console, report: Report) -> None:
    """The rarest first: they decide macro-F1, and a few test texts tell little."""
    from kd_core.distillation.report_tables import class_scores

    scores = class_scores(report, "student").sort_values("support", kind="stable")
    shown = scores.head(MOST_CLASSES)
    rows = [
        (name, f"{support:,}", *("" if math.isnan(share) else f"{share:.1f} %" for share in shares))
        for name, support, *shares in shown[["class", "support", "precision", "recall", "f1"]].itertuples(
            index=False
        )
    ]
    whose = "" if report.measures == "accuracy" else ", by the teacher's choices"
    rest = f"; {len(scores) - len(shown):,} more in the report" if len(scores) > len(shown) else ""
    out.print(f"\nThe distilled student on each class{whose}, the rarest first{rest}.")
    out.print(table(("Class", "Test texts", "Precision", "Recall", "F1"), rows, range(1, 5)))


def _result(report: Report, model: ModelReport) -> tuple[str, ...]:
    """With the intervals of accuracy and of what decides; three would need a wide terminal."""
    from kd_core.distillation.report_tables import score

    return (
        *(
            score(model, metric) if metric in ("accuracy", report.metric) else percent(model.by(metric))
            for metric in report.measured
        ),
        count(model.params),
        megabytes(model.size_mb),
        *("" if time is None else f"{time:.2f}" for time in (model.p50, model.p95)),
    )
