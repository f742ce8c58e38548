"""The results of a run, as plain numbers: the content of ``report.json``. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from kd_core.config import LEARNS_CHOICES, VERSION, of_today
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.metrics import Fidelity, Latency, Scores
from kd_core.distillation.roles import CORE, LISTED, ROLES, STUDENTS, Role, metric_name
from kd_core.errors import RunError

FILE = "report.json"


class ModelReport(BaseModel):
    """One model on the test split; with several seeds the means, and each seed's scores beside them."""

    model_config = ConfigDict(frozen=True)

    accuracy: float
    low: float  # 95 % interval of the accuracy
    high: float
    spread: float  # sample standard deviation of the accuracy over the seeds, 0 for one
    macro_f1: float
    ece: float
    params: int | None  # these four are None of a teacher that is a file
    embedding_params: int | None
    size_mb: float | None
    latency_ms: Latency | None
    shifted: dict[str, float]  # accuracy on texts that nobody was trained for
    seeds: dict[int, Scores]
    macro_f1_interval: tuple[float, float] | None = None  # 95 %; None in reports before it was there
    class_f1_interval: tuple[float, float] | None = None  # the same, of the class that the metric names
    shifted_score: dict[str, float] = {}  # ``shifted`` in the F1 that judges the run, if one does
    # By how much these, or else those of ``shifted``, are above the test texts' score: 95 % intervals.
    rises: dict[str, tuple[float, float]] = {}

    def by(self, metric: str) -> float:
        """Its mean over the seeds in what ``training.metric`` names."""
        if metric in ("accuracy", "macro_f1"):
            return float(getattr(self, metric))
        return fmean(self.of_seed(seed, metric) for seed in self.seeds)

    def of_seed(self, seed: int, metric: str) -> float:
        """The same of one seed."""
        one, own = self.seeds[seed], metric.removeprefix("f1:")
        if metric in ("accuracy", "macro_f1"):
            return float(getattr(one, metric))
        return next(row.f1 for row in one.per_class if row.name == own)

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Of ``by``, 95 %; None where it was not kept."""
        if metric == "accuracy":
            return self.low, self.high
        return self.macro_f1_interval if metric == "macro_f1" else self.class_f1_interval

    @property
    def p50(self) -> float | None:
        """Of its latency, in ms."""
        return self.latency_ms.p50 if self.latency_ms else None

    @property
    def p95(self) -> float | None:
        return self.latency_ms.p95 if self.latency_ms else None


@dataclass(frozen=True)
class TimedBy:
    """A later measurement, whose latencies stand in a report in the place of the run's own."""

    name: str
    machine: Mapping[str, str | int]


def _as_listed(models: dict[Role, ModelReport]) -> dict[Role, ModelReport]:
    if missing := [who for who in CORE if who not in models and who != "alone"]:
        raise ValueError(f"there is nothing about {', '.join(missing)}")
    return {who: models[who] for who in LISTED if who in models}


