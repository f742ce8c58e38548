"""The cascade: a student answers what it is sure of, and passes the rest on to its teacher. No torch.

The pair disagrees with the teacher where the student answers and is not of the teacher's opinion. That share
of all texts is bounded on the validation texts, and looked at again on the test texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.distillation.metrics import softmax, wilson
from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, Role
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION, find
from kd_core.errors import ConfigError, RunError
from kd_core.system.formatting import milliseconds, percent

Method = Literal["clopper_pearson", "conformal"]
CONFIDENCE = 0.95
# Fixed before any text is seen; fine near 1, where most answers are. Above 1 nothing is answered.
THRESHOLDS: NDArray[np.float64] = np.concatenate(
    [np.linspace(0, 0.985, 198), 1 - np.logspace(-2, -6, 81), [1.001]]
)


@dataclass(frozen=True)
class Answers:
    """Of a student on some texts: its confidence (N,), and whether it is of the teacher's opinion (N,)."""

    confidence: NDArray[np.float64]
    agrees: NDArray[np.bool_]

    @classmethod
    def of(cls, student: NDArray[np.floating], teacher: NDArray[np.floating]) -> Answers:
        """From logits, both (N, C)."""
        return cls(softmax(student).max(axis=1), student.argmax(axis=1) == teacher.argmax(axis=1))

    def __len__(self) -> int:
        return len(self.agrees)

    def answered(self, threshold: float) -> NDArray[np.bool_]:
        return self.confidence >= threshold

    def mistakes(self, threshold: float) -> int:
        """How many texts are answered otherwise than the teacher does."""
        return int((self.answered(threshold) & ~self.agrees).sum())


@dataclass(frozen=True)
class Cascade:
    """``agreement`` (with its interval) and ``answered`` are shares of the test texts.

    ``bound``: with 95 % confidence the pair disagrees on no larger share of all texts (of the conformal
    method: on no larger share on average). ``latency_ms``: of the mix, the student being asked first; None
    where the teacher is a file.
    """

    run: str
    promised: float
    method: Method
    threshold: float
    validation_texts: int
    bound: float
    test_texts: int
    answered: float
    agreement: float
    low: float
    high: float
    latency_ms: float | None
    teacher_ms: float | None

    @property
    def held(self) -> bool:
        return self.agreement >= self.promised

    @property
    def sentence(self) -> str:
        mean = "on average" if self.method == "conformal" else "with 95 % confidence"
        if self.threshold > 1:
            return (
                f"{self.validation_texts:,} validation texts cannot show {percent(self.promised)} of "
                "agreement for any share of texts: all go to the teacher. Ask for less, or give more "
                "validation texts."
            )
        how = "held" if self.held else "did not hold"
        speed = ""
        if self.latency_ms is not None and self.teacher_ms is not None:
            speed = f" A text takes {milliseconds(self.latency_ms)} on average, with the teacher alone "
            speed += f"{milliseconds(self.teacher_ms)}."
        return (
            f"The student answers where it is at least {100 * self.threshold:.5g} % sure, which is "
            f"{percent(self.answered)} of the test texts, and passes the rest on. The pair was to agree "
            f"with the teacher on {percent(self.promised)} of all texts, {mean}; on {self.test_texts:,} "
            f"test texts this {how}: {percent(self.agreement)}, 95 % interval {percent(self.low)} to "
            f"{percent(self.high)}.{speed}"
        )


def upper_bound(mistakes: int, texts: int, confidence: float = CONFIDENCE) -> float:
    """Above the true share with ``confidence``: the Beta quantile of Clopper and Pearson 1934, one-sided."""
    from scipy import stats

    return 1.0 if mistakes >= texts else float(stats.beta.ppf(confidence, mistakes + 1, texts - mistakes))


