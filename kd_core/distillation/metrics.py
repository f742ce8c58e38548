"""Step 4, the numbers of one model: its scores, and its fidelity to its teacher.

Pure functions of logits and labels; no torch, and no randomness. ``Latency`` is
declared here and measured in ``latency``, so that a report can be read without torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from kd_core.errors import DataError, DivergedError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

ECE_BINS = 15  # Guo et al. 2017, section 5
Z95 = 1.959963984540054  # two-sided 95 % point of the normal distribution
CELLS = ("both_right", "mended", "inherited", "new_error")


@dataclass(frozen=True)
class ClassScore:
    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Bin:
    """A bar of the reliability diagram: confidences in (low, high], with their mean and their accuracy."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Scores:
    """One model on one split, all in fractions; ``low`` to ``high`` is accuracy's 95 % Wilson interval."""

    accuracy: float
    low: float
    high: float
    macro_f1: float
    ece: float
    per_class: list[ClassScore]
    confusion: list[list[int]]  # rows = truth, columns = prediction
    reliability: list[Bin]  # bins that hold a text


@dataclass(frozen=True)
class Fidelity:
    """How closely a student follows its teacher; the four counts add up to the number of texts."""

    agreement: float
    kl: float
    both_right: int
    mended: int
    inherited: int
    new_error: int


