"""Real logits that ship with KD Studio, so that previews and labs have something to show at once. No torch.

``assets/record.py`` writes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np
import yaml
from numpy.typing import NDArray

from kd_core.distillation.training.replay import Replay
from kd_core.learn.claims import ClaimName
from kd_core.learn.lab_results import LabReport
from kd_core.system import paths

TASK = "bbc-headlines"
FOLDER = paths.app_folder() / "assets" / "recorded"


@dataclass(frozen=True)
class Recorded:
    """Logits (rows, classes) of three models for the same test headlines."""

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    logits: dict[str, NDArray[np.float64]]  # teacher, alone, student
    rows: tuple[int, ...]  # of the test split
    digests: tuple[str, ...]

    def texts(self) -> list[str]:
        """The headlines. Raises: DataError without the corpus."""
        return headlines(self.digests)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def headlines(digests: Iterable[str]) -> list[str]:
    """Those of the bundled corpus with these digests, in order. Raises: DataError without it."""
    from kd_core.data.bbc import corpus_folder, read_corpus

    known = {digest(article.headline): article.headline for article in read_corpus(corpus_folder())}
    return [known[each] for each in digests]


@lru_cache(maxsize=1)
def recorded() -> Recorded:
    rows = (content := _content(TASK))["rows"]
    return Recorded(
        labels=tuple(content["labels"]),
        truth=np.array([row["label"] for row in rows]),
        logits={who: np.array([row[who] for row in rows]) for who in ("teacher", "alone", "student")},
        rows=tuple(row["row"] for row in rows),
        digests=tuple(row["digest"] for row in rows),
    )


@lru_cache(maxsize=1)
def recorded_replay() -> Replay:
    """Of a run with ``config.LESSON``. Raises: DataError without the corpus that its texts are from."""
    content = _content(f"replay-{TASK}")
    return Replay(
        labels=tuple(content["labels"]),
        texts=tuple(headlines(content["digests"])),
        truth=np.array(content["truth"]),
        steps=tuple(content["steps"]),
        teacher=np.array(content["teacher"], dtype=np.float32),
        student=np.array(content["student"], dtype=np.float32),
    )


@lru_cache(maxsize=8)
def recorded_lab(name: Literal["transfer", "size"] | ClaimName) -> LabReport:
    """What ``lab_results`` reads: the students of a lab, cell by cell."""
    return cast(LabReport, _content(f"{name}-{TASK}"))


@lru_cache(maxsize=4)
def recorded_race(course: str) -> LabReport:
    """The students of one of ``race.RACES``, lane by lane."""
    return cast(LabReport, _content(f"race-{course}-{TASK}"))


def recorded_search() -> dict[str, Any]:
    """What ``search.SearchResult`` reads: a small search on the bundled task."""
    return cast(dict[str, Any], _content(f"search-{TASK}")["result"])


@lru_cache(maxsize=1)
def _elsewhere() -> Any:
    return yaml.safe_load((FOLDER / "elsewhere.yaml").read_text("utf-8"))


def other_tasks() -> dict[str, dict[str, float]]:
    """Test accuracies in percent on other tasks: floor, teacher, student alone and distilled."""
    return cast(dict[str, dict[str, float]], _elsewhere()["tasks"])


def other_texts() -> dict[str, tuple[float, float]]:
    """Of ``config.LESSON``, which is trained for headlines: percent right of them, and of full sentences."""
    return {who: (test, other) for who, (test, other) in _elsewhere()["other_texts"].items()}


def is_recorded(name: ClaimName) -> bool:
    """Whether its students come with KD Studio. What does not, anybody can measure."""
    return (FOLDER / f"{name}-{TASK}.json").is_file()


def _content(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return content
