"""The sample report, and the words in a figure."""

from __future__ import annotations

import json

from kd_core.distillation.report import Report
from tests import SAMPLES

EVIL = '<img src="http://127.0.0.1:9/x"> %{y} a name that is too long to be shown'
read = Report.model_validate
SAMPLE = json.loads((SAMPLES / "report.json").read_text("utf-8"))


def annotations(figure: object) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]
