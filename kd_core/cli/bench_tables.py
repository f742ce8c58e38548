"""How a benchmark is shown in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console

from kd_core.cli.output import table
from kd_core.deployment.reports import BenchCell, BenchReport, FormReport, LatencyReport, by_metric
from kd_core.deployment.runtimes import name_of_form
from kd_core.system.formatting import capitalised, count, counted, megabytes, what_is_timed, with_interval


def show(out: Console, report: BenchReport) -> None:
    from kd_core.deployment.benchmark_notes import conditions
    from kd_core.deployment.staircase import comparisons

    first = report["forms"][0]
    times = first["latency_ms"]
    out.print(
        f"\nOn {first['texts']:,} test texts. Latency p50 and p95 in ms: "
        f"{what_is_timed(times['batch'], times['threads'], times.get('tokenizer', False))}, test texts of "
        f"{times['mean_tokens']:.1f} tokens on average. "
        "Memory: the most that one form takes, on top of the libraries.",
        soft_wrap=True,
    )
    forms, measures = by_metric(report["forms"], "accuracy")
    headings = ("", capitalised(measures), "Parameters", "Size", "Memory", "p50", "p95", "Against the first")
    out.print(table(headings, [_form(form, first) for form in forms], range(1, 7)))
    for line in comparisons(forms):
        out.print(line, soft_wrap=True)
    for heading, columns, rows in grid(report["cells"]):
        out.print(f"\n{heading}. p50 and p95 of a batch in ms, texts a second.")
        out.print(table(columns, rows, range(1, len(columns))))
    for line in (*report["notes"], conditions(report)):
        out.print(f"\n{line}", soft_wrap=True)


def grid(cells: Sequence[BenchCell]) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """A table for each number of threads and length: its heading, those of its columns, and its rows."""
    from kd_core.deployment.benchmark_notes import kind_of_texts

    batches = sorted({cell["batch"] for cell in cells})
    columns = ("", *(part for batch in batches for part in (f"{batch}: p50", "p95", "texts/s")))
    for threads in sorted({cell["threads"] for cell in cells}):
        for length in dict.fromkeys(cell["length"] for cell in cells):
            rows: dict[str, list[str]] = {}
            for cell in cells:
                if (cell["threads"], cell["length"]) == (threads, length):
                    numbers = [*_times(cell), f"{cell['texts_per_second']:,.0f}"]
                    rows.setdefault(name_of_form(cell["form"]), []).extend(numbers)
            heading = f"{kind_of_texts(length).capitalize()}, {counted(threads, 'thread')}, by batch size"
            yield heading, columns, [(name, *numbers) for name, numbers in rows.items()]


def _form(form: FormReport, first: FormReport) -> tuple[str, ...]:
    from kd_core.deployment.benchmark_notes import against

    return (
        name_of_form(form["name"]),
        with_interval(form["accuracy"], form["low"], form["high"]),
        count(form["params"]),
        megabytes(form["size_mb"]),
        megabytes(form["memory_mb"]),
        *_times(form["latency_ms"]),
        against(first, form),
    )


def _times(times: LatencyReport | BenchCell) -> tuple[str, str]:
    return f"{times['p50']:.2f}", "" if times["p95"] is None else f"{times['p95']:.2f}"
