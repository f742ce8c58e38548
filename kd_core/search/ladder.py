"""The smallest student that keeps so much of its teacher: one after the other, while a file could be smaller.

The validation texts decide, by ``training.metric``, and no student of a ladder was chosen by them: its
weights are those of its last step. Each student is a run of its own; they share teacher and knowledge through
the cache. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from kd_core.config import DistillConfig
from kd_core.distillation.metrics import Latency
from kd_core.distillation.predictions import kept_as, read_predictions
from kd_core.distillation.roles import CORE_ONLY, FLOOR, NAMES, metric_name
from kd_core.distillation.run_folder import VALIDATION
from kd_core.search.kept import at_least, at_most, compared, texts_to_show
from kd_core.system.settings import Distinct, Settings, setting

if TYPE_CHECKING:
    import pandas as pd

    from kd_core.distillation.report import Report

# shown: the bound meets what is wanted; likely: the estimate does, the bound does not.
Answer = Literal["shown", "likely", "no", "failed"]
# Of the smallest file that is shown. For less than a tenth no other student is tried: in int8 a parameter
# has a byte, and a file is 1 to 12 % more.
SMALLER = 0.9
NEVER = 10_000_000  # steps between looks at the validation texts: at the end alone


class LadderConfig(Settings):
    """``distill`` is what all its runs have in common."""

    distill: DistillConfig = Field(default_factory=DistillConfig)
    keep: float = setting(
        98.0,
        "Find the smallest student that keeps this percentage of the teacher's accuracy, or of what --metric "
        "says",
        ge=50,
        le=100,
        slider=(90, 100, 0.5),
    )
    students: Distinct[str] = setting(
        ("static", "cnn", "tiny", "mini", "third", "half"),
        "Students to try for it, in this order",
        min_length=1,
    )
    int8: bool = setting(True, "Judge each student in int8 too, a quarter of its size")
    within_mb: float | None = setting(None, "It may have so many megabytes", gt=0)
    within_ms: float | None = setting(
        None, "It may take so many milliseconds for one text, at the median", gt=0
    )

    @field_validator("distill")
    @classmethod
    def _has_a_teacher(cls, distill: DistillConfig) -> DistillConfig:
        if distill.task.knowledge:
            raise ValueError(
                f"learns from a file of answers ({distill.task.knowledge}), which has no accuracy to keep; "
                "leave out --keep, or --knowledge"
            )
        return distill

    @property
    def wanted(self) -> float:
        return self.keep / 100

    @property
    def confidence(self) -> float:
        """Of each bound: 95 % for all that is judged together (Bonferroni)."""
        forms = 2 if self.int8 else 1
        return 1 - 0.05 / (forms * len(self.students) + 1)  # TF-IDF is one more

    def least_mb(self, params: int) -> float:
        """The smallest file that a student of so many parameters may have: one byte each, or four."""
        return params * (1 if self.int8 else 4) / 1e6

    def rung(self, student: str) -> DistillConfig:
        """The run of one student, without what the choice does not need."""
        tfidf = {"controls.tfidf": self.distill.controls.tfidf}
        quick = {**CORE_ONLY, **tfidf, "controls.shifted": False, "training.evaluate_every": NEVER}
        one = {"training.seeds": self.distill.training.seeds[:1]}  # it is one file that is judged
        return self.distill.change({"student.model": student, **quick, **one})


@dataclass(frozen=True)
class Int8:
    """What a run's student is in int8.

    ``validation``: its logits (texts, classes). ``accuracy``, and ``score`` by the ladder's metric, are of
    the test texts.
    """

    validation: NDArray[np.float32]
    accuracy: float
    score: float
    size_mb: float
    latency: Latency


class Rung(BaseModel):
    """One student, in PyTorch or int8, or TF-IDF.

    ``kept`` and ``at_least`` are shares of the teacher's score by the ladder's ``metric``.
    """

    model_config = ConfigDict(frozen=True)

    student: str
    run_id: str
    answer: Answer
    int8: bool = False
    kept: float = 0.0
    at_least: float = 0.0
    at_most: float | None = None  # None where no share is ruled out, and in older results
    params: int = 0
    size_mb: float = 0.0
    latency_ms: float = 0.0
    waited: float = 0.0  # share of that time which went by beside other work, where it is too much
    fits: bool = True  # within the megabytes and milliseconds that were asked for
    texts: int = 0  # of validation
    needed: int | None = None  # validation texts that would show it, if this is what they say
    accuracy: float = 0.0  # on the test texts, which decide nothing here
    score: float | None = None  # the same by the metric; None in older results, which knew of accuracy alone
    error: str = ""

    @property
    def tested(self) -> float:
        """What it reached on the test texts, by the ladder's metric."""
        return self.accuracy if self.score is None else self.score

    @property
    def name(self) -> str:
        return NAMES[FLOOR] if self.student == FLOOR else self.student

    @property
    def title(self) -> str:
        return f"{self.name}, int8" if self.int8 else self.name