BUSY = 0.7  # of the timed seconds, below which a thread computed too little to say how fast a model is


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a text to its answer.

    ``texts`` is the number of timed answers and ``mean_tokens`` their mean length, special tokens included;
    0 where there are none. ``tokenizer``: it is part of the time. In what version 0.1 measured it is not.
    ``busy``: the share of the time in which the thread computed, 1 on a machine that does nothing else; None
    where nobody has looked.
    """

    p50: float
    p95: float
    batch: int
    threads: int
    texts: int
    mean_tokens: float
    tokenizer: bool = False
    busy: float | None = None

    @property
    def tail(self) -> float:
        """p95 over p50: near 2 for texts of like lengths on a machine that does nothing else."""
        return self.p95 / self.p50 if self.p50 else 1.0

    @property
    def waited(self) -> float:
        return waited(self.busy)


def waited(busy: float | None) -> float:
    """The share of the time that went by beside other work, where that is too much to go by; else 0."""
    return 1 - busy if busy is not None and busy < BUSY else 0.0


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """exp(z_c / T) / sum_k exp(z_k / T) along the last axis: (..., C) -> (..., C), in float64."""
    result: NDArray[np.float64] = np.exp(log_softmax(logits, temperature))
    return result


def log_softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """The logarithm of ``softmax``, exact where that would round to 0 or 1.

    Not scipy's, which looks for tensors: it fails while another thread imports torch.
    """
    divided = np.asarray(logits, dtype=np.float64) / temperature
    below = divided - divided.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    return result


def kl(teacher_logits: ArrayLike, student_logits: ArrayLike) -> NDArray[np.float64]:
    """KL(teacher || student) at T = 1 of each text, in nats: (..., C) -> (...)."""
    teacher, student = log_softmax(teacher_logits), log_softmax(student_logits)
    terms = np.exp(teacher) * (teacher - student)
    result: NDArray[np.float64] = np.maximum(0.0, terms.sum(axis=-1))  # rounding can take it just below zero
    return result


def scores(logits: Floats, labels: Ints, names: Sequence[str]) -> Scores:
    """Accuracy, macro-F1, per-class scores, confusion and calibration of logits (N, C) on labels (N,).

    Macro-F1 is the mean over the classes that have a text, alike for each model; without cases a ratio is 0.
    ECE = sum_m |B_m|/N |acc(B_m) - conf(B_m)|, 15 equal bins of top-1 confidence (Guo et al. 2017, eq. 3).

    Raises: DataError without texts, DivergedError for logits that are not finite, ValueError for shapes.
    """
    logits, labels = _checked(logits, labels)
    n, classes = logits.shape
    if len(names) != classes:
        raise ValueError(f"{len(names)} class names for logits of {classes} classes")
    predicted = logits.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    right, support, guesses = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = _ratio(right, guesses), _ratio(right, support)
    f1 = _ratio(2 * right, support + guesses)
    hits = int(right.sum())
    low, high = wilson(hits / n, n)
    reliability = _reliability(softmax(logits).max(axis=1), predicted == labels)
    return Scores(
        accuracy=hits / n,
        low=low,
        high=high,
        macro_f1=float(f1[support > 0].mean()),
        ece=sum(b.count * abs(b.accuracy - b.confidence) for b in reliability) / n,
        per_class=[
            ClassScore(name, *row)
            for name, *row in zip(
                names, precision.tolist(), recall.tolist(), f1.tolist(), support.tolist(), strict=True
            )
        ],
        confusion=confusion.tolist(),
        reliability=reliability,
    )


def fidelity(teacher_logits: Floats, student_logits: Floats, labels: Ints) -> Fidelity:
    """Agreement of the top-1 answers, mean KL(teacher || student) at T = 1 in nats, and the four-way table.

    Logits are (N, C) with the same classes in the same order. The cells are those of ``fidelity_cells``.

    Raises: DataError without texts, DivergedError for logits that are not finite, ValueError for shapes.
    """
    cells = fidelity_cells(teacher_logits, student_logits, labels)
    both_right, mended, inherited, new_error = (cells.count(cell) for cell in CELLS)
    return Fidelity(
        agreement=float((np.argmax(teacher_logits, axis=1) == np.argmax(student_logits, axis=1)).mean()),
        kl=float(kl(teacher_logits, student_logits).mean()),
        both_right=both_right,
        mended=mended,
        inherited=inherited,
        new_error=new_error,
    )


def fidelity_cells(teacher_logits: Floats, student_logits: Floats, labels: Ints) -> list[str]:
    """The cell of each text, one of ``CELLS``.

    ``both_right``; ``mended``: only the student is right; ``new_error``: only the teacher is right;
    ``inherited``: both are wrong, whether or not their answers are the same.

    Raises: DataError without texts, DivergedError for logits that are not finite, ValueError for shapes.
    """
    teacher_logits, labels = _checked(teacher_logits, labels)
    student_logits, _ = _checked(student_logits, labels)
    if teacher_logits.shape != student_logits.shape:
        raise ValueError(
            f"teacher logits of shape {teacher_logits.shape}, student logits of {student_logits.shape}"
        )
    teacher = teacher_logits.argmax(axis=1) == labels
    student = student_logits.argmax(axis=1) == labels
    cells = np.select([teacher & student, student, ~teacher], CELLS[:3], default=CELLS[3])
    return [str(cell) for cell in cells]


def _checked(logits: Floats, labels: Ints) -> tuple[Floats, Ints]:
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"expected logits (N, C) and labels (N,), got {logits.shape} and {labels.shape}")
    if labels.size == 0:
        raise DataError("there are no texts to score; give the task a test split with at least one text")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels must be between 0 and {logits.shape[1] - 1}, got {labels.min()} to {labels.max()}"
        )
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise DivergedError(
            f"the model's outputs are NaN or infinite for {broken:,} of {len(labels):,} texts; "
            "train it again with a lower learning rate (--learning-rate, --teacher-learning-rate)"
        )
    return logits, labels


def _ratio(part: Ints, whole: Ints) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def wilson(accuracy: float, n: int) -> tuple[float, float]:
    """95 % interval of an accuracy on ``n`` texts (Wilson 1927)."""
    z2 = Z95**2
    middle = (accuracy + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (accuracy * (1 - accuracy) + z2 / (4 * n)) / n) / (1 + z2 / n)
    # The exact bounds hold the accuracy itself and stay in [0, 1]; rounding may lose that at 0 and 1.
    return min(accuracy, max(0.0, middle - half)), max(accuracy, min(1.0, middle + half))


def _reliability(confidence: NDArray[np.float64], right: Bools) -> list[Bin]:
    edges = np.linspace(0, 1, ECE_BINS + 1)
    index = np.digitize(confidence, edges, right=True) - 1
    return [
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            confidence=float(confidence[index == i].mean()),
            accuracy=float(right[index == i].mean()),
            count=int((index == i).sum()),
        )
        for i in np.unique(index)
    ]


def macro_f1_interval(answers: Ints, labels: Ints, classes: Ints | None = None) -> tuple[float, float] | None:
    """95 % interval of a model's mean macro-F1 over its seeds: answers (S, N), labels (N,).

    ``classes``: those whose F1 are averaged; None: all that occur among the labels.
    Of one class, F = 2 TP / D, and a text's share in its error is (2 tp_i - F (truth_i + answer_i)) / D
    (delta method); the interval is symmetric on the scale of log(F / (1 - F)), so that it stays in (0, 1).
    Of a class with F = 0 or 1 all shares are nothing, whatever its few texts leave open: its error is taken
    with one text found and one missed more (as Agresti & Coull 1998 add to a proportion).
    None where all answers are right, or none: there the method knows of no error at all.
    """
    occurs = np.unique(labels) if classes is None else np.asarray(classes)
    truth = labels == occurs[:, None]
    shares, means = np.zeros(len(labels)), []
    found, missed = np.zeros(len(occurs)), np.zeros(len(occurs))  # the shares of the texts that are added
    for said in answers:
        answer = said == occurs[:, None]  # (classes, N)
        hits, totals = (truth & answer).sum(axis=1), truth.sum(axis=1) + answer.sum(axis=1)
        f1 = 2 * hits / np.maximum(totals, 1)
        more = (f1 == 0) | (f1 == 1)
        totals = np.maximum(totals + 3 * more, 1)
        near = 2 * (hits + more) / totals
        parts = 2.0 * (truth & answer) - near[:, None] * (truth + answer.astype(np.float64))
        shares += (parts / totals[:, None]).mean(axis=0) / len(answers)
        found += more * (2 - 2 * near) / totals / len(answers)
        missed += more * near / totals / len(answers)
        means.append(float(f1.mean()))
    mean = math.fsum(means) / len(means)
    if not 0 < mean < 1:
        return None
    variance = float((shares**2).sum() + (found**2 + missed**2).sum() / len(occurs) ** 2)
    half = Z95 * math.sqrt(variance) / (mean * (1 - mean))
    low, high = special.expit(special.logit(mean) + np.array([-half, half])).tolist()
    return low, high
