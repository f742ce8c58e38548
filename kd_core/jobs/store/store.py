"""Runs in a database: what the pages and the command list, and what a run reports while it works.

SQLite in ``KD_HOME``, or PostgreSQL by ``KD_DATABASE_URL``. A run's folder is the truth about its result;
this is the index to it, and the live feed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast, get_args

import sqlalchemy as sa

from kd_core.distillation.events import EVENT_TYPES, Event, Stage
from kd_core.distillation.roles import Role
from kd_core.errors import RunError
from kd_core.jobs.states import ACTIVE, JobKind, Status
from kd_core.jobs.store import studies
from kd_core.jobs.store.curves import read_curve, read_evaluations
from kd_core.jobs.store.queue import Queue, add_row, clean, missing, status_of
from kd_core.jobs.store.reported import MEASURED, add_events, add_report, summarised
from kd_core.jobs.store.schema import (
    EVENTS,
    LISTED,
    REPORTS,
    RUNS,
    STAGES,
    EventRow,
    RunRow,
    StageRow,
    is_here,
    run_rows,
)
from kd_core.system import paths

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from kd_core.distillation.report import Report


class Store(Queue):
    """Cheap to open: the database is connected to, and brought up to date, when it is first used.

    Safe to share among threads. Every method raises StoreError where the database fails, and RunError for a
    run that does not exist; lists of what a run reported are empty then.
    """

    def run(self, run_id: str) -> RunRow:
        with self._database.begin() as connection:
            rows = run_rows(connection, sa.select(*LISTED).where(RUNS.c.id == run_id))
        if not rows or rows[0].status == "deleted":
            raise missing(run_id)
        if rows[0].status == "unreadable":
            raise RunError(str(rows[0].error))
        return rows[0]

    def runs(
        self,
        *,
        kind: JobKind | None = None,
        text: str = "",
        status: Iterable[Status] = (),
        task: str = "",
        here: bool = False,
        limit: int | None = None,
    ) -> list[RunRow]:
        """Newest first; of every kind unless one is given, and with ``here`` those of this data folder alone.

        Each word of ``text`` has to occur in the name, id, task, models or tags. What cannot be read is among
        them as ``unreadable``, unless other states are asked for; what was deleted is, where that is.
        """
        query = sa.select(*LISTED).order_by(RUNS.c.created.desc(), RUNS.c.number.desc())
        if kind:
            query = query.where(RUNS.c.kind == kind)
        wanted = tuple(status)
        if wanted and "unreadable" not in wanted:
            query = query.where(RUNS.c.status.in_(wanted))
        if "deleted" not in wanted:
            query = query.where(RUNS.c.status != "deleted")
        if task:
            query = query.where(RUNS.c.task == task)
        if here:
            query = query.where(is_here())
        words = text.casefold().split()
        with self._database.begin() as connection:
            rows = run_rows(connection, query if words else query.limit(limit))
            if wanted and any(row.status not in wanted for row in rows):
                # One that cannot be read takes no place of another. Rare, so only then all are read.
                rows = [row for row in run_rows(connection, query) if row.status in wanted]
        # Not in SQL: SQLite knows upper and lower case of ASCII letters only.
        return [row for row in rows if all(word in _searchable(row) for word in words)][:limit]

    def rename(self, run_id: str, name: str) -> None:
        self._update(run_id, {"name": clean(name)})
        self._note_about(run_id)

    def change_tags(self, run_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """What others add or remove meanwhile stays so."""
        query = sa.select(RUNS.c.tags).where(RUNS.c.id == run_id).with_for_update()
        with self._database.begin(write=True) as connection:
            before, gone = connection.scalar(query), set(remove)
            if before is None:
                raise missing(run_id)
            tags = _tags(tag for tag in (*before, *add) if tag not in gone)
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(tags=tags))
        self._note_about(run_id)

    def _note_about(self, run_id: str) -> None:
        """In the run's folder too, from which ``add_done`` makes the row again."""
        from kd_core.distillation.run_folder import write_about

        query = sa.select(RUNS.c.name, RUNS.c.tags).where(RUNS.c.id == run_id).with_for_update()
        with self._database.begin(write=True) as connection:  # of two at once, the later one writes last
            if row := connection.execute(query).one_or_none():
                for place in (paths.runs(), paths.jobs()):
                    write_about(place / run_id, row.name, row.tags)

    def add_done(
        self,
        run_id: str,
        kind: JobKind,
        config: Mapping[str, Any],
        report: Mapping[str, Any],
        created: datetime,
        name: str = "",
        tags: Iterable[str] = (),
        events: Sequence[tuple[datetime, Event]] = (),
    ) -> None:
        """A job that only its folder knows, all of it or nothing. Raises: RunError for an id that exists."""
        with self._database.begin(write=True) as connection:
            add_row(connection, run_id, config, kind, name, "done")
            times = {"created": created, "started": created, "finished": created}
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(**times, tags=_tags(tags)))
            add_report(connection, run_id, report)
            add_events(connection, run_id, events)

    def ids(self, *, shown: bool = False) -> set[str]:
        """Of all rows, or of those that are ``shown``: not of deleted runs."""
        query = sa.select(RUNS.c.id).where(RUNS.c.status != "deleted" if shown else sa.true())
        with self._database.begin() as connection:
            return set(connection.scalars(query))

    def set_aside_if_broken(self) -> Path | None:
        """Where a database that cannot be read was moved to, so that a new one can take its place."""
        return self._database.set_aside_if_broken()

    def delete_run(self, run_id: str) -> None:
        """Hide a run, and a search's name is free; its folder is the caller's.

        Raises: RunError while it is running or paused.
        """
        idle = RUNS.c.status.not_in((*ACTIVE, "deleted"))
        hide = RUNS.update().where(RUNS.c.id == run_id, idle).values(status="deleted")
        with self._database.begin(write=True) as connection:
            if connection.execute(hide).rowcount == 0:
                status = status_of(connection, run_id)
                if status in ACTIVE:
                    raise RunError(f"Run {run_id} is {status}; stop it before you delete it.")
                raise missing(run_id)
            studies.put_away(connection, run_id)

    def restore_run(self, run_id: str, bring_back: Callable[[], None]) -> bool:
        """Show a deleted run again: failed where it has an error, done where its report is whole, else
        stopped. False where there is none.

        ``bring_back()`` moves its folders meanwhile; the run stays deleted where that fails. Raises: RunError
        for a search whose name another one has now.
        """
        query = (
            sa.select(RUNS.c.number, RUNS.c.progress, RUNS.c.error, REPORTS.c.run)
            .select_from(RUNS.outerjoin(REPORTS))
            .where(RUNS.c.id == run_id, RUNS.c.status == "deleted")
        )
        with self._database.begin(write=True) as connection:
            row = connection.execute(query).one_or_none()
            if row:
                # A job of several trainings keeps a report of those that it has done so far.
                done = row.run is not None and row.progress == 1
                status = "failed" if row.error else "done" if done else "stopped"
                connection.execute(RUNS.update().where(RUNS.c.number == row.number).values(status=status))
                studies.bring_back(connection, run_id)
            bring_back()
        return row is not None

    def for_each_deleted(self, put_away: Callable[[str], None]) -> None:
        """``put_away(run_id)``, while nobody can bring one of them back."""
        query = sa.select(RUNS.c.id).where(RUNS.c.status == "deleted")
        with self._database.begin(write=True) as connection:
            for run_id in connection.scalars(query).all():
                put_away(run_id)

    def forget_deleted(self, but: Collection[str] = ()) -> None:
        """Rows of this data folder's deleted runs go for good, and what Optuna has of its searches.

        ``but``: runs that stay, for somebody may want them back.
        """
        gone = (RUNS.c.status == "deleted", is_here(), RUNS.c.id.not_in(but))
        with self._database.begin() as connection:
            searches = connection.scalars(sa.select(RUNS.c.id).where(RUNS.c.kind == "search", *gone)).all()
            names = [name for run_id in searches for name in studies.names_away(connection, run_id)]
        if names:
            import optuna

            with self._database.store_errors():
                for name in names:
                    optuna.delete_study(study_name=name, storage=self._database.address)
        with self._database.begin(write=True) as connection:
            connection.execute(RUNS.delete().where(*gone))

    def has(self, run_id: str) -> bool:
        """Whether there is a row of that id, even one that is hidden."""
        with self._database.begin() as connection:
            return status_of(connection, run_id) is not None

    # What a run reports

    def progress_before(self, run_id: str) -> dict[str, Any]:
        """What an earlier start of the run left of its progress; {} where there was none."""
        with self._database.begin() as connection:
            before = connection.scalar(sa.select(RUNS.c.pace).where(RUNS.c.id == run_id))
        if before is None:
            raise missing(run_id)
        return cast(dict[str, Any], before)

    def write(
        self,
        run_id: str,
        events: Sequence[tuple[datetime, Event]],
        live: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
    ) -> None:
        """Keep ``events`` with their times, in one transaction; ``live`` are values for the run's own row.

        A step that is there already is overwritten: a run that is resumed repeats some. ``owner``: only while
        the run is still that process's, else RunError.
        """
        with self._database.begin(write=True) as connection:
            add_events(connection, run_id, events, live, owner)

    def curve(self, run_id: str, points: int = 400, *, who: Role | None = None) -> pd.DataFrame:
        """who, seed, step, loss, hard, soft, intermediate, learning_rate, samples_per_second.

        Of all models, or of one. At most ``points`` rows for each model and seed: of a longer curve the
        first, the last, and the smallest and largest loss of each of its parts.
        """
        with self._database.begin() as connection:
            return read_curve(connection, run_id, points, who)

    def evaluations(self, run_id: str) -> pd.DataFrame:
        """who, seed, step, accuracy, loss, score: each look at the validation split, as ``Evaluated``."""
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
            begun = {row.stage: row for row in connection.execute(query)}
        if not begun:
            raise missing(run_id)
        rows = []
        for stage in get_args(Stage):
            if row := begun.get(stage):
                state = row.status if row.seconds is None else "done"
                rows.append(StageRow(stage, row.started, row.seconds, row.cached, state))
            else:
                rows.append(StageRow(stage, None, None, False, "waiting"))
        return rows

    def events(self, run_id: str) -> list[EventRow]:
        """What happened, oldest first, without steps, evaluations and progress."""
        query = sa.select(EVENTS).join(RUNS).where(RUNS.c.id == run_id).order_by(EVENTS.c.id)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        found = []
        for row in rows:
            with suppress(KeyError, TypeError):  # a newer version's, which this one cannot tell of
                found.append(EventRow(row.id, row.at, EVENT_TYPES[row.kind](**row.event)))
        return found

    def save_report(self, run_id: str, report: Mapping[str, Any], *, owner: str | None = None) -> None:
        """What a job found out. Of the models that it measured, the lists show a digest.

        ``owner``: only while the run is still that process's, else RunError.
        """
        with self._database.begin(write=True) as connection:
            add_report(connection, run_id, report, owner)
        self._note_about(run_id)

    def report(self, run_id: str) -> Report:
        """Of a distillation. Raises: RunError where there is none, or none that can be read."""
        from kd_core.distillation.report import Report  # scipy comes with it

        return Report.from_dict(self.report_json(run_id))

    def report_json(self, run_id: str) -> Any:
        """What a job of any kind found out. Raises: RunError where neither database nor folder has it."""
        from kd_core.distillation.report import Report  # scipy comes with it
        from kd_core.distillation.run_folder import find
        from kd_core.jobs.kept import read_job

        query = (
            sa.select(RUNS.c.kind, RUNS.c.status, REPORTS.c.report)
            .select_from(RUNS.outerjoin(REPORTS))
            .where(RUNS.c.id == run_id)
        )
        with self._database.begin() as connection:
            row = connection.execute(query).one_or_none()
        if row and row.report is not None:
            if "folder" in row.report and (here := paths.runs() / run_id).is_dir():
                return row.report | {"folder": str(here)}  # the data folder may have been moved since
            return row.report
        if row and row.status != "done":
            raise RunError(f"Run {run_id} has no report: it is {row.status}.")
        if row and row.kind != "distil":
            return read_job(run_id).report
        return Report.read(find(run_id)).to_dict()

    def measured(self) -> list[RunRow]:
        """Runs, benchmarks and exports that are done, with their ``forms``; newest first.

        The report of a row from before there were any, or before they had ``judged``, is read, once.
        """
        rows = [row for row in self.runs(status=("done",)) if row.kind in MEASURED]
        summaries = {}
        for row in rows:
            if row.forms is None or any("judged" not in form for form in row.forms):
                with suppress(RunError):  # deleted in this moment, or its folder is gone
                    summaries[row.id] = summarised(row.kind, self.report_json(row.id))
        if summaries:
            with self._database.begin(write=True) as connection:
                for run_id, summary in summaries.items():
                    connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(summary=summary))
        return [
            replace(row, forms=summaries[row.id]["forms"]) if row.id in summaries else row for row in rows
        ]


def _tags(tags: Iterable[str]) -> list[str]:
    """Each once, without blank ones."""
    return list(dict.fromkeys(filter(None, map(clean, tags))))


def _searchable(row: RunRow) -> str:
    return " ".join((row.name, row.id, row.task, row.teacher, row.student, *row.tags)).casefold()
