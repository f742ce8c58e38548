"""Report, Speed: the benchmark of teacher and student in each runtime, measured on request."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.deployment import staircase
from kd_core.deployment.benchmark import BenchConfig
from kd_core.deployment.benchmark_notes import against, conditions, kind_of_texts
from kd_core.deployment.reports import BenchCell, BenchReport, FormReport, by_metric
from kd_core.deployment.runtimes import name_of_form
from kd_core.distillation.report import Report
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared import addresses
from pages.shared.charts import chart, is_dark
from pages.shared.live_job import job_view, jobs_about
from pages.shared.state import runner, store
from pages.shared.text import escape


def benchmark(run: RunRow, report: Report) -> None:
    st.subheader("Benchmark", anchor=False)
    if report.teacher_is_file:
        st.markdown("The teacher is a file of answers, with no speed to compare with.")
        st.page_link(
            addresses.EXPORT,
            label="Measure the student's forms in Export",
            icon=":material/archive:",
            query_params={"run": run.id},
        )
        return
    jobs = jobs_about(run.id, "bench")
    done = next((job for job in jobs if job.status == "done"), None)
    st.markdown(
        "Teacher and student in PyTorch, ONNX and ONNX int8: batches of 1, 8 and 32; test texts and texts of "
        "16, 64 and 128 tokens; 1 thread and all of this machine's."
    )
    if jobs and jobs[0].status != "done":
        job_view(jobs[0], "report.bench")
    elif st.button(
        "Measure again" if done else "Measure",
        type="secondary" if done else "primary",
        icon=":material/timer:",
        key="report.measure",
        help="Takes a minute or two, longer where other programs run: best on an idle machine",
    ):
        runner().submit(
            BenchConfig(run=run.id),
            f"Benchmark of {run.title}",
            kind="bench",
            token=f"bench {run.id} {len(jobs)}",
        )
        st.rerun()
    if done:
        _results(store().report_json(done.id))


def _results(report: BenchReport) -> None:
    cells = report["cells"]
    forms, measures = by_metric(report["forms"], "accuracy")
    measured = formatting.capitalised(measures)
    times = forms[0]["latency_ms"]
    how = formatting.what_is_timed(times["batch"], times["threads"], times.get("tokenizer", False))
    st.dataframe(
        _overview(forms, measured),
        hide_index=True,
        key="report.bench_forms",
        alt=f"{measured}, size and speed of each form",
    )
    st.caption(
        f"{escape(measured)} on {forms[0]['texts']:,} test texts, each form evaluated anew; "
        f"{formatting.ABOUT_PLUS_MINUS}. {escape(staircase.about_text_by_text(forms))} Latency: {how}, "
        f"{times['mean_tokens']:.1f} tokens on average. "
        "Memory is the most that a process with that form alone takes, on top of the libraries."
    )
    if report["notes"]:
        with st.container(border=True, key="report.bench_notes"):
            st.markdown("**What these numbers say**")
            for note in report["notes"]:
                st.markdown(escape(note))
    st.page_link(
        addresses.CAPACITY,
        label="What this means in servers",
        icon=":material/dns:",
        query_params={"run": report["run"]},
    )
    threads = st.segmented_control(
        "Threads",
        sorted({cell["threads"] for cell in cells}),
        default=times["threads"],
        required=True,
        format_func=lambda threads: formatting.counted(threads, "thread"),
        key="report.bench_threads",
    )
    shown = [cell for cell in cells if cell["threads"] == threads]
    _by_length(shown, threads)
    with st.expander(f"All numbers on {formatting.counted(threads, 'thread')}", icon=":material/table:"):
        st.dataframe(
            _grid(shown), hide_index=True, key="report.bench_cells", alt="All cells of the benchmark"
        )
        st.caption(
            "p50 and p95 are milliseconds for a whole batch; p95 is left out where fewer than 20 were timed."
        )
    st.caption(escape(conditions(report)))


def _by_length(cells: Sequence[BenchCell], threads: int) -> None:
    """Side by side, on one scale: a picture for each length."""
    p50 = [cell["p50"] for cell in cells]
    lengths = list(dict.fromkeys(cell["length"] for cell in cells))
    for first in range(0, len(lengths), 2):
        for column, length in zip(st.columns(2), lengths[first : first + 2], strict=False):
            title = f"{kind_of_texts(length).capitalize()}, {formatting.counted(threads, 'thread')}"
            rows = [cell for cell in cells if cell["length"] == length]
            with column:
                chart(
                    figures.latency_by_batch(rows, title, (min(p50), max(p50)), dark=is_dark()),
                    key=f"report.bench.{length}",
                    alt=f"Median time of a batch, by batch size. {title}. {_spoken(rows)}",
                )


def _spoken(cells: Sequence[BenchCell]) -> str:
    batch = cells[0]["batch"]
    times = [
        f"{name_of_form(c['form'])} {formatting.milliseconds(c['p50'])}" for c in cells if c["batch"] == batch
    ]
    return f"Batch {batch}: {', '.join(times)}."


def _overview(forms: Sequence[FormReport], measured: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Model": name_of_form(form["name"]),
                measured: formatting.with_interval(form["accuracy"], form["low"], form["high"]),
                "Text by text": staircase.text_by_text(form),
                "Size": formatting.megabytes(form["size_mb"]),
                "Memory": formatting.megabytes(form["memory_mb"]),
                "Latency p50": formatting.milliseconds(form["latency_ms"]["p50"]),
                "p95": formatting.milliseconds(form["latency_ms"]["p95"]),
                "Against the teacher in PyTorch": against(forms[0], form),
            }
            for form in forms
        ]
    )


def _grid(cells: Sequence[BenchCell]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Texts": kind_of_texts(cell["length"]).capitalize(),
                "Batch": cell["batch"],
                "Model": name_of_form(cell["form"]),
                "p50": formatting.milliseconds(cell["p50"]),
                "p95": formatting.milliseconds(cell["p95"]),
                "Texts per second": f"{cell['texts_per_second']:,.0f}",
                "Batches timed": cell["passes"],
            }
            for cell in cells
        ]
    )
