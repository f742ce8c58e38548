"""The tables of the store, as the newest migration leaves them, and their rows as others see them.

All times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from kd_core.config import VERSION, of_today
from kd_core.distillation.events import Event, Stage
from kd_core.distillation.roles import Role
from kd_core.jobs.states import JobKind, Status


@dataclass(frozen=True)
class RunRow:
    """A run as the lists show it. ``config`` is what was asked for; the report has it resolved.

    The latest progress is ``step`` of ``steps``, of the model ``who`` or of what ``label`` says; ``progress``
    is a share of the whole run's time. What follows ``sparkline`` is known once there is a report.
    """

    id: str
    kind: JobKind  # or what a newer version has put there
    name: str
    status: Status
    tags: tuple[str, ...]
    task: str
    teacher: str
    student: str
    config: dict[str, Any]
    created: datetime
    started: datetime | None
    finished: datetime | None
    machine: str  # whose disk has the run's folder
    owner: str | None
    error: str | None
    stage: Stage | None
    who: Role | None
    seed: int
    step: int
    steps: int
    label: str | None
    progress: float
    seconds_left: float | None
    sparkline: tuple[float, ...]  # the distilled student's validation accuracy
    accuracy: dict[Role, float] = field(default_factory=dict)
    verdict: str | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    size_mb: float | None = None
    latency: dict[Role, float] = field(default_factory=dict)  # median milliseconds for one text
    # What ``tradeoffs`` needs of the models that were measured. None: nobody has looked in the report.
    forms: list[dict[str, Any]] | None = None

    @property
    def gain(self) -> tuple[float, float, float] | None:
        """What distillation added, and the interval of that: shares of accuracy. None: it is not known."""
        if self.delta is None or self.low is None or self.high is None:
            return None
        return self.delta, self.low, self.high

    @property
    def title(self) -> str:
        """Its name, or what it does."""
        summary = f"{self.task}: {self.teacher} → {self.student}"
        return self.name or (f"Search on {summary}" if self.kind == "search" else summary)


@dataclass(frozen=True)
class StageRow:
    """``state`` is "waiting", "done", or for the stage that the run is in, the run's own status."""

    stage: Stage
    started: datetime | None
    seconds: float | None
    cached: bool
    state: str


@dataclass(frozen=True)
class EventRow:
    id: int
    at: datetime
    event: Event


class Moment(sa.types.TypeDecorator[datetime]):
    """An instant, in UTC whatever the database makes of time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Stored(sa.types.TypeDecorator[dict[str, Any]]):
    """JSON that is a run's config, or has one inside: it is read with all settings of today."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: sa.Dialect) -> dict[str, Any] | None:
        return {"version": VERSION, **value} if value and "objective" in value else value

    def process_result_value(
        self, value: dict[str, Any] | None, dialect: sa.Dialect
    ) -> dict[str, Any] | None:
        return value and of_today(value)


def _column(name: str, kind: Any = sa.String, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, **({"nullable": False} | options))


def _part_of(column: str, **options: Any) -> sa.Column[int]:
    """A reference like ``run``, to ``runs.number``; the row goes with what it belongs to."""
    name = column.partition("s.")[0]
    return sa.Column(name, sa.Integer, sa.ForeignKey(column, ondelete="CASCADE"), **options)


SCHEME = sa.MetaData()
RUNS = sa.Table(
    "runs",
    SCHEME,
    _column("number", sa.Integer, primary_key=True),
    _column("id", unique=True),
    _column("kind"),
    _column("name"),
    _column("status", index=True),
    _column("command", default="run"),
    _column("tags", sa.JSON, default=list),
    _column("task"),
    _column("teacher"),
    _column("student"),
    _column("config", Stored),
    _column("created", Moment, index=True),
    _column("started", Moment, nullable=True),
    _column("finished", Moment, nullable=True),
    _column("machine"),
    _column("owner", nullable=True),
    _column("heartbeat", Moment),
    _column("error", nullable=True),
    # The latest progress, and what it is estimated from.
    _column("stage", nullable=True),
    _column("who", nullable=True),
    _column("seed", sa.Integer, default=0),
    _column("step", sa.Integer, default=0),
    _column("steps", sa.Integer, default=0),
    _column("label", nullable=True),
    _column("progress", sa.Float, default=0.0),
    _column("seconds_left", sa.Float, nullable=True),
    _column("pace", sa.JSON, default=dict),
    # A digest of the other tables, so that a list of runs reads this one alone.
    _column("sparkline", sa.JSON, default=list),
    _column("summary", sa.JSON, default=dict),
)
REPORTS = sa.Table(
    "reports",
    SCHEME,
    _part_of("runs.number", primary_key=True, autoincrement=False),
    _column("report", Stored),
)
STAGES = sa.Table(
    "stages",
    SCHEME,
    _part_of("runs.number", primary_key=True),
    _column("stage", primary_key=True),
    _column("started", Moment),
    _column("seconds", sa.Float, nullable=True),
    _column("cached", sa.Boolean),
)
EVENTS = sa.Table(
    "events",
    SCHEME,
    _column("id", sa.Integer, primary_key=True),
    _part_of("runs.number", nullable=False, index=True),
    _column("at", Moment),
    _column("kind"),
    _column("event", sa.JSON),
)
# One for each model that a run trains.
TRAININGS = sa.Table(
    "trainings",
    SCHEME,
    _column("id", sa.Integer, primary_key=True),
    _part_of("runs.number", nullable=False),
    _column("who"),
    _column("seed", sa.Integer),
    sa.UniqueConstraint("run", "who", "seed"),
)


def _curve(name: str, *measures: str) -> sa.Table:
    """Values at the steps of a training; without row ids those of one curve lie side by side in SQLite."""
    return sa.Table(
        name,
        SCHEME,
        _part_of("trainings.id", primary_key=True),
        _column("step", sa.Integer, primary_key=True),
        *(_column(measure, sa.Float, nullable=True) for measure in measures),
        sqlite_with_rowid=False,
    )


POINTS = _curve("points", "loss", "hard", "soft", "intermediate", "learning_rate", "samples_per_second")
EVALUATIONS = _curve("evaluations", "accuracy", "loss")

# The columns of a ``RunRow``.
LISTED = [column for column in RUNS.c if column.name not in ("number", "command", "heartbeat", "pace")]


def run_row(row: sa.Row[Any]) -> RunRow:
    values = row._asdict()
    values |= values.pop("summary")
    values["tags"], values["sparkline"] = tuple(values["tags"]), tuple(values["sparkline"])
    return RunRow(**values)