def choose_threshold(
    answers: Answers, agree: float, method: Method = "clopper_pearson"
) -> tuple[float, float]:
    """The lowest threshold at which the pair agrees in a share ``agree`` of all texts, and the bound there.

    clopper_pearson: from the highest down, each is tested only if all before it passed; such a fixed order
    needs no smaller level for the many tests, and the promise holds with 95 % confidence (Angelopoulos et al.
    2021, Learn then Test, section 2.2). conformal: the lowest t with (mistakes(t) + 1) / (n + 1) at most
    1 - agree, for which the promise holds on average (Angelopoulos et al. 2024, Conformal Risk Control,
    equation 4).
    A threshold above 1 means that nothing is answered.
    """
    chosen, bound, n = float(THRESHOLDS[-1]), 0.0, len(answers)
    for threshold in THRESHOLDS[::-1].tolist():
        wrong = answers.mistakes(threshold)
        found = upper_bound(wrong, n) if method == "clopper_pearson" else (wrong + 1) / (n + 1)
        if found > 1 - agree:
            break
        chosen, bound = threshold, found
    return chosen, bound


def cascade(run_id: str, agree: float, method: Method = "clopper_pearson", who: Role = "student") -> Cascade:
    """The pair of a finished run's student (first seed) and teacher. Raises: RunError, ConfigError."""
    if not 0.5 <= agree < 1:
        raise ConfigError(f"--agree must be at least 50 and below 100, got {100 * agree:g}")
    folder = find(run_id)
    report = Report.read(folder)
    validation, test = (recorded(folder, report, file, who) for file in (VALIDATION, PREDICTIONS))
    threshold, bound = choose_threshold(validation, agree, method)
    n, answered = len(test), float(test.answered(threshold).mean())
    agreement = 1 - test.mistakes(threshold) / n
    low, high = wilson(agreement, n)
    teacher_ms, student_ms = report.teacher.p50, report.student.p50
    mix = teacher_ms and student_ms and student_ms + (1 - answered) * teacher_ms
    return Cascade(
        run=run_id,
        promised=agree,
        method=method,
        threshold=threshold,
        validation_texts=len(validation),
        bound=bound,
        test_texts=n,
        answered=answered,
        agreement=agreement,
        low=low,
        high=high,
        latency_ms=mix,
        teacher_ms=teacher_ms,
    )


def recorded(folder: Path, report: Report, file: str, who: Role = "student") -> Answers:
    """A student (first seed) against its teacher, as the run has kept both. Raises: RunError."""
    column = f"{who}-{report.config['training']['seeds'][0]}"
    try:
        rows = pd.read_parquet(folder / file, columns=["teacher", column])
    except (OSError, ValueError) as error:
        raise RunError(
            f"Run {folder.name} has not kept what {NAMES[who]} and the teacher said about its "
            f"{'validation' if file == VALIDATION else 'test'} texts ({file} cannot be read); repeat the run."
        ) from error
    if rows.empty:
        raise RunError(f"Run {folder.name} has no texts in {file}; a cascade needs some.")
    return Answers.of(np.stack(rows[column].to_list()), np.stack(rows["teacher"].to_list()))


def risk_coverage(answers: Answers, points: Sequence[float] = ()) -> pd.DataFrame:
    """coverage, risk, low, high: of the texts of which the student is surest, the share of other opinions.

    El-Yaniv and Wiener 2010, Foundations of noise-free selective classification; the interval is Wilson's.
    """
    order = np.argsort(-answers.confidence, kind="stable")
    wrong = np.cumsum(~answers.agrees[order])
    counts = [max(1, round(share * len(answers))) for share in (points or np.linspace(0.05, 1, 20).tolist())]
    rows = [(k / len(answers), wrong[k - 1] / k, *wilson(float(wrong[k - 1] / k), k)) for k in counts]
    return pd.DataFrame(rows, columns=["coverage", "risk", "low", "high"])


SCRIPT = """\
# pip install transformers torch; python cascade.py "a text"
import sys
from transformers import pipeline

student = pipeline("text-classification", model="{student}")
teacher = pipeline("text-classification", model="{teacher}")
for text in sys.argv[1:]:
    answer = student(text, truncation=True)[0]
    if answer["score"] < {threshold}:  # not sure enough
        answer = teacher(text, truncation=True)[0]
    print(answer["label"], text)
"""


def script(found: Cascade, student: str, teacher: str) -> str:
    """A program that uses both models, given their folders."""
    return SCRIPT.format(student=student, teacher=teacher, threshold=f"{found.threshold:.6g}")
