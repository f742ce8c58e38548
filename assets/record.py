"""Write the recorded numbers that previews and labs show on a first visit.

    python assets/record.py [RUN]

Without RUN, the demo is run first. The logits of teacher, student alone and distilled student for 200 test
headlines are kept, with their row in the test split and a digest of their text; the texts stay in the
package that brings them. What was run, on which machine and with which corpus stands beside the numbers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from kd_core import DistillConfig, Report, distill, runs
from kd_core.data.bundled import CORPUS_SHA256
from kd_core.recorded import TASK, digest

ROWS = 200
FILE = Path(__file__).parent / "recorded" / f"{TASK}.json"


def main(run_id: str | None) -> None:
    report = Report.read(runs.find(run_id)) if run_id else distill(DistillConfig())
    if report.config["task"]["name"] != TASK:
        raise SystemExit(f"{report.run_id} is a run on {report.config['task']['name']}, not on {TASK}.")
    seed = report.config["training"]["seeds"][0]
    frame = pd.read_parquet(Path(report.folder) / runs.PREDICTIONS).head(ROWS)
    columns = {"teacher": "teacher", "alone": f"alone-{seed}", "student": f"student-{seed}"}
    rows = [
        {
            "row": int(index),
            "digest": digest(row["text"]),
            "label": int(row["label"]),
        }
        | {who: [round(float(value), 4) for value in row[column]] for who, column in columns.items()}
        for index, row in frame.iterrows()
    ]
    content = {
        "corpus_sha256": CORPUS_SHA256,
        "config": report.config,
        "machine": report.machine,
        "labels": report.labels,
        "rows": rows,
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(content, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
