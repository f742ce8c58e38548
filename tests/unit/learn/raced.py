"""Finished runs for a race, and how many texts their students get right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests import SAMPLES

IDS = [f"20260131-14300{i}-a1b2" for i in range(3)]


def finished(home: Path, run_id: str, right: int, texts: int = 200) -> None:
    """A run whose student gets the first ``right`` texts right."""
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    answers = np.eye(2)[[0] * right + [1] * (texts - right)]
    seed = report["config"]["training"]["seeds"][0]
    rows = {"text": [str(i) for i in range(texts)], "label": 0}
    pd.DataFrame(rows | {f"student-{seed}": list(answers.tolist())}).to_parquet(
        folder / "predictions.parquet"
    )
