"""A run of the store that has its folder too, with answers that were made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from tests import SAMPLES

RUN = "20260131-143000-a1b2"
LABELS = ("neg", "pos")


def kept_run(store: Store, home: Path, rows: int = 40) -> dict[str, Any]:
    """A run on ``rows`` texts about films. Its teacher is sure that the numbers 3 and 6 have a wrong label.

    The student is unsure of every tenth text, and wrong there. Returns its report.
    """
    file = home / "films.csv"
    labels = [LABELS[i % 2] for i in range(rows)]
    texts = [f"film number {i}" for i in range(rows)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(file, index=False)
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    config = DistillConfig.from_dict({"version": 1, **report["config"]}).change({"task.name": str(file)})
    report |= {"run_id": RUN, "labels": list(LABELS), "config": config.model_dump(mode="json")}
    folder = home / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    truth = np.arange(rows) % 2
    says = np.where(np.isin(np.arange(rows), (3, 6)), 1 - truth, truth)
    teacher = np.where(says[:, None] == np.arange(2), 4.0, -4.0)
    teacher[6] /= 4
    student = np.where(np.arange(rows)[:, None] % 10 == 0, -0.01 * teacher, teacher)
    for name, part in (("validation", slice(0, rows // 2)), ("predictions", slice(rows // 2, rows))):
        table = {"text": texts[part], "label": truth[part], "teacher": list(teacher[part])}
        table |= {"student-0": list(student[part]), "alone-0": list(student[part])}
        pd.DataFrame(table).to_parquet(folder / f"{name}.parquet")
    store.create_run(RUN, config.model_dump(mode="json"), name="Films")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    return report
