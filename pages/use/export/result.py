"""Export: what is in the zip, how to use it and, once it is made, what each step costs and buys."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.deployment import staircase
from kd_core.deployment.contents import contents, expected_contents
from kd_core.deployment.model_card import ONNX, pipeline_code
from kd_core.deployment.reports import ExportReport, FormReport, by_metric
from kd_core.deployment.runtimes import RUNTIME_NAMES, Runtime
from kd_core.deployment.times import Measurement
from kd_core.distillation import report_times
from kd_core.distillation.metrics import wilson
from kd_core.distillation.report import Report
from kd_core.errors import RunError
from kd_core.figures.report import Measure
from kd_core.jobs.store import RunRow
from kd_core.models.presets import other_network
from kd_core.system import formatting
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, unbroken
from pages.use.export.form import Wanted

MEASURES: tuple[Measure, ...] = ("size", "latency", "accuracy")
MORE = {"calibrate": "calibrated", "agree": "cascade"}  # of an export's settings


def stairs(report: ExportReport, measures: str, measurement: Measurement) -> None:
    """``measures``: what the run's right answers are, accuracy or agreement; an F1 is in ``report``.

    The times are those of ``measurement``, where that is a job that has timed all of these.
    """
    forms, measures = by_metric(report["forms"], measures)
    machine, timed_by = report["machine"], ""
    if measurement.job and (retimed := measurement.retimed(forms)):
        forms, machine, timed_by = retimed, measurement.report["machine"], measurement.name
    st.subheader("What each step costs and buys", anchor=False)
    for column, measure in zip(st.columns(3), MEASURES, strict=True):
        with column.container(border=True, height="stretch"):
            figure = figures.staircase(forms, measure, measures, dark=is_dark())
            chart(figure, key=f"export.{measure}", alt=_spoken(forms, measure, measures))
    sentences = staircase.sentences(forms, measures).items()
    st.markdown("\n".join(f"- **{escape(step)}**: {escape(sentence)}." for step, sentence in sentences))
    if doubt := staircase.doubt(forms):
        st.caption(f":material/hourglass_top: {escape(doubt)}")
    with st.expander("All numbers and their conditions", icon=":material/table:", key="export.numbers"):
        st.dataframe(
            staircase.table(forms, measures),
            hide_index=True,
            width="stretch",
            key="export.forms",
            alt=f"{formatting.capitalised(measures)}, size and latency of each form",
        )
        st.caption(escape(staircase.conditions(forms, machine, report["texts"], measures, timed_by)))


def download(report: ExportReport, *, wanted: bool) -> None:
    """The zip, read when somebody wants it; none where the command made a folder, or it was freed.

    ``wanted``: whether it was made with the settings that are chosen now.
    """
    path = Path(report["to"] or "")
    if zipfile.is_zipfile(path):
        st.download_button(
            f"Download zip, {formatting.megabytes(path.stat().st_size / 1e6)}",
            path.read_bytes,
            file_name=f"kd-{report['run']}.zip",
            mime="application/zip",
            icon=":material/download:",
            type="primary" if wanted else "secondary",
            key="export.download",
            on_click="ignore",
        )


def made_as(config: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether the export of ``config`` has been made with these settings; older ones had fewer."""
    same = ((config.get(key) or None) == (value or None) for key, value in asdict(wanted).items())
    return bool(config.get("to")) and all(same)


def what_is_in_it(run: RunRow, newest: RunRow | None, wanted: Wanted, teacher_mb: float | None) -> None:
    """What is in the newest zip, where that was made as is wanted; else what will be in the next one.

    ``teacher_mb``: of the teacher; None where it is a file.
    """
    config = newest.config if newest else {}
    made = made_as(config, wanted)
    path = Path(config.get("to") or "")
    here = zipfile.is_zipfile(path)
    if made and here:
        st.subheader("What is in it", anchor=False)
        _listed(contents(path), exact=True)
        return
    if made and path.is_dir():
        st.subheader("What is in it", anchor=False)
        st.markdown("It was made with `kd export`, as a folder:")
        st.code(str(path), language=None, wrap_lines=True)
        return
    if made:
        st.warning(
            "The zip is no longer on this machine. Make it again; it takes less time than the first.",
            icon=":material/delete:",
        )
    st.subheader("What will be in it", anchor=False)
    try:
        seed, pair = run.config["training"]["seeds"][0], wanted.agree is not None
        expected = expected_contents(run.id, seed, wanted.runtimes, cascade=pair, teacher_mb=teacher_mb)
    except RunError as error:
        st.error(escape(error), icon=":material/error:")
    else:
        about = [formatting.megabytes(float(size) / 1e6) for size in expected["size"].fillna(0)]
        sizes = [size if size != "0.0 MB" else "a few kB" for size in about]
        _listed(expected.assign(size=sizes), exact=False)
        packed = formatting.megabytes(float(expected["size"].sum()) / 1e6)
        st.caption(f"About {packed} before it is packed; the exact sizes stand here once it is made.")
    if here:
        size = formatting.megabytes(path.stat().st_size / 1e6)
        st.caption(f"The zip to download, {size}, was made with other settings: {_forms(config)}.")


