"""Export, once it is made: what each step costs and buys, the zip, and how to use it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.deployment import staircase
from kd_core.deployment.model_card import ONNX, PIPELINE
from kd_core.deployment.reports import ExportReport, FormReport
from kd_core.figures.report import Measure
from kd_core.jobs.store import RunRow
from kd_core.models.presets import other_network
from kd_core.system import formatting
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape

MEASURES: tuple[Measure, ...] = ("size", "latency", "accuracy")
# By the start of a name in the zip; the first that fits.
CONTENTS = {
    "model/": "The student as a Hugging Face folder",
    "onnx/model_int8.onnx": "With 8-bit weights",
    "onnx/model.onnx": "In ONNX, 32-bit floats",
    "onnx/": "What reads texts for the ONNX files",
    "README.md": "Model card",
    "config.yaml": "Every setting of the run",
    "report.json": "Every number of the run",
    "reproduce.py": "Runs it again and compares",
    "checksums.json": "Bytes and SHA-256 of each file",
}


def stairs(report: ExportReport) -> None:
    forms = report["forms"]
    st.subheader("What each step costs and buys", anchor=False)
    for column, measure in zip(st.columns(3), MEASURES, strict=True):
        with column.container(border=True, height="stretch"):
            figure = figures.staircase(forms, measure, dark=is_dark())
            chart(figure, key=f"export.{measure}", alt=_spoken(forms, measure))
    sentences = staircase.sentences(forms).items()
    st.markdown("\n".join(f"- **{escape(step)}**: {escape(sentence)}." for step, sentence in sentences))
    with st.expander("All numbers and their conditions", icon=":material/table:", key="export.numbers"):
        st.dataframe(
            staircase.table(forms),
            hide_index=True,
            width="stretch",
            key="export.forms",
            alt="Accuracy, size and latency of each form",
        )
        st.caption(escape(staircase.conditions(forms, report["machine"], report["texts"])))


def download(report: ExportReport) -> None:
    """The zip, read when somebody wants it; none where the command made a folder, or it was freed."""
    path = Path(report["to"] or "")
    if zipfile.is_zipfile(path):
        st.download_button(
            f"Download zip, {formatting.megabytes(path.stat().st_size / 1e6)}",
            path.read_bytes,
            file_name=f"kd-{report['run']}.zip",
            mime="application/zip",
            icon=":material/download:",
            type="primary",
            key="export.download",
            on_click="ignore",
        )


def contents(report: ExportReport) -> None:
    """What is in the zip; or where a bundle that the command made lies."""
    st.subheader("What is in it", anchor=False)
    path = Path(report["to"] or "")
    if zipfile.is_zipfile(path):
        st.dataframe(
            _listed(path),
            hide_index=True,
            width="stretch",
            key="export.contents",
            column_config={
                "file": "File",
                "size": st.column_config.NumberColumn("Size", format="bytes", width="small"),
                "what": "What it is",
            },
            alt="What is in the zip",
        )
    elif report["to"] and path.is_dir():
        st.markdown("It was made with `kd export`, as a folder:")
        st.code(str(path), language=None, wrap_lines=True)
    else:
        st.warning(
            "The zip is no longer on this machine. Make it again; it takes less time than the first.",
            icon=":material/delete:",
        )


def how_to_use(run: RunRow, report: ExportReport) -> None:
    st.subheader("How to use it", anchor=False)
    made = [form["runtime"] for form in report["forms"] if form["runtime"] != "pytorch"]
    codes = {}
    network = other_network(run.student)
    if not network:
        codes["transformers"] = PIPELINE
    if made:
        codes["ONNX Runtime"] = ONNX.format(file="model_int8.onnx" if "int8" in made else "model.onnx")
    if network:
        st.caption(
            f"transformers has no {network}: without KD Studio, the ONNX form is the one that loads."
            if made
            else f"transformers has no {network}, so this bundle needs KD Studio. Make it again with ONNX."
        )
    if codes:
        st.markdown("Unpack the zip, go into its folder, and run this. KD Studio is not needed.")
        for tab, code in zip(st.tabs(list(codes)), codes.values(), strict=True):
            tab.code(code, language="python", wrap_lines=True)


def _listed(path: Path) -> pd.DataFrame:
    """The files of the zip, those of a kind together."""
    sizes = dict.fromkeys(CONTENTS, 0)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.split("/", 1)[1]  # without the one folder that holds all
            if kind := next((kind for kind in CONTENTS if name.startswith(kind)), None):
                sizes[kind] += entry.file_size
    rows = [(kind, size, CONTENTS[kind]) for kind, size in sizes.items() if size]
    return pd.DataFrame(rows, columns=["file", "size", "what"])


def _spoken(forms: list[FormReport], measure: str) -> str:
    """The numbers of the stairs, read out."""
    value_of: Callable[[FormReport], str] = {
        "accuracy": lambda form: formatting.percent(form["accuracy"]),
        "size": lambda form: formatting.megabytes(form["size_mb"]),
        "latency": lambda form: formatting.milliseconds(form["latency_ms"]["p50"]),
    }[measure]
    numbers = (f"{staircase.short_label(form)} {value_of(form)}" for form in staircase.steps(forms))
    return f"{measure.capitalize()}: {', '.join(numbers)}."
