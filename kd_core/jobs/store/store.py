"""Runs in a database: what the pages and the command list, and what a run reports while it works.

SQLite in ``KD_HOME``, or PostgreSQL by ``KD_DATABASE_URL``. A run's folder is the truth about its result;
this is the index to it, and the live feed.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

import sqlalchemy as sa

from kd_core.distillation.events import (
    Estimated,
    Evaluated,
    Event,
    Progress,
    Stage,
    StageFinished,
    StageStarted,
    Step,
)
from kd_core.distillation.roles import Role
from kd_core.errors import RunError
from kd_core.jobs.progress import CountedProgress, RunProgress
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.states import ACTIVE, Command, JobKind, Status
from kd_core.jobs.store.curves import read_curve, read_evaluations, sparkline, upsert, write_points
from kd_core.jobs.store.database import Database
from kd_core.jobs.store.schema import (
    EVENTS,
    REPORTS,
    RUNS,
    STAGES,
    EventRow,
    Moment,
    RunRow,
    StageRow,
)

if TYPE_CHECKING:
    import pandas as pd

KINDS: dict[str, Callable[..., Event]] = {kind.__name__: kind for kind in get_args(Event)}
MEASURED: tuple[JobKind, ...] = ("distil", "bench", "export")  # kinds of jobs whose reports tell of models
LISTED = [column for column in RUNS.c if column.name not in ("number", "command", "heartbeat", "pace")]


class Store:
    """Cheap to open: the database is connected to, and brought up to date, when it is first used.

    Safe to share among threads. Every method raises StoreError where the database fails, and RunError for a
    run that does not exist; lists of what a run reported are empty then.
    """

    def __init__(self, url: str | None = None) -> None:
        """``url``: a database; otherwise ``KD_DATABASE_URL``, or a file in ``KD_HOME``."""
        self._database = Database(url or os.environ.get("KD_DATABASE_URL"))

    def close(self) -> None:
        self._database.close()

    # Runs

    def create_run(
        self,
        run_id: str,
        config: Mapping[str, Any],
        *,
        kind: JobKind = "distil",
        name: str = "",
        status: Status = "queued",
        owner: str | None = None,
    ) -> None:
        """``owner``: the process that a queued run waits for. Raises: RunError for an id that exists."""
        now = datetime.now(UTC)
        about = config.get("distill", config)  # a search says what its trainings share
        row = {
            "id": run_id,
            "kind": kind,
            "name": _clean(name),
            "status": status,
            "task": _short(about, "task", "name"),
            "teacher": _short(about, "teacher", "model"),
            "student": _short(about, "student", "model"),
            "config": dict(config),
            "created": now,
            "started": None if status == "queued" else now,
            "machine": socket.gethostname(),
            "owner": owner,
            "heartbeat": now,
        }
        with self._database.begin(write=True) as connection:
            if _status(connection, run_id) is not None:
                raise RunError(f"There is a run {run_id} already.")
            connection.execute(RUNS.insert().values(row))

    def run(self, run_id: str) -> RunRow:
        with self._database.begin() as connection:
            row = connection.execute(sa.select(*LISTED).where(RUNS.c.id == run_id)).one_or_none()
        if row is None:
            raise _missing(run_id)
        return _run_row(row)

    def runs(
        self,
        *,
        kind: JobKind | None = None,
        text: str = "",
        status: Iterable[Status] = (),
        task: str = "",
        limit: int | None = None,
    ) -> list[RunRow]:
        """Newest first; of every kind unless one is given.

        Each word of ``text`` has to occur in the name, id, task, models or tags.
        """
        query = sa.select(*LISTED).order_by(RUNS.c.created.desc(), RUNS.c.number.desc())
        if kind:
            query = query.where(RUNS.c.kind == kind)
        if wanted := tuple(status):
            query = query.where(RUNS.c.status.in_(wanted))
        if task:
            query = query.where(RUNS.c.task == task)
        words = text.casefold().split()
        if not words:
            query = query.limit(limit)
        with self._database.begin() as connection:
            rows = [_run_row(row) for row in connection.execute(query)]
        # Not in SQL: SQLite knows upper and lower case of ASCII letters only.
        return [row for row in rows if all(word in _searchable(row) for word in words)][:limit]

    def claim(self, owner: str, run_id: str | None = None) -> RunRow | None:
        """Give the queued run ``run_id``, or else this machine's oldest, to ``owner``; None if there is none.

        Uploaded files and checkpoints of a run lie on the machine where it was created.
        """
        here, now = socket.gethostname(), datetime.now(UTC)
        if run_id is None:
            oldest = sa.select(RUNS.c.number).where(RUNS.c.status == "queued", RUNS.c.machine == here)
            oldest = oldest.order_by(RUNS.c.created, RUNS.c.number).limit(1)
            chosen = RUNS.c.number == oldest.with_for_update(skip_locked=True).scalar_subquery()
        else:
            chosen = RUNS.c.id == run_id
        started = sa.func.coalesce(RUNS.c.started, sa.literal(now, Moment))
        statement = (
            RUNS.update()
            .where(chosen, RUNS.c.status == "queued")
            .values(status="running", owner=owner, heartbeat=now, machine=here, started=started)
            .returning(*LISTED)
        )
        with self._database.begin(write=True) as connection:
            row = connection.execute(statement).one_or_none()
        return _run_row(row) if row else None

    def set_status(
        self, run_id: str, status: Status, error: str | None = None, *, only: Iterable[Status] = ()
    ) -> bool:
        """``only``: change it where the status is one of these, and return whether it was."""
        values: dict[str, Any] = {"status": status, "error": _clean(error) if error else None}
        if status == "queued":
            values |= {"command": "run", "owner": None, "finished": None, "seconds_left": None}
        elif status not in ACTIVE:
            values |= {"finished": datetime.now(UTC), "seconds_left": None}
        if status == "done":
            values["progress"] = 1.0
        return self._update(run_id, values, only)

    def rename(self, run_id: str, name: str) -> None:
        self._update(run_id, {"name": _clean(name)})

    def set_tags(self, run_id: str, tags: Iterable[str]) -> None:
        self._update(run_id, {"tags": list(dict.fromkeys(filter(None, map(_clean, tags))))})

    def delete_run(self, run_id: str) -> None:
        """All rows of a run; not its folder. Raises: RunError while it is running or paused."""
        idle = RUNS.c.status.not_in(ACTIVE)
        with self._database.begin(write=True) as connection:
            if connection.execute(RUNS.delete().where(RUNS.c.id == run_id, idle)).rowcount == 0:
                if status := _status(connection, run_id):
                    raise RunError(f"Run {run_id} is {status}; stop it before you delete it.")
                raise _missing(run_id)

    # Between processes

    def command(self, run_id: str) -> Command:
        """What the run was last told to do."""
        with self._database.begin() as connection:
            command = connection.scalar(sa.select(RUNS.c.command).where(RUNS.c.id == run_id))
        if command is None:
            raise _missing(run_id)
        return cast(Command, command)

    def set_command(self, run_id: str, command: Command) -> None:
        self._update(run_id, {"command": command})

    def heartbeat(self, run_id: str, owner: str) -> bool:
        """Say that the run's process is alive. False where the run is no longer ``owner``'s."""
        mine = (RUNS.c.id == run_id, RUNS.c.owner == owner, RUNS.c.status.in_(ACTIVE))
        statement = RUNS.update().where(*mine).values(heartbeat=datetime.now(UTC))
        with self._database.begin(write=True) as connection:
            return connection.execute(statement).rowcount > 0

    def interrupt_orphans(self, alive: Callable[[str], bool], grace_seconds: float = 30) -> list[str]:
        """Runs whose process went away become ``interrupted``; returns their ids.

        ``alive(owner)`` decides on this machine, ``grace_seconds`` without a heartbeat on any other.
        """
        here, silent = socket.gethostname(), datetime.now(UTC) - timedelta(seconds=grace_seconds)
        active = RUNS.c.status.in_(ACTIVE)
        query = sa.select(RUNS.c.id, RUNS.c.owner, RUNS.c.machine, RUNS.c.heartbeat).where(active)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        gone = []
        for row in rows:
            known_here = row.owner and row.machine == here
            if not alive(row.owner) if known_here else row.heartbeat < silent:
                # Unless it was given to another process, or a sign of life came, in between.
                same = (RUNS.c.owner.is_not_distinct_from(row.owner), RUNS.c.heartbeat == row.heartbeat)
                statement = (
                    RUNS.update()
                    .where(RUNS.c.id == row.id, active, *same)
                    .values(status="interrupted", finished=row.heartbeat, seconds_left=None)
                )
                with self._database.begin(write=True) as connection:
                    if connection.execute(statement).rowcount:
                        gone.append(row.id)
        return gone

    # What a run reports

    def recorder(self, run_id: str) -> Recorder:
        """A callback for the run's events, to be closed at the end."""
        return Recorder(self, run_id)

    def pace(self, run_id: str) -> RunProgress | CountedProgress:
        """What the run's progress is estimated from; that of a resumed run goes on from where it was."""
        query = sa.select(RUNS.c.kind, RUNS.c.config, RUNS.c.pace).where(RUNS.c.id == run_id)
        with self._database.begin() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _missing(run_id)
        if row.kind != "distil":
            return CountedProgress()
        estimated = [row.event for row in self.events(run_id) if isinstance(row.event, Estimated)]
        return RunProgress(row.config, row.pace, estimated[-1].seconds if estimated else None)

    def write(
        self, run_id: str, events: Sequence[tuple[datetime, Event]], live: Mapping[str, Any] | None = None
    ) -> None:
        """Keep ``events`` with their times, in one transaction; ``live`` are values for the run's own row.

        A step that is there already is overwritten: a run that is resumed repeats some.
        """
        with self._database.begin(write=True) as connection:
            run = connection.scalar(sa.select(RUNS.c.number).where(RUNS.c.id == run_id))
            if run is None:
                raise _missing(run_id)
            measured = [event for _, event in events if isinstance(event, Step | Evaluated)]
            rows = []
            for at, event in events:
                match event:
                    case Step() | Evaluated() | Progress():  # of progress, ``live`` has the latest
                        continue
                    case StageStarted(stage):
                        row = {"run": run, "stage": stage, "started": at, "seconds": None, "cached": False}
                        upsert(connection, STAGES, [row])
                    case StageFinished(stage, seconds, cached):
                        of_stage = STAGES.update().where(STAGES.c.run == run, STAGES.c.stage == stage)
                        connection.execute(of_stage.values(seconds=seconds, cached=cached))
                kind = type(event).__name__
                rows.append({"run": run, "at": at, "kind": kind, "event": asdict(event)})
            if rows:
                connection.execute(EVENTS.insert(), rows)
            write_points(connection, run, measured)
            changes = dict(live or {})
            if any(isinstance(event, Evaluated) for event in measured):
                changes["sparkline"] = sparkline(connection, run)
            if changes:
                connection.execute(RUNS.update().where(RUNS.c.number == run).values(changes))

    def curve(self, run_id: str, points: int = 400, *, who: Role | None = None) -> pd.DataFrame:
        """who, seed, step, loss, hard, soft, intermediate, learning_rate, samples_per_second.

        Of all models, or of one. At most ``points`` rows for each model and seed: of a longer curve the
        first, the last, and the smallest and largest loss of each of its parts.
        """
        with self._database.begin() as connection:
            return read_curve(connection, run_id, points, who)

    def evaluations(self, run_id: str) -> pd.DataFrame:
        """who, seed, step, accuracy, loss: each look at the validation split."""
        with self._database.begin() as connection:
            return read_evaluations(connection, run_id)

    def stages(self, run_id: str) -> list[StageRow]:
        """All four, in order."""
        query = (
            sa.select(RUNS.c.status, *STAGES.c)
            .select_from(RUNS.outerjoin(STAGES, STAGES.c.run == RUNS.c.number))
            .where(RUNS.c.id == run_id)
        )
        with self._database.begin() as connection:
            found = {row.stage: row for row in connection.execute(query)}
        if not found:
            raise _missing(run_id)
        rows = []
        for stage in get_args(Stage):
            if row := found.get(stage):
                state = row.status if row.seconds is None else "done"
                rows.append(StageRow(stage, row.started, row.seconds, row.cached, state))
            else:
                rows.append(StageRow(stage, None, None, False, "waiting"))
        return rows

    def events(self, run_id: str, after: int = 0) -> list[EventRow]:
        """What happened, oldest first, without steps, evaluations and progress; ``after`` a row's id."""
        query = (
            sa.select(EVENTS).join(RUNS).where(RUNS.c.id == run_id, EVENTS.c.id > after).order_by(EVENTS.c.id)
        )
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        return [EventRow(row.id, row.at, KINDS[row.kind](**row.event)) for row in rows]

    def save_report(self, run_id: str, report: Mapping[str, Any]) -> None:
        """What a job found out. Of the models that it measured, the lists show a digest."""
        with self._database.begin(write=True) as connection:
            query = sa.select(RUNS.c.number, RUNS.c.kind).where(RUNS.c.id == run_id)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise _missing(run_id)
            if row.kind in MEASURED:
                run = RUNS.update().where(RUNS.c.number == row.number)
                connection.execute(run.values(summary=_summary(row.kind, report)))
            upsert(connection, REPORTS, [{"run": row.number, "report": dict(report)}])

    def report(self, run_id: str) -> dict[str, Any]:
        """From the database, or else from the run's folder. Raises: RunError where neither has one."""
        from kd_core.distillation.report import Report  # scipy comes with it
        from kd_core.distillation.run_folder import find

        query = (
            sa.select(RUNS.c.status, REPORTS.c.report)
            .select_from(RUNS.outerjoin(REPORTS))
            .where(RUNS.c.id == run_id)
        )
        with self._database.begin() as connection:
            row = connection.execute(query).one_or_none()
        if row and row.report is not None:
            return cast(dict[str, Any], row.report)
        if row and row.status != "done":
            raise RunError(f"Run {run_id} has no report: it is {row.status}.")
        return Report.read(find(run_id)).to_dict()

    def measured(self) -> list[RunRow]:
        """Runs, benchmarks and exports that are done, with their ``forms``; newest first.

        The report of a row from before there were any is read, once.
        """
        rows = [row for row in self.runs(status=("done",)) if row.kind in MEASURED]
        found = {}
        for row in rows:
            if row.forms is None:
                with suppress(RunError):  # deleted in this moment, or its folder is gone
                    found[row.id] = _summary(row.kind, self.report(row.id))
        if found:
            with self._database.begin(write=True) as connection:
                for run_id, summary in found.items():
                    connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(summary=summary))
        return [replace(row, forms=found[row.id]["forms"]) if row.id in found else row for row in rows]

    def _update(self, run_id: str, values: Mapping[str, Any], only: Iterable[Status] = ()) -> bool:
        statement = RUNS.update().where(RUNS.c.id == run_id).values(values)
        if allowed := tuple(only):
            statement = statement.where(RUNS.c.status.in_(allowed))
        with self._database.begin(write=True) as connection:
            changed = connection.execute(statement).rowcount > 0
            if not changed and _status(connection, run_id) is None:
                raise _missing(run_id)
        return changed


