"""What more texts would bring: a finished run again with a part of its labelled, or of its transfer texts.

Each part is a run of its own with the same test texts, so that students are compared text by text. No torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from kd_core.config import DistillConfig
from kd_core.distillation.roles import CORE, CORE_ONLY, FLOOR, Role, metric_name
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError
from kd_core.system.formatting import interval, points
from kd_core.system.settings import Distinct, Settings, setting

if TYPE_CHECKING:
    from kd_core.distillation.report import Report

Kind = Literal["labels", "transfer"]
SETTING: dict[Kind, str] = {"labels": "task.train_texts", "transfer": "task.transfer_texts"}
NAME: dict[Kind, str] = {"labels": "labelled texts", "transfer": "transfer texts"}


class CurveConfig(Settings):
    run: str = setting(..., "Id of a finished run")
    shares: Distinct[Annotated[float, Field(gt=0, lt=1)]] = setting(
        (0.25, 0.5), "Parts of its labelled and of its transfer texts to try", min_length=1
    )


class Part(BaseModel):
    """A run with ``texts`` of one kind, and all of the other; ``accuracy`` on the test texts, by model.

    ``score`` is by the curve's metric; empty in older results, which knew of accuracy alone.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    texts: int
    run_id: str = ""
    accuracy: dict[Role, float] = {}
    score: dict[Role, float] = {}

    @property
    def scores(self) -> dict[Role, float]:
        """By the curve's metric."""
        return self.score or self.accuracy

    @property
    def title(self) -> str:
        return f"{self.texts:,} {NAME[self.kind]}"

    def judged(self, report: Report, metric: str) -> Self:
        """By its run's report, of the models that every part has."""
        models = {who: model for who, model in report.models.items() if who in (*CORE, FLOOR)}
        return self.model_copy(
            update={
                "run_id": report.run_id,
                "accuracy": {who: model.accuracy for who, model in models.items()},
                "score": {who: model.by(metric) for who, model in models.items()},
            }
        )

    def config(self, asked: DistillConfig) -> DistillConfig:
        """The run, as it was ``asked`` for, with that part, and no student but two."""
        tfidf = {"controls.tfidf": asked.controls.tfidf}
        quick = {**CORE_ONLY, **tfidf, "controls.shifted": False}
        return asked.change({**quick, SETTING[self.kind]: self.texts})


class Gain(BaseModel):
    """What the student of all texts of a kind has over the one of a part, with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    texts: int
    whole: int
    delta: float
    low: float
    high: float


class CurveResult(BaseModel):
    """What is known so far. ``whole`` are the run's own texts of each kind, ``left`` the parts to come.

    ``metric`` is that of the run, as in ``training.metric``; older results are of accuracy.
    """

    model_config = ConfigDict(frozen=True)

    config: CurveConfig
    test_texts: int
    seeds: int
    whole: tuple[Part, ...]
    left: tuple[Part, ...]
    parts: tuple[Part, ...] = ()
    gains: tuple[Gain, ...] = ()
    running: str | None = None
    metric: str = "accuracy"

    @property
    def measure(self) -> str:
        """What scores and gains are, for a person."""
        return metric_name(self.metric)

    @classmethod
    def of(cls, config: CurveConfig, report: Report) -> Self:
        """Nothing is done yet. Raises: RunError where no part of its texts can teach."""
        if report.teacher_is_file:
            raise RunError(
                f"The teacher of run {config.run} is a file of answers; what more of them bring is not "
                "measured."
            )
        transfer = report.rows.get("transfer", 0)
        if report.config["task"]["augment"]:
            transfer = 0  # spans of the training texts are among them, which no limit leaves out
        rows: dict[Kind, int] = {"labels": report.rows["train"], "transfer": transfer}
        fewest = 2 * len(report.labels)
        left = [
            Part(kind=kind, texts=texts)
            for kind, all_of_them in rows.items()
            for share in sorted(config.shares)
            if (texts := round(share * all_of_them)) >= fewest
        ]
        if not left:
            raise RunError(
                f"Run {config.run} has {rows['labels']:,} labelled texts: too few to leave some out."
            )
        metric = report.metric
        whole = tuple(
            Part(kind=kind, texts=rows[kind]).judged(report, metric)
            for kind in dict.fromkeys(part.kind for part in left)
        )
        seeds = len(report.config["training"]["seeds"])
        return cls(
            config=config,
            test_texts=report.rows["test"],
            seeds=seeds,
            whole=whole,
            left=tuple(left),
            metric=metric,
        )

    @property
    def plan(self) -> str:
        """What is to be done, said before the start."""
        kinds = []
        for whole in self.whole:
            parts = [f"{part.texts:,}" for part in self.left if part.kind == whole.kind]
            kinds.append(f"{' and '.join(parts)} of its {whole.texts:,} {NAME[whole.kind]}")
        return (
            f"Runs this again with {', and with '.join(kinds)}, and compares the students on the same "
            f"{self.test_texts:,} test texts. Each is a run of its own."
        )

    @property
    def next(self) -> Part | None:
        return self.left[0] if self.left else None

    def with_run(self, run_id: str) -> Self:
        """The next part's run has begun."""
        return self.model_copy(update={"running": run_id})

    def with_report(self, report: Report) -> Self:
        """The next part's run is done. Raises: RunError where its answers are gone."""
        part, *left = self.left
        done = part.judged(report, self.metric)
        found = student_over(self.config.run, report.run_id, self.metric, report.labels)
        [whole] = [each for each in self.whole if each.kind == part.kind]
        gain = Gain(
            kind=part.kind,
            texts=part.texts,
            whole=whole.texts,
            delta=found.delta,
            low=found.low,
            high=found.high,
        )
        return self.model_copy(
            update={
                "left": tuple(left),
                "parts": (*self.parts, done),
                "gains": (*self.gains, gain),
                "running": None,
            }
        )

    def of_kind(self, kind: Kind) -> list[Part]:
        """What is measured, from the fewest texts to all."""
        return [part for part in (*self.parts, *self.whole) if part.kind == kind]

    @property
    def nearest(self) -> list[Gain]:
        """Of each kind, over the largest part that is done."""
        return list({gain.kind: gain for gain in self.gains}.values())

    @property
    def sentence(self) -> str:
        """What would help, for a person, if it goes on as it went.

        Of two kinds that are shown to help, none is said to help more: their intervals are over the whole
        run, and not over each other.
        """
        shown = [gain for gain in self.nearest if gain.low > 0]
        said = " ".join(map(self._in_words, self.nearest))
        if self.seeds == 1:
            said += " Each was trained once; more seeds tell how much of that is luck."
        if shown:
            kinds = " and ".join(NAME[gain.kind] for gain in shown)
            return f"{said} So more {kinds} may help: as many again about as much, or less."
        if all(gain.high <= 0 for gain in self.nearest):
            return f"{said} So more of them did not help."
        first = "" if any(gain.kind == "transfer" for gain in self.nearest) else _UNLABELLED
        texts = f"These {self.test_texts:,} test texts"
        return f"{said} {texts} cannot tell whether as many again would help{first}."

    def _in_words(self, gain: Gain) -> str:
        more = f"With {gain.whole:,} {NAME[gain.kind]} in the place of {gain.texts:,}"
        unit = "" if self.metric == "accuracy" else f" of {self.measure}"
        span = f"95 % interval {interval(gain.low, gain.high)}"
        return f"{more}, the distilled student has {points(gain.delta)}{unit} ({span})."


_UNLABELLED = "; texts without labels for the teacher to answer, or a larger student, are what to try first"