def the_student(report: Report) -> None:
    """How good, large and fast it is, before any form is made; of several seeds the first."""
    student, metric = report.student, report.metric
    seed, *others = student.seeds
    score = student.of_seed(seed, metric)
    known: tuple[float | None, float | None] = None, None
    if metric == "accuracy":
        known = wilson(score, report.rows["test"])
    elif not others:
        known = student.interval(metric) or known
    facts = [
        (
            escape(formatting.capitalised(report.judged_by)),
            formatting.percent(score),
            formatting.plus_minus(score, *known) or None,
        ),
        ("Size", formatting.megabytes(student.size_mb), None),
        ("A text takes", formatting.milliseconds(student.p50), None),
    ]
    with st.container(horizontal=True, key="export.student"):
        for label, value, below in facts:
            if value:
                st.metric(label, value, below, delta_color="off", delta_arrow="off", width="content")
    which = report.first_seed and f" {report.first_seed},"
    by = f"in the {report.timed_by.name}" if report.timed_by else "on the machine of the run"
    doubt = escape(report_times.unsteady(report))
    st.caption(f"The student{which} as it was trained, in PyTorch, one text at a time {by}. {doubt}".rstrip())


def how_to_use(run: RunRow, runtimes: Sequence[Runtime], report: ExportReport | None) -> None:
    st.subheader("How to use it", anchor=False)
    made = [runtime for runtime in runtimes if runtime != "pytorch"]
    codes = {"transformers": pipeline_code(run.student)}
    if made:
        codes["ONNX Runtime"] = ONNX.format(file="model_int8.onnx" if "int8" in made else "model.onnx")
    folder = report is not None and report["to"] is not None and Path(report["to"]).is_dir()
    first = "Go into the folder" if folder else "Unpack the zip, go into its folder,"
    st.markdown(f"{first} and run this. KD Studio is not needed.")
    for tab, code in zip(st.tabs(list(codes)), codes.values(), strict=True):
        tab.code(code, language="python", wrap_lines=True)
    if network := other_network(run.student):
        st.caption(
            f"transformers has no {network}, so the code of one comes along, which "
            f"`trust_remote_code=True` lets run.{' The ONNX form needs none.' if made else ''}"
        )


def the_cascade(report: ExportReport) -> None:
    """What the pair in the zip does on the test texts, and how it is run; of older zips the latter alone."""
    st.subheader("The cascade in the zip", anchor=False)
    if said := report.get("cascade"):
        does, _, promised = unbroken(escape(said)).partition(". ")
        st.markdown(f"**{does}.** {promised}")
    st.code('python cascade.py "a text"', language="sh")


def earlier(jobs: Sequence[RunRow]) -> None:
    """Bundles of the run that were made before the newest one, and are still here."""
    bundles = [(job, path) for job in jobs if zipfile.is_zipfile(path := Path(job.config.get("to") or ""))]
    if not bundles:
        return
    st.subheader("Earlier bundles", anchor=False)
    for job, path in bundles:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"{job.created.astimezone():%d %b %Y %H:%M} · {_forms(job.config)}", width="content")
            st.download_button(
                f"Download, {formatting.megabytes(path.stat().st_size / 1e6)}",
                path.read_bytes,
                file_name=path.name,
                mime="application/zip",
                icon=":material/download:",
                key=f"export.download.{job.id}",
                on_click="ignore",
            )


def _forms(config: Mapping[str, Any]) -> str:
    """What a bundle of these settings holds."""
    forms = [RUNTIME_NAMES[name] for name in ("onnx", "int8") if config.get(name)]
    return ", ".join(["Hugging Face", *forms, *(word for key, word in MORE.items() if config.get(key))])


def _listed(files: pd.DataFrame, *, exact: bool) -> None:
    """A table whose cells break their lines: it is read whole on a phone."""
    sizes = files["size"].map(_bytes) if exact else files["size"]
    st.table(
        files.assign(size=sizes.str.replace(" ", "\u00a0")).set_axis(
            ["File", "Size" if exact else "About", "What it is"], axis=1
        ),
        border="horizontal",
        hide_index=True,
        alt="What is in the zip" if exact else "What will be in the zip",
    )


def _bytes(size: int) -> str:
    return formatting.megabytes(size / 1e6) if size >= 1000 else f"{size} bytes"


def _spoken(forms: list[FormReport], measure: str, measures: str) -> str:
    """The numbers of the stairs, read out."""
    value_of: Callable[[FormReport], str] = {
        "accuracy": lambda form: formatting.percent(form["accuracy"]),
        "size": lambda form: formatting.megabytes(form["size_mb"]),
        "latency": lambda form: formatting.milliseconds(form["latency_ms"]["p50"]),
    }[measure]
    numbers = (f"{staircase.short_label(form)} {value_of(form)}" for form in staircase.steps(forms))
    name = measures if measure == "accuracy" else measure
    return f"{formatting.capitalised(name)}: {', '.join(numbers)}."
