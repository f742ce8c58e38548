"""The cascade: a student answers what it is sure of, and passes the rest on to its teacher. No torch.

The pair disagrees with the teacher where the student answers and is not of the teacher's opinion. That share
of all texts is bounded on the validation texts, and looked at again on the test texts. Where there are gold
labels, the share of wrong answers can be bounded instead, the teacher's among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from kd_core.deployment import int8_answers
from kd_core.deployment.cascade_defaults import AGREE, HIGHEST, LOWEST, STEP
from kd_core.deployment.queueing import lognormal_mean
from kd_core.deployment.runtimes import Runtime
from kd_core.deployment.times import Form, own_times
from kd_core.distillation.calibration import temperature_of
from kd_core.distillation.metrics import Latency, softmax, wilson
from kd_core.distillation.predictions import kept_as, logits, read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, Role
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION, find
from kd_core.errors import ConfigError, RunError
from kd_core.system.formatting import beside_other_work, milliseconds, percent
from kd_core.system.settings import Settings, setting

Method = Literal["clopper_pearson", "conformal"]
Judge = Literal["teacher", "gold"]  # whose opinion counts
Agree = Annotated[float, Field(ge=LOWEST, lt=100)]  # percent
FELL_SHORT = "fell short by no more than chance explains"
CONFIDENCE = 0.95
ROUNDING = 1e-9  # of shares that are equal: 1 - 7 / 100 is less than 0.93
# Fixed before any text is seen; fine near 1, where most answers are. Above 1 nothing is answered.
THRESHOLDS: NDArray[np.float64] = np.concatenate(
    [np.linspace(0, 0.985, 198), 1 - np.logspace(-2, -6, 81), [1.001]]
)


class CascadeConfig(Settings):
    agree: Agree = setting(
        AGREE,
        "In how many percent of all texts the pair is to agree with the teacher",
        slider=(80, HIGHEST, STEP),
    )


def check_agree(percent: float) -> None:
    """Raises: ConfigError, which names the flag."""
    try:
        CascadeConfig.from_dict({"agree": percent})
    except ConfigError as error:
        raise ConfigError(*(f"--{problem}" for problem in error.problems)) from None


@dataclass(frozen=True)
class Answers:
    """Of a student on some texts: its confidence (N,), and whether it is of the judge's opinion (N,).

    ``teacher_errs`` (N,): whether the teacher is not; None where the teacher is the judge.
    """

    confidence: NDArray[np.float64]
    agrees: NDArray[np.bool_]
    teacher_errs: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        student: NDArray[np.floating],
        teacher: NDArray[np.floating],
        labels: NDArray[np.integer] | None = None,
    ) -> Answers:
        """From logits, both (N, C); judged by the ``labels`` (N,), if there are any, else by the teacher."""
        choices, opinions = student.argmax(axis=1), teacher.argmax(axis=1)
        confidence = softmax(student).max(axis=1)
        if labels is None:
            return cls(confidence, choices == opinions)
        return cls(confidence, choices == labels, opinions != labels)

    def __len__(self) -> int:
        return len(self.agrees)

    def answered(self, threshold: float) -> NDArray[np.bool_]:
        return self.confidence >= threshold

    def mistakes(self, threshold: float) -> int:
        """How many texts the pair answers otherwise than the judge."""
        answered = self.answered(threshold)
        passed = 0 if self.teacher_errs is None else int((~answered & self.teacher_errs).sum())
        return int((answered & ~self.agrees).sum()) + passed

    def ever_mistaken(self, threshold: float) -> int:
        """At this threshold or at a higher one: conformal control needs what only grows on the way down."""
        if self.teacher_errs is None:
            return self.mistakes(threshold)
        return int(((self.answered(threshold) & ~self.agrees) | self.teacher_errs).sum())


@dataclass(frozen=True)
class Cascade:
    """``agreement`` (with the teacher or, where ``judge`` is gold, with the labels) and ``answered`` are
    shares of the test texts.

    ``bound``: with 95 % confidence the pair disagrees on no larger share of all texts (of the conformal
    method: on no larger share on average). ``student_ms`` and ``teacher_ms`` are mean times of a text on one
    core, taken in turns, None where they are not known: a teacher that is a file has none. ``waited``: the
    shares of these times that went by beside other work, where those are too large.
    """

    run: str
    promised: float
    method: Method
    judge: Judge
    runtime: Runtime
    threshold: float
    validation_texts: int
    bound: float
    test_texts: int
    answered: float
    agreement: float
    low: float
    high: float
    student_ms: float | None
    teacher_ms: float | None
    waited: Mapping[Role, float] = field(default_factory=dict)

    @property
    def doubt(self) -> str:
        """Why the times are to be doubted; "" where they are not."""
        if not self.waited:
            return ""
        how = "with an export or kd bench" if self.teacher_ms else "with an export"
        shares = {NAMES[who]: share for who, share in self.waited.items()}
        return f"{beside_other_work(shares)}: measure again when the machine is idle, {how}."

    @property
    def latency_ms(self) -> float | None:
        """The mean time of a text: the student is asked first."""
        if self.student_ms is None or self.teacher_ms is None:
            return None
        return self.student_ms + (1 - self.answered) * self.teacher_ms

    def costs(self, core_hour: float, answer: float | None = None) -> tuple[float, float] | None:
        """Of a million texts by the pair, and by the teacher alone; None where times are not known.

        ``core_hour`` is the price of a core for an hour, ``answer`` that of a thousand answers of a teacher
        that is asked elsewhere.
        """
        an_ms = core_hour * 1e6 / 3.6e6  # what a millisecond a text costs
        teacher = 1000 * answer if answer is not None else self.teacher_ms and an_ms * self.teacher_ms
        if teacher is None or self.student_ms is None:
            return None
        return an_ms * self.student_ms + (1 - self.answered) * teacher, teacher

    @property
    def held(self) -> bool:
        return self.agreement >= self.promised - ROUNDING

    @property
    def sentence(self) -> str:
        mean = "on average" if self.method == "conformal" else "with 95 % confidence"
        gold = self.judge == "gold"
        span = f"95 % interval {percent(self.low)} to {percent(self.high)}"
        if self.threshold > 1:
            begin = f"{self.validation_texts:,} validation texts cannot show {percent(self.promised)} of "
            more = "Ask for less, or give more validation texts."
            if gold and self.bound > 1 - self.promised + ROUNDING:  # with it the search begins
                if self.high < self.promised:
                    more = "No share of texts can reach it: ask for less, or take a better teacher."
                return (
                    f"{begin}right answers for the teacher alone, with which the search for a share begins: "
                    f"all go to it. It is right on {percent(self.agreement)} of the test texts ({span}). "
                    f"{more}"
                )
            what = "right answers" if gold else "agreement"
            return f"{begin}{what} for any share of texts: all go to the teacher. {more}"
        how = "held" if self.held else "did not hold" if self.high < self.promised else FELL_SHORT
        wanted = "be right" if gold else "agree with the teacher"
        speed = ""
        if self.latency_ms is not None and self.teacher_ms is not None:
            speed = f" A text takes about {milliseconds(self.latency_ms)} on average, with the teacher alone "
            speed += f"{milliseconds(self.teacher_ms)} (timed in turns, by p50 and p95)."
        where = (
            f"where it is at least {100 * self.threshold:.6g} % sure, which is {percent(self.answered)} of "
            "the test texts, and passes the rest on"
        )
        if self.threshold == 0:
            where = "every text, however sure it is, and passes none on"
        return (
            f"The student answers {where}. The pair was to {wanted} on {percent(self.promised)} of all "
            f"texts, {mean}; on {self.test_texts:,} test texts this {how}: {percent(self.agreement)}, "
            f"{span}.{speed}"
        )


def upper_bound(mistakes: int, texts: int) -> float:
    """Above the true share with 95 % confidence: the Beta quantile of Clopper and Pearson 1934, one-sided."""
    from scipy import stats

    return 1.0 if mistakes >= texts else float(stats.beta.ppf(CONFIDENCE, mistakes + 1, texts - mistakes))


def choose_threshold(
    answers: Answers, agree: float, method: Method = "clopper_pearson"
) -> tuple[float, float]:
    """The lowest threshold at which the pair agrees in a share ``agree`` of all texts, and the bound there.

    clopper_pearson: from the highest down, each is tested only if all before it passed; such a fixed order
    needs no smaller level for the many tests, and the promise holds with 95 % confidence (Angelopoulos et al.
    2021, Learn then Test, section 2.2). conformal: the lowest t with (mistakes(t) + 1) / (n + 1) at most
    1 - agree, for which the promise holds on average (Angelopoulos et al. 2024, Conformal Risk Control,
    equation 4).
    A threshold above 1 means that nothing is answered; then the bound is on the teacher's own errors, and 0
    where it is the judge.
    """
    n, nothing = len(answers), float(THRESHOLDS[-1])

    def bound_at(threshold: float) -> float:
        if method == "conformal":
            return (answers.ever_mistaken(threshold) + 1) / (n + 1)
        return upper_bound(answers.mistakes(threshold), n)

    allowed = 1 - agree + ROUNDING
    passed = list(takewhile(lambda threshold: bound_at(threshold) <= allowed, THRESHOLDS[::-1].tolist()))
    if passed and passed[-1] <= 1:
        return passed[-1], bound_at(passed[-1])
    return nothing, 0.0 if answers.teacher_errs is None else bound_at(nothing)


def cascade(
    run_id: str,
    agree: float,
    method: Method = "clopper_pearson",
    judge: Judge = "teacher",
    runtime: Runtime = "pytorch",
    calibrated: bool = False,
    times: Mapping[Form, Latency] | None = None,
) -> Cascade:
    """The pair of a finished run's student (first seed) and teacher.

    ``runtime``: the student's, pytorch or int8 (see ``int8_answers``). ``calibrated``: its logits are divided
    by its temperature, as in an export. ``times``: those of one measurement; by default the run's own.
    Raises: RunError, ConfigError.
    """
    check_agree(100 * agree)
    folder = find(run_id)
    report = Report.read(folder)
    temperature = temperature_of(folder, report, "student") if calibrated else 1.0
    validation, test = (
        recorded(folder, report, file, "student", judge, runtime, temperature)
        for file in (VALIDATION, PREDICTIONS)
    )
    threshold, bound = choose_threshold(validation, agree, method)
    n, answered = len(test), float(test.answered(threshold).mean())
    agreement = 1 - test.mistakes(threshold) / n
    low, high = wilson(agreement, n)
    times = times or own_times(report).latencies
    if ("student", runtime) not in times:  # int8, which an export or a benchmark may have timed
        in_turns = int8_answers.speed(run_id)
        times = {(who, runtime if who == "student" else "pytorch"): time for who, time in in_turns.items()}
    pair: dict[Role, Runtime] = {"student": runtime, "teacher": "pytorch"}
    used = {who: times.get((who, form)) for who, form in pair.items()}
    return Cascade(
        run=run_id,
        promised=agree,
        method=method,
        judge=judge,
        runtime=runtime,
        threshold=threshold,
        validation_texts=len(validation),
        bound=bound,
        test_texts=n,
        answered=answered,
        agreement=agreement,
        low=low,
        high=high,
        student_ms=_mean(used["student"]),
        teacher_ms=_mean(used["teacher"]),
        waited={who: time.waited for who, time in used.items() if time and time.waited},
    )


def _mean(speed: Latency | None) -> float | None:
    return lognormal_mean(speed.p50, speed.p95) if speed else None


def recorded(
    folder: Path,
    report: Report,
    file: str,
    who: Role = "student",
    judge: Judge = "teacher",
    runtime: Runtime = "pytorch",
    temperature: float = 1.0,
) -> Answers:
    """A student (first seed) against the judge, as the run has kept their answers. Raises: RunError."""
    if judge == "gold" and (report.measures == "agreement" or (file == VALIDATION and report.learns_choices)):
        raise RunError(
            f"The validation texts of run {folder.name} have no gold labels, so it cannot be promised that "
            "the pair is right; ask for agreement with the teacher (without --right)."
        )
    column = kept_as(report, who)
    rows = read_predictions(folder, file, "teacher", column, *["label"] * (judge == "gold"))
    if rows.empty:
        raise RunError(f"Run {folder.name} has no texts in {file}; a cascade needs some.")
    student = int8_answers.logits(folder.name, file) if runtime == "int8" else logits(rows, column)
    labels = rows["label"].to_numpy() if judge == "gold" else None
    return Answers.of(student / temperature, logits(rows, "teacher"), labels)


def risk_coverage(answers: Answers, points: Sequence[float] = ()) -> pd.DataFrame:
    """coverage, risk, low, high: of the texts of which the student is surest, the share of other opinions.

    El-Yaniv and Wiener 2010, Foundations of noise-free selective classification; the interval is Wilson's.
    """
    order = np.argsort(-answers.confidence, kind="stable")
    wrong = np.cumsum(~answers.agrees[order])
    counts = [max(1, round(share * len(answers))) for share in (points or np.linspace(0.05, 1, 20).tolist())]
    rows = [(k / len(answers), wrong[k - 1] / k, *wilson(float(wrong[k - 1] / k), k)) for k in counts]
    return pd.DataFrame(rows, columns=["coverage", "risk", "low", "high"])
