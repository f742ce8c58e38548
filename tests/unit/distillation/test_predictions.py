"""What a run has kept of its models' answers: every reader says the same where it is missing or damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kd_core.deployment import int8_answers
from kd_core.deployment.ask import suspects
from kd_core.deployment.cascade import cascade
from kd_core.deployment.forms import test_split as texts_and_labels
from kd_core.distillation.calibration import scaled
from kd_core.distillation.predictions import kept_as, read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.report_tables import texts
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError
from kd_core.learn.examples import of_run
from kd_core.learn.race import pairs
from kd_core.search.ladder import LadderConfig, LadderResult

RUN = "20260131-143000-a1b2"
SAMPLE = Path(__file__).parents[2] / "samples" / "report.json"
READERS: dict[str, tuple[str, Callable[[Path, Report], object]]] = {
    "calibration": (VALIDATION, lambda folder, report: scaled(folder, report, "student")),
    "report_tables": (PREDICTIONS, texts),
    "two_runs": (PREDICTIONS, lambda folder, report: student_over(RUN, RUN)),
    "race": (PREDICTIONS, lambda folder, report: pairs([RUN])),
    "examples": (PREDICTIONS, lambda folder, report: of_run(RUN)),
    "ladder": (
        VALIDATION,
        lambda folder, report: LadderResult(config=LadderConfig()).with_report("tiny", report),
    ),
    "cascade": (VALIDATION, lambda folder, report: cascade(RUN, 0.9)),
    "forms": (PREDICTIONS, lambda folder, report: texts_and_labels(RUN)),
    "int8_answers": (VALIDATION, lambda folder, report: int8_answers.measure(RUN)),
    "ask": (VALIDATION, lambda folder, report: suspects(RUN)),
}


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and then no table"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_missing_or_damaged_is_said(reader, content, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    monkeypatch.setattr("kd_core.deployment.forms.open_form", lambda *_, **__: None)
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    report = Report.from_dict(json.loads(SAMPLE.read_text("utf-8")) | {"folder": str(folder)})
    report.write(folder)
    file, read = READERS[reader]
    if content is not None:
        for name in (PREDICTIONS, VALIDATION):
            (folder / name).write_bytes(content)
    said = f"The predictions of {RUN} are missing or damaged: {file} cannot be read"
    with pytest.raises(RunError, match=rf"^{re.escape(said)}.*\. Run it again\.$"):
        read(folder, report)


def test_a_column_that_it_lacks_is_named(finished_run) -> None:
    with pytest.raises(RunError, match=r"cannot be read, or lacks one of text, nobody-0\. Run it again\.$"):
        read_predictions(finished_run.folder, PREDICTIONS, "text", "nobody-0")


def test_each_model_is_kept_under_a_column_of_the_first_seed(finished_run) -> None:
    columns = [kept_as(finished_run.report, who) for who in ("teacher", "student", "tfidf")]
    assert columns == ["teacher", "student-0", "tfidf"]
    assert list(read_predictions(finished_run.folder, VALIDATION, *columns)) == columns
