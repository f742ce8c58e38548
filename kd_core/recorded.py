"""Real logits that ship with KD Studio, so that previews and labs have something to show at once. No torch.

``assets/record.py`` writes them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kd_core import paths
from kd_core.config import TaskConfig

TASK = "bbc-headlines"


@dataclass(frozen=True)
class Recorded:
    """Logits (rows, classes) of three models for the same test headlines."""

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    logits: dict[str, NDArray[np.float64]]  # teacher, alone, student
    rows: tuple[int, ...]  # of the test split
    digests: tuple[str, ...]

    def texts(self) -> list[str]:
        """The headlines, from the bundled corpus; takes a second at first. Raises: DataError without it."""
        from kd_core.data.bundled import load_bundled

        test = load_bundled(TaskConfig(name=TASK)).test["text"]
        return [test[row] for row in self.rows]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def recorded() -> Recorded:
    content = json.loads((paths.app_folder() / "assets" / "recorded" / f"{TASK}.json").read_text("utf-8"))
    rows = content["rows"]
    return Recorded(
        labels=tuple(content["labels"]),
        truth=np.array([row["label"] for row in rows]),
        logits={who: np.array([row[who] for row in rows]) for who in ("teacher", "alone", "student")},
        rows=tuple(row["row"] for row in rows),
        digests=tuple(row["digest"] for row in rows),
    )
