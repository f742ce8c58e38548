"""How a student came to answer like its teacher: its logits for a few texts, at moments of its training.

A run keeps one of its distilled student (first seed) as ``replay.parquet``: a row for each text with its
label, the teacher's logits and, in a column for each moment, the student's. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.distillation.metrics import kl
from kd_core.errors import RunError

TEXTS = 50  # the first of the validation split, which is shuffled
MOMENTS = 40
EARLY = 0.25  # share of the steps
FILE = "replay.parquet"
STEP = "step "  # before the number, in the name of a moment's column

Learned = Literal["early", "late", "never"]


def moments(steps: int) -> list[int]:
    """The steps to record: before the first, after the last, and closer together the earlier it is.

    The i-th of n is ``steps * (i / (n - 1))²``, since most is learned early; fewer where steps are few.
    """
    return sorted({round(steps * (i / (MOMENTS - 1)) ** 2) for i in range(MOMENTS)})


@dataclass(frozen=True)
class Replay:
    """``student`` holds logits (moments, texts, classes), ``teacher`` (texts, classes)."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    truth: NDArray[np.int64]
    steps: tuple[int, ...]
    teacher: NDArray[np.float32]
    student: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.int64]:
        """The teacher's class for each text."""
        return np.asarray(self.teacher.argmax(axis=1))

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """Whether the student's answer is the teacher's: (moments, texts)."""
        return np.asarray(self.student.argmax(axis=2) == self.answers)

    @property
    def agrees_for_good(self) -> NDArray[np.bool_]:
        """Whether it answers like the teacher at this moment and all later ones: (moments, texts)."""
        return np.logical_and.accumulate(self.agrees[::-1], axis=0)[::-1]

    def moment_at(self, share: float) -> int:
        """The last moment within that share of the steps."""
        return int(np.searchsorted(self.steps, share * self.steps[-1], side="right")) - 1

    def divergence(self) -> NDArray[np.float64]:
        """KL(teacher || student) at T = 1 in nats, mean over the texts, at each moment."""
        return np.asarray(kl(self.teacher, self.student).mean(axis=1))

    def learned_at(self) -> list[int | None]:
        """For each text the step since which the student agrees for good; None where it never does."""
        steps: list[int | None] = []
        for column in self.agrees.T:
            wrong = np.flatnonzero(~column)
            first = int(wrong[-1]) + 1 if len(wrong) else 0
            steps.append(self.steps[first] if first < len(self.steps) else None)
        return steps

    def learned(self) -> list[Learned]:
        """Early is within the first quarter of the steps."""
        limit = EARLY * self.steps[-1]
        return ["never" if at is None else "early" if at <= limit else "late" for at in self.learned_at()]

    def table(self) -> pd.DataFrame:
        """A row for each text: text, step, truth, teacher, student (in the end), learned."""
        names = np.array(self.labels)
        return pd.DataFrame(
            {
                "text": self.texts,
                "step": pd.array(self.learned_at(), dtype="Int64"),
                "truth": names[self.truth],
                "teacher": names[self.answers],
                "student": names[self.student[-1].argmax(axis=1)],
                "learned": self.learned(),
            }
        )

    def write(self, folder: Path) -> None:
        columns: dict[str, Any] = {"text": self.texts, "label": self.truth, "teacher": list(self.teacher)}
        columns |= {f"{STEP}{step}": list(self.student[i]) for i, step in enumerate(self.steps)}
        pd.DataFrame(columns).to_parquet(folder / FILE, index=False)

    @classmethod
    def read(cls, folder: Path, labels: Sequence[str]) -> Self:
        """Raises: RunError, where the run has none: it was made by an earlier version."""
        try:
            table = pd.read_parquet(folder / FILE)
        except FileNotFoundError as error:
            raise RunError(
                f"Run {folder.name} has no replay: it is from an earlier version, or its folder is not on "
                "this machine. Start it again to get one."
            ) from error
        except (OSError, ValueError) as error:
            raise RunError(f"The replay of {folder.name} is damaged: {FILE} cannot be read.") from error
        steps = [name for name in table.columns if name.startswith(STEP)]
        return cls(
            labels=tuple(labels),
            texts=tuple(table["text"]),
            truth=table["label"].to_numpy(),
            steps=tuple(int(name.removeprefix(STEP)) for name in steps),
            teacher=np.stack(table["teacher"].to_list()),
            student=np.stack([np.stack(table[name].to_list()) for name in steps]),
        )


class ReplayRecorder:
    """A student's logits of ``texts`` (encoded) while it trains; they are part of each checkpoint."""

    FILE = "replay.npz"

    def __init__(self, texts: Any, steps: int) -> None:
        self.texts = texts
        self.steps = moments(steps)
        self.logits: dict[int, NDArray[np.float32]] = {}

    def record(self, step: int, predict: Callable[[], NDArray[np.float32]]) -> None:
        if step in self.steps:
            self.logits[step] = predict()

    @property
    def complete(self) -> bool:
        """False where it was resumed from a checkpoint of an earlier version, which has no record."""
        return set(self.logits) >= set(self.steps)

    def save(self, folder: Path) -> None:
        np.savez(folder / self.FILE, steps=list(self.logits), logits=list(self.logits.values()))

    def load(self, folder: Path) -> None:
        if (folder / self.FILE).is_file():
            with np.load(folder / self.FILE, allow_pickle=False) as kept:
                self.logits = dict(zip(kept["steps"].tolist(), kept["logits"], strict=True))
