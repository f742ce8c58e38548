"""Tests of the models' answers that a run has kept, and of all that reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.deployment import int8_answers
from kd_core.deployment.ask import suspects
from kd_core.deployment.cascade import cascade
from kd_core.deployment.forms import test_split as texts_and_labels
from kd_core.distillation.calibration import scaled
from kd_core.distillation.predictions import kept_as, logits, read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.report_tables import texts
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError
from kd_core.learn.examples import of_run
from kd_core.learn.race import pairs
from kd_core.search.ladder import LadderConfig, LadderResult
from tests import SAMPLES

RUN = "20260131-143000-a1b2"
READERS: dict[str, tuple[str, Callable[[Path, Report], object]]] = {
    "calibration": (VALIDATION, lambda folder, report: scaled(folder, report, "student")),
    "report_tables": (PREDICTIONS, texts),
    "two_runs": (PREDICTIONS, lambda folder, report: student_over(RUN, RUN)),
    "race": (PREDICTIONS, lambda folder, report: pairs([RUN])),
    "examples": (PREDICTIONS, lambda folder, report: of_run(RUN)),
    "ladder": (VALIDATION, lambda _, report: LadderResult(config=LadderConfig()).with_report("tiny", report)),
    "cascade": (VALIDATION, lambda folder, report: cascade(RUN, 0.9)),
    "forms": (PREDICTIONS, lambda folder, report: texts_and_labels(RUN)),
    "int8_answers": (VALIDATION, lambda folder, report: int8_answers.measure(RUN)),
    "ask": (VALIDATION, lambda folder, report: suspects(RUN)),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_of_damaged_predictions_tells_what_to_do(reader, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    monkeypatch.setattr("kd_core.deployment.forms.open_form", lambda *_, **__: None)
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    sample = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    report = Report.from_dict(sample | {"folder": str(folder)})
    report.write(folder)
    file, read = READERS[reader]
    (folder / file).write_bytes(b"PAR1 and then no table")
    said = f"The predictions of {RUN} are missing or damaged: {file} cannot be read"
    with pytest.raises(RunError, match=rf"^{re.escape(said)}.*\. Run it again\.$"):
        read(folder, report)


OLD = "; KD Studio 0.1 kept none of the validation texts"


@pytest.mark.parametrize("content", [None, b""])
@pytest.mark.parametrize(
    ("file", "columns", "why"),
    [
        (PREDICTIONS, (), ""),
        (PREDICTIONS, ("text", "a"), ", or lacks one of text, a"),
        (VALIDATION, (), OLD),
        (VALIDATION, ("a",), f", or lacks one of a{OLD}"),
    ],
)
def test_predictions_that_cannot_be_read(file, columns, why, content, tmp_path) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    said = f"{tmp_path.name} are missing or damaged: {file} cannot be read{why}. Run it again."
    with pytest.raises(RunError, match=f"^The predictions of {re.escape(said)}$"):
        read_predictions(tmp_path, file, *columns)


def test_columns_of_predictions(tmp_path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "label": [0, 1], "teacher": [[0.5, 1.0], [2.0, 0.0]]})
    frame.to_parquet(tmp_path / PREDICTIONS)
    assert list(read_predictions(tmp_path, PREDICTIONS)) == ["text", "label", "teacher"]
    some = read_predictions(tmp_path, PREDICTIONS, "teacher", "label")
    assert list(some) == ["teacher", "label"]
    np.testing.assert_array_equal(logits(some, "teacher"), [[0.5, 1], [2, 0]])
    with pytest.raises(RunError, match=r"cannot be read, or lacks one of text, nobody-0\. Run it again\.$"):
        read_predictions(tmp_path, PREDICTIONS, "text", "nobody-0")


@pytest.mark.parametrize(
    ("who", "name"),
    [("teacher", "teacher"), ("tfidf", "tfidf"), ("student", "student-3"), ("alone", "alone-3")],
)
def test_name_of_a_models_column(report, who, name) -> None:
    report["config"]["training"]["seeds"] = [3, 0]
    assert kept_as(Report.model_validate(report), who) == name
