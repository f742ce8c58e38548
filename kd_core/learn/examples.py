"""The texts of a lab with the answers of three models: those that ship, or those of a finished run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kd_core.distillation.metrics import log_softmax, softmax
from kd_core.distillation.predictions import kept_as, logits, read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.roles import CORE, Role
from kd_core.distillation.run_folder import PREDICTIONS, find
from kd_core.learn.anatomy import Floats, entropy
from kd_core.learn.recorded import recorded


@dataclass(frozen=True)
class Examples:
    """Test texts, their labels (an index into ``labels``), and each model's logits (texts, classes)."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    logits: dict[Role, Floats]

    @property
    def undecided(self) -> int:
        """A text that the teacher gets right, with nearest to 60 %: it has a second choice, and no tie."""
        shares = softmax(self.logits["teacher"])
        wrong = shares.argmax(axis=1) != self.truth
        return int((np.abs(shares.max(axis=1) - 0.6) + wrong).argmin())

    def entropies(self) -> Floats:
        """Of the teacher's answer to each text, in nats."""
        nats: Floats = entropy(log_softmax(self.logits["teacher"]))
        return nats

    def disagreements(self) -> NDArray[np.int64]:
        """Texts where the teacher's answer is not the label, the surest of them first."""
        shares = softmax(self.logits["teacher"])
        wrong = np.flatnonzero(shares.argmax(axis=1) != self.truth)
        return wrong[np.argsort(-shares[wrong].max(axis=1), kind="stable")]

    def similarity(self, temperature: float) -> Floats:
        """Where the teacher's probability goes that the label does not get: (C, C), rows add to 1.

        Row i is the mean over the texts of class i that the teacher gets right: where it errs, the rest is
        its error. The diagonal, and a class without such a text, is NaN.
        """
        shares = self._rest(temperature)
        size = len(self.labels)
        means = np.full((size, size), np.nan)
        for label in np.unique(self.truth):
            if len(rows := self.right_of(int(label))):
                rest = shares[rows].mean(axis=0)
                means[label] = rest / rest.sum()
        np.fill_diagonal(means, np.nan)
        return means

    def right_of(self, label: int) -> NDArray[np.int64]:
        """The texts of a class that the teacher gets right."""
        return np.flatnonzero((self.truth == label) & (self.logits["teacher"].argmax(axis=1) == label))

    def similarity_of_samples(self, label: int, draws: int = 2_000) -> Floats:
        """``similarity``'s row of a class at T = 1, for ``draws`` bootstrap samples of its texts: (draws, C).

        Raises: ValueError where the teacher gets none of them right.
        """
        rows = self.right_of(label)
        drawn = np.random.default_rng(0).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), draws)
        rest: Floats = drawn @ self._rest(1.0)[rows]
        rest /= rest.sum(axis=1, keepdims=True)
        return rest

    def _rest(self, temperature: float) -> Floats:
        """The teacher's probabilities, but for that of the label, (texts, C)."""
        shares = softmax(self.logits["teacher"], temperature)
        shares[np.arange(len(shares)), self.truth] = 0.0
        return shares


def shipped() -> Examples:
    """200 test headlines of the bundled task. Raises: DataError where its corpus is not there."""
    known = recorded()
    logits = {who: known.logits[who] for who in CORE}
    return Examples(tuple(known.texts()), known.labels, known.truth, logits)


def of_run(run_id: str) -> Examples:
    """A run's test texts, with its first seed's students. Raises: RunError."""
    folder = find(run_id)
    report = Report.read(folder)
    columns = {who: kept_as(report, who) for who in CORE}
    rows = read_predictions(folder, PREDICTIONS, "text", "label", *columns.values())
    return Examples(
        texts=tuple(rows["text"]),
        labels=tuple(report.labels),
        truth=rows["label"].to_numpy(),
        logits={who: logits(rows, name).astype(float) for who, name in columns.items()},
    )