class LadderResult(BaseModel):
    """What has been tried so far; ``running`` is the run of the next student, once it has begun.

    ``metric`` is that of the runs, as in ``training.metric``, once there is one; older results: accuracy.
    """

    model_config = ConfigDict(frozen=True)

    config: LadderConfig
    rungs: tuple[Rung, ...] = ()
    running: str | None = None
    teacher_params: int = 0
    teacher_accuracy: float = 0.0  # on the test texts
    teacher_score: float | None = None  # as ``Rung.score``
    metric: str = "accuracy"
    params: Mapping[str, int] = {}  # of each student, once one is shown; none in older results

    @property
    def measure(self) -> str:
        """What is kept, for a person."""
        return metric_name(self.metric)

    @property
    def teacher_tested(self) -> float:
        return self.teacher_accuracy if self.teacher_score is None else self.teacher_score

    @property
    def kept_on_test(self) -> float:
        """What of the teacher's the chosen one keeps on the test texts, which decide nothing."""
        return self.chosen.tested / self.teacher_tested if self.chosen and self.teacher_tested else 0.0

    @property
    def next(self) -> str | None:
        """The student to try now; None where the ladder has ended.

        After one that is shown: the next whose file could be clearly smaller, by ``params``.
        """
        if (shown := self._shown_mb) is None:
            return next(iter(self._left), None)
        least = {name: self.config.least_mb(self.params[name]) for name in self._left if name in self.params}
        return next((name for name, size in least.items() if size < SMALLER * shown), None)

    @property
    def needs_params(self) -> bool:
        """Whether only these tell if it has ended."""
        return self._shown_mb is not None and bool(self._left) and not self.params

    @property
    def _shown_mb(self) -> float | None:
        """The smallest file of a student that is shown."""
        shown = (rung.size_mb for rung in self._enough if rung.answer == "shown" and rung.student != FLOOR)
        return min(shown, default=None)

    @property
    def tried(self) -> set[str]:
        return {rung.student for rung in self.rungs}

    @property
    def _left(self) -> list[str]:
        return [name for name in self.config.students if name not in self.tried]

    @property
    def judged(self) -> list[Rung]:
        """Without those that failed; while there is none, ``metric`` is not known either."""
        return [rung for rung in self.rungs if rung.answer != "failed"]

    @property
    def students(self) -> list[Rung]:
        """Those that were judged, without TF-IDF."""
        return [rung for rung in self.judged if rung.student != FLOOR]

    @property
    def chosen(self) -> Rung | None:
        """The smallest student that is shown, or else the smallest that is likely."""
        students = (rung for rung in self._enough if rung.student != FLOOR)
        return min(students, key=lambda rung: (rung.answer != "shown", rung.size_mb), default=None)

    @property
    def floor(self) -> Rung | None:
        """TF-IDF, where it is shown or likely too: no run stores it, so it is not what is chosen."""
        return next((rung for rung in self._enough if rung.student == FLOOR), None)

    @property
    def _enough(self) -> list[Rung]:
        return [rung for rung in self.rungs if rung.fits and rung.answer in ("shown", "likely")]

    def metric_of(self, report: Report) -> str:
        """By what a run's student is to be judged: as the first one was."""
        return self.metric if self.judged else report.metric

    def with_run(self, run_id: str) -> Self:
        """The next student's run has begun."""
        return self.model_copy(update={"running": run_id})

    def with_report(self, student: str, report: Report, int8: Int8 | None = None) -> Self:
        """One student more, by its report and the answers that its run has kept; the first brings TF-IDF.

        Raises: RunError where they are gone.
        """
        answers = read_predictions(Path(report.folder), VALIDATION)
        rungs, metric = self.rungs, self.metric_of(report)
        if FLOOR in answers and all(rung.student != FLOOR for rung in rungs):
            rungs += (self._rung(FLOOR, answers[FLOOR], answers, report, metric),)
        if int8:
            rungs += (self._rung(student, int8.validation, answers, report, metric, int8),)
        rungs += (self._rung(student, answers[kept_as(report, "student")], answers, report, metric),)
        return self.model_copy(
            update={
                "rungs": rungs,
                "metric": metric,
                "running": None,
                "teacher_params": report.teacher.params or 0,
                "teacher_accuracy": report.teacher.accuracy,
                "teacher_score": report.teacher.by(metric),
            }
        )

    def with_error(self, student: str, error: str, *, int8: bool = False) -> Self:
        """A student that this teacher cannot have, or that could not be trained or converted."""
        run_id = self.running or ""
        failed = Rung(student=student, run_id=run_id, answer="failed", int8=int8, fits=False, error=error)
        return self.model_copy(update={"rungs": (*self.rungs, failed), "running": None})

    def _rung(
        self,
        student: str,
        own: Iterable[NDArray[np.float32]],
        answers: pd.DataFrame,
        report: Report,
        metric: str,
        int8: Int8 | None = None,
    ) -> Rung:
        config, truth = self.config, answers["label"].to_numpy()
        chosen, teacher = (np.stack(list(given)).argmax(axis=1) for given in (own, answers["teacher"]))
        pairs = compared(metric, chosen, teacher, truth, report.labels)
        model = report.models[FLOOR if student == FLOOR else "student"]
        form = int8 or model
        size, time = form.size_mb or 0.0, int8.latency if int8 else model.latency_ms
        latency = time.p50 if time else 0.0
        bound = at_least(pairs, config.confidence)
        likely = pairs.kept >= config.wanted
        limits = ((config.within_mb, size), (config.within_ms, latency))
        return Rung(
            student=student,
            run_id=report.run_id,
            answer="shown" if bound >= config.wanted else "likely" if likely else "no",
            int8=int8 is not None,
            kept=pairs.kept,
            at_least=bound,
            at_most=at_most(pairs, config.confidence),
            params=model.params or 0,
            size_mb=size,
            latency_ms=latency,
            waited=time.waited if time else 0.0,
            fits=all(limit is None or value <= limit for limit, value in limits),
            texts=len(answers),
            needed=texts_to_show(pairs, config.wanted, config.confidence) if likely else None,
            accuracy=form.accuracy,
            score=int8.score if int8 else model.by(metric),
        )
