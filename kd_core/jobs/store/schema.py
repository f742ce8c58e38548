"""The tables of the store, as the newest migration leaves them, and their rows as others see them.

All times are UTC.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from kd_core.config import VERSION, of_today, sections
from kd_core.distillation.events import Event, Stage
from kd_core.distillation.roles import Role, metric_name
from kd_core.errors import ConfigError
from kd_core.jobs.states import STATUSES, JobKind, Status
from kd_core.system.formatting import points
from kd_core.system.paths import folder_id


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
    created: datetime
    tags: tuple[str, ...] = ()
    task: str = ""
    teacher: str = ""
    student: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    started: datetime | None = None
    finished: datetime | None = None
    machine: str = ""  # that carries it out, or has done so
    folder: str | None = None  # the id of the data folder with its files; older versions had none
    owner: str | None = None
    error: str | None = None
    stage: Stage | None = None
    who: Role | None = None
    seed: int = 0
    step: int = 0
    steps: int = 0
    label: str | None = None
    progress: float = 0.0
    seconds_left: float | None = None
    temperature: float | None = None  # of the soft loss; None while what ``auto`` means is not known
    sparkline: tuple[float, ...] = ()  # the distilled student's validation accuracy
    accuracy: dict[Role, float] = field(default_factory=dict)  # or agreement; see ``measures``
    score: dict[Role, float] = field(default_factory=dict)  # in ``metric``; older rows have none
    verdict: str | None = None
    over_floor: str | None = None  # the student's verdict against TF-IDF; older rows have none
    metric: str = "accuracy"  # what verdict and gain are in, as in ``training.metric``
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None  # of its four steps, without what it waited for; older rows have none
    size_mb: float | None = None
    latency: dict[Role, float] = field(default_factory=dict)  # median milliseconds for one text
    # What ``tradeoffs`` needs of the models that were measured. None: nobody has looked in the report.
    forms: list[dict[str, Any]] | None = None

    @property
    def seeds(self) -> int:
        """How many times its students were asked for."""
        return len(self.config.get("training", {}).get("seeds", ())) or 1

    @property
    def gain(self) -> tuple[float, float, float] | None:
        """What distillation added, and the interval of that, in ``metric``. None: it is not known."""
        if self.delta is None or self.low is None or self.high is None:
            return None
        return self.delta, self.low, self.high

    @property
    def gained(self) -> str:
        """The gain in words: "+3.0 points", "+3.0 points of macro-F1"; "" where it is not known."""
        if self.delta is None:
            return ""
        return points(self.delta) + ("" if self.metric == "accuracy" else f" of {metric_name(self.metric)}")

    @property
    def over_hard_answers(self) -> str:
        """What a gain is over, in words; "" where it is over the student alone, as usual."""
        return "" if "alone" in self.accuracy else " over hard answers"

    @property
    def measures(self) -> Literal["accuracy", "agreement"]:
        """What ``accuracy`` is; a teacher agrees with itself, so such a run has none of it."""
        return "agreement" if self.accuracy and "teacher" not in self.accuracy else "accuracy"

    @property
    def judged_by(self) -> str:
        """What verdict and gain are in, for a person."""
        return self.measures if self.metric == "accuracy" else metric_name(self.metric)

    @property
    def scores(self) -> tuple[dict[Role, float], str]:
        """Of each model in what the run is judged by, and the name of that; of older rows the accuracies."""
        return (self.score, self.judged_by) if self.score else (self.accuracy, self.measures)

    @property
    def is_here(self) -> bool:
        """Whether its files lie in this data folder."""
        return self.folder == folder_id() if self.folder else self.machine == socket.gethostname()

    @property
    def study(self) -> str:
        """Of a search: the name that it was given, or else its own id."""
        return str(self.config.get("study") or self.id)

    @property
    def models(self) -> str:
        """ "bbc-headlines: minilm-l6 → tiny"; a teacher that is a file is "answers"."""
        about = self.config.get("distill", self.config)  # a search says what its trainings share
        teacher = "answers" if about.get("task", {}).get("knowledge") else self.teacher
        return f"{self.task}: {teacher} → {self.student}"

    @property
    def title(self) -> str:
        """Its name, or what it does."""
        if self.status == "unreadable":
            return self.name or self.id
        summary = self.models
        whole = {
            "search": f"Search on {summary}",
            "ladder": f"Smallest student on {self.task}",
            "curve": "What more texts would bring",
        }
        return self.name or whole.get(self.kind, summary)


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


# Up to 2**32 - 1, which an integer of PostgreSQL does not hold.
Seed = sa.BigInteger().with_variant(sa.Integer, "sqlite")


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
    _column("folder", nullable=True),
    _column("owner", nullable=True),
    _column("heartbeat", Moment),
    _column("error", nullable=True),
    # The latest progress, and what it is estimated from.
    _column("stage", nullable=True),
    _column("who", nullable=True),
    _column("seed", Seed, default=0),
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
    _column("seed", Seed),
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
EVALUATIONS = _curve("evaluations", "accuracy", "loss", "score")

UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, ConfigError)
# What ``summary`` has of a ``RunRow``.
_DIGEST = (
    "temperature",
    "accuracy",
    "score",
    "verdict",
    "over_floor",
    "metric",
    "delta",
    "low",
    "high",
    "seconds",
    "size_mb",
    "latency",
    "forms",
)
# The columns of a ``RunRow``.
LISTED = [column for column in RUNS.c if column.name not in ("number", "command", "heartbeat", "pace")]


def is_here() -> sa.ColumnElement[bool]:
    """As ``RunRow.is_here``."""
    old = RUNS.c.folder.is_(None) & (RUNS.c.machine == socket.gethostname())
    return (RUNS.c.folder == folder_id()) | old


def run_row(row: sa.Row[Any]) -> RunRow:
    """Raises: one of ``UNREADABLE``, where the database holds what nobody here has written."""
    values = row._asdict()
    summary = values.pop("summary")
    values |= {name: summary[name] for name in _DIGEST if name in summary}  # a newer version may know more
    values["tags"], values["sparkline"] = tuple(values["tags"]), tuple(values["sparkline"])
    if values["status"] not in STATUSES:
        raise ValueError(f"its status is {values['status']!r}")
    if broken := [name for name, _ in sections() if not isinstance(values["config"].get(name, {}), dict)]:
        raise ValueError(f"its config has no settings under {broken[0]!r}")
    asked = values["config"].get("objective", {}).get("temperature")
    if asked != "auto":
        values["temperature"] = asked
    return RunRow(**values)


def run_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[RunRow]:
    """What ``query`` selects of ``LISTED``. A row that cannot be read is ``unreadable``, and says why."""
    try:
        return [run_row(row) for row in connection.execute(query)]
    except UNREADABLE:  # which row it is, is not known: each is read by itself
        heads = connection.execute(query.with_only_columns(RUNS.c.id, RUNS.c.kind, RUNS.c.name)).all()
        return [_row_alone(connection, *head) for head in heads]


def _row_alone(connection: sa.Connection, run_id: str, kind: JobKind, name: str) -> RunRow:
    try:
        return run_row(connection.execute(sa.select(*LISTED).where(RUNS.c.id == run_id)).one())
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        why = (
            f"Run {run_id} cannot be read: {reason}. Open it with the KD Studio that wrote it, or delete it."
        )
        return RunRow(run_id, kind, name, "unreadable", error=why, created=_created(run_id))


def _created(run_id: str) -> datetime:
    """The time in a run's id."""
    try:
        return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)