class Report(BaseModel):
    """What came out of a run.

    ``models`` has a ``ModelReport`` for each model, by its role: ``report.models["alone"].accuracy`` is a
    share from 0 to 1, ``low`` and ``high`` its 95 % interval, ``p50`` the median latency of one text in ms,
    ``seeds`` the scores of each seed; ``report.student`` and ``report.teacher`` are two of them. ``verdict``
    is the student minus its control, ``sentence`` that in words, ``gains`` the same against every other
    model. ``rows`` counts the texts of each split, ``seconds`` are those of each step. ``folder`` holds
    ``predictions.parquet`` (text, label as a place in ``labels``, and of each model a column with its logits)
    and ``students/``.

    In JSON each model is a key of its own, null where there is none.
    """

    model_config = ConfigDict(frozen=True)

    version: int = Field(VERSION, le=VERSION)
    run_id: str
    created: str
    folder: str
    config: Annotated[dict[str, Any], AfterValidator(of_today)]
    labels: list[str]
    rows: dict[str, int]
    models: Annotated[dict[Role, ModelReport], AfterValidator(_as_listed)]
    teacher_key: str  # its folder among the cached teachers
    # Against the student alone or, where all labels are the teacher's, that of its hard answers. None where
    # the teacher has given labels alone, which are hard answers.
    verdict: Verdict | None
    sentence: str
    fidelity: Fidelity
    seconds: dict[str, float]
    cached: dict[str, bool]
    machine: dict[str, str | int]
    notes: list[str]
    # Share of the validation and test texts with a word piece that the student lacks; None in reports of 0.1
    # and where the student's tokenizer is no part of the teacher's.
    unknown_texts: float | None = None
    # The student's verdict against TF-IDF; None in reports of 0.1, and where that was left out.
    over_floor: Verdict | None = None
    # And against the one on the teacher's hard answers, where that was trained.
    over_hard: Verdict | None = None
    # Distilled student minus teacher, and minus student alone in macro-F1, or in the F1 of the class that
    # ``training.metric`` names; None in reports before these.
    over_teacher: Verdict | None = None
    f1_gain: Verdict | None = None
    # Of those of ``roles.STAIRS`` that the run has, each one's verdict against the one before.
    stairs: dict[Role, Verdict] = {}
    stairs_metric: str = "accuracy"  # of reports of before, whatever they are judged by
    # Distilled student minus each other model, in accuracy and in what the run is judged by; empty in reports
    # before these: see ``gains``.
    over: dict[Role, Verdict] = {}
    over_by_metric: dict[Role, Verdict] = {}
    # Whose latencies these are, where ``deployment.times`` has changed them; it is never stored.
    timed_by: TimedBy | None = Field(None, exclude=True)

    @property
    def metric(self) -> str:
        """As in ``training.metric``."""
        return str(self.config["training"].get("metric", "accuracy"))

    @property
    def judged_by(self) -> str:
        """What verdict and gains are in, for a person: "accuracy", "agreement", "macro-F1", "F1 of spam"."""
        return self.measures if self.metric == "accuracy" else metric_name(self.metric)

    @property
    def first_seed(self) -> str:
        """Whose student is exported and benchmarked: "of seed 0, the first of 3"; "" where there is one."""
        seeds = list(self.student.seeds)
        return f"of seed {seeds[0]}, the first of {len(seeds)}" if len(seeds) > 1 else ""

    @property
    def whose_students(self) -> str:
        """The same as a sentence, where a run's models answer or are timed."""
        return f"The students are those {self.first_seed}." if self.first_seed else ""

    @property
    def measured(self) -> dict[str, str]:
        """What models are measured by, as in ``training.metric``, with names. What decides comes first."""
        names = {"accuracy": self.measures, "macro_f1": metric_name("macro_f1")}
        return {self.metric: self.judged_by} | names

    @property
    def gains(self) -> dict[Role, Verdict]:
        """Distilled student minus each other model in what the run is judged by, its control first.

        Of reports before ``over_by_metric``: those that they have.
        """
        known: dict[Role, Verdict | None] = {"alone": self.verdict, "tfidf": self.over_floor}
        if self.metric == "accuracy":
            known |= {
                "labelled_only": self.stairs.get("student") if "labelled_only" in self.models else None,
                "hard_answers": self.over_hard,
                "teacher": self.over_teacher,
            }
            known |= self.over
        else:
            known |= self.over_by_metric
        listed = sorted(LISTED, key=lambda who: self.models.get(who) is not self.control)
        return {who: gap for who in listed if who in self.judged and (gap := known.get(who)) is not None}

    @property
    def other_metric(self) -> str:
        """What is known of other texts: the metric that the run is judged by, or accuracy alone."""
        read = [model for model in self.models.values() if model.shifted]
        return self.metric if read and all(model.shifted_score for model in read) else "accuracy"

    @property
    def on_other_texts(self) -> dict[Role, dict[str, float]]:
        """In ``other_metric``, of each model that was asked: on the test texts, and on each other set.

        A file has no answers to other texts.
        """
        metric = self.other_metric
        found: dict[Role, dict[str, float]] = {}
        for who, model in self.models.items():
            scores = model.shifted if metric == "accuracy" else model.shifted_score
            if scores or not self.student.shifted:
                # In the student's order: what a cache kept may have another.
                own = {name: scores[name] for name in self.student.shifted if name in scores}
                found[who] = {"test texts": model.by(metric)} | own
        return found

    @property
    def has_transfer_set(self) -> bool:
        """Whether the teacher has labelled texts that are no spans of its own training texts."""
        return self.rows.get("transfer", 0) > self.rows.get("spans", 0)

    @property
    def transfer_name(self) -> str:
        """What the teacher alone has labelled; "" for nothing."""
        if self.has_transfer_set:
            return "transfer texts"
        return "spans of the training texts" if self.rows.get("spans") else ""

    @property
    def as_good(self) -> list[Role]:
        """Students of this run that had less of the teacher and are not shown to be worse for it."""
        return [who for who, gap in self.gains.items() if who in STUDENTS and gap.kind != "helped"]

    @property
    def teacher(self) -> ModelReport:
        return self.models["teacher"]

    @property
    def student(self) -> ModelReport:
        return self.models["student"]

    @property
    def alone(self) -> ModelReport:
        return self.models["alone"]

    @property
    def timing(self) -> Latency:
        """How latency was measured, and the student's."""
        assert self.student.latency_ms is not None
        return self.student.latency_ms

    @property
    def control(self) -> ModelReport:
        """What the distilled student is judged against."""
        return self.models.get("alone") or self.models.get("hard_answers") or self.student

    @property
    def judged(self) -> dict[Role, ModelReport]:
        """Those of which ``accuracy`` says something: a teacher agrees with itself."""
        own = {"teacher"} if self.measures == "agreement" else set()
        return {who: model for who, model in self.models.items() if who not in own}

    @property
    def answering(self) -> tuple[Role, ...]:
        """Those that can be asked about a new text: teacher, student, and what it is judged against."""
        wanted: tuple[Role, ...] = ("teacher", "student", "alone")
        if "alone" not in self.models:
            wanted = ("teacher", "student", "hard_answers")
        return tuple(who for who in wanted if who in self.models and self.models[who].latency_ms)

    @property
    def teacher_is_file(self) -> bool:
        return bool(self.config["task"].get("knowledge"))

    @property
    def learns_choices(self) -> bool:
        """Whether the labels of the training and validation texts are the teacher's choices."""
        return self.config["task"].get("gold") in LEARNS_CHOICES

    @property
    def teacher_gives_labels(self) -> bool:
        """And nothing else: how sure it is was not said, and its logits are ``task.smoothing``'s."""
        return bool(self.config["task"].get("answers") == "labels")

    @property
    def measures(self) -> Literal["accuracy", "agreement"]:
        """What ``accuracy`` is here: agreement with the teacher where no test text has a gold label."""
        return "agreement" if self.config["task"].get("gold") == "none" else "accuracy"

    @model_validator(mode="before")
    @classmethod
    def _gather_models(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {"models": {who: values[who] for who in ROLES if values.get(who) is not None}} | values

    @model_validator(mode="after")
    def _has_its_control(self) -> Self:
        if "alone" not in self.models and not self.learns_choices:
            raise ValueError("there is nothing about alone")
        return self

    @model_serializer(mode="wrap")
    def _spread_models(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        spread: dict[str, Any] = {}
        for name, value in dump(self).items():
            spread |= {who: value.get(who) for who in ROLES} if name == "models" else {name: value}
        return spread

    def __repr__(self) -> str:
        return f"<Report of {self.run_id}: {self.sentence}>"  # all of it fills screens

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises: RunError where it cannot be read."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            named = values.get("run_id", "a run") if isinstance(values, Mapping) else "a run"
            raise _unreadable(named, error) from error

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """That of a run's folder, wherever it lies now. Raises: RunError: there is none that can be read."""
        folder = Path(folder)
        try:
            report = cls.model_validate_json((folder / FILE).read_bytes())
            return report.model_copy(update={"folder": str(folder.absolute())})
        except OSError as error:
            raise RunError(f"{folder.name} has no report: {error.strerror}.") from error
        except ValidationError as error:
            raise _unreadable(folder.name, error) from error


def _unreadable(run_id: str, error: ValidationError) -> RunError:
    newer = any(problem["loc"] == ("version",) for problem in error.errors())
    why = "it is of a newer KD Studio; update this one" if newer else "it may be from another version"
    return RunError(f"The report of {run_id} cannot be read; {why}.")