def _missing(run_id: str) -> RunError:
    return RunError(f"There is no run {run_id}; it may have been deleted.")


def _clean(text: str) -> str:
    """Without what a database refuses: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


def _short(config: Mapping[str, Any], section: str, field: str) -> str:
    """A name without its folder or organisation; that of a Hub data set stays whole."""
    name = _clean(str(config.get(section, {}).get(field, "")))
    return name if name.startswith("hub:") else re.split(r"[\\/]", name.rstrip("\\/"))[-1]


def _searchable(row: RunRow) -> str:
    return " ".join((row.name, row.id, row.task, row.teacher, row.student, *row.tags)).casefold()


def _run_row(row: sa.Row[Any]) -> RunRow:
    values = row._asdict()
    values |= values.pop("summary")
    values["tags"], values["sparkline"] = tuple(values["tags"]), tuple(values["sparkline"])
    return RunRow(**values)


def _summary(kind: JobKind, report: Mapping[str, Any]) -> dict[str, Any]:
    """What ``RunRow`` says of a report."""
    from kd_core.jobs.store.digest import condense  # pandas comes with it

    forms = condense(report)
    if kind != "distil":
        return {"forms": forms}
    models, verdict = {who: report[who] for who in get_args(Role) if report.get(who)}, report["verdict"]
    return {
        "accuracy": {who: model["accuracy"] for who, model in models.items()},
        "verdict": verdict["kind"],
        **{name: verdict[name] for name in ("delta", "low", "high")},
        "size_mb": models["student"]["size_mb"],
        "latency": {who: models[who]["latency_ms"]["p50"] for who in ("student", "teacher")},
        "forms": forms,
    }


def _status(connection: sa.Connection, run_id: str) -> str | None:
    return connection.scalar(sa.select(RUNS.c.status).where(RUNS.c.id == run_id))
