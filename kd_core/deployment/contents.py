"""What is in a bundle, and how large: before it is made by the run's own files, then by the zip. No torch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kd_core.deployment.runtimes import Runtime
from kd_core.distillation import run_folder
from kd_core.distillation.report import FILE
from kd_core.system import paths

# By the start of a name in the zip; the first that fits.
CONTENTS = {
    "model/": "The student: its config, weights and tokenizer",
    "onnx/model_int8.onnx": "With 8-bit weights",
    "onnx/model.onnx": "In ONNX, 32-bit floats",
    "onnx/": "What reads texts for the ONNX files",
    "teacher/": "The teacher, which the student asks where it is unsure",
    "cascade.py": "Answers, or asks the teacher where the student is unsure",
    "cascade.json": "Its threshold, and what it promises",
    "README.md": "Model card",
    "config.yaml": "Every setting of the run",
    "report.json": "Every number of the run",
    "reproduce.py": "Runs it again and compares",
    "checksums.json": "Bytes and SHA-256 of each file",
}
COLUMNS = ["file", "size", "what"]


def contents(bundle: Path) -> pd.DataFrame:
    """``file``, ``size`` (bytes) and ``what`` of a zip; the files of a kind together."""
    sizes = dict.fromkeys(CONTENTS, 0)
    with zipfile.ZipFile(bundle) as archive:
        for entry in archive.infolist():
            name = entry.filename.split("/", 1)[1]  # without the one folder that holds all
            if kind := next((kind for kind in CONTENTS if name.startswith(kind)), None):
                sizes[kind] += entry.file_size
    rows = [(kind, size, CONTENTS[kind]) for kind, size in sizes.items() if size]
    return pd.DataFrame(rows, columns=COLUMNS)


def expected_contents(
    run_id: str,
    seed: int,
    runtimes: Sequence[Runtime],
    *,
    cascade: bool = False,
    teacher_mb: float | None = None,
) -> pd.DataFrame:
    """As ``contents`` of a bundle to be made, by the files it is made of; no size: a few kilobytes.

    ``teacher_mb``: of the teacher that comes along in a cascade; None where it is a file.

    An ONNX file has the same floats as the weights, one of 8 bits a byte for each, give or take some percent.
    Raises: RunError where the run's folder or its student is gone.
    """
    student = paths.runs() / run_id / run_folder.STUDENTS / f"student-{seed}"
    try:
        weights = sum(path.stat().st_size for path in student.glob("*.safetensors"))
        reader = (student / "tokenizer.json").stat().st_size
        report = (paths.runs() / run_id / FILE).stat().st_size
    except OSError as error:
        raise run_folder.not_here(run_id) from error
    sizes: dict[str, int | None] = {"model/": weights + reader, "report.json": report}
    if "int8" in runtimes:
        sizes["onnx/model_int8.onnx"] = weights // 4
    if "onnx" in runtimes:
        sizes |= {"onnx/model.onnx": weights, "onnx/": reader}
    small = {"README.md", "config.yaml", "reproduce.py", "checksums.json"}
    if cascade:
        small |= {"cascade.py", "cascade.json"}
        if teacher_mb is not None:
            sizes["teacher/"] = int(1e6 * teacher_mb)
    rows = [
        (kind, sizes.get(kind), what) for kind, what in CONTENTS.items() if kind in sizes or kind in small
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"size": "Int64"})
