"""The runs as a queue: which process may take a run, what it is told meanwhile, and whether it is alive."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa

from kd_core.errors import RunError
from kd_core.jobs.states import ACTIVE, Command, JobKind, Status
from kd_core.jobs.store.database import Database
from kd_core.jobs.store.schema import LISTED, RUNS, Moment, RunRow, run_row
from kd_core.system import paths
from kd_core.system.process import ended_with_its_boot

GRACE = 30  # seconds without a sign of life


class Queue:
    """Errors as of ``Store``."""

    def __init__(self, url: str | None = None) -> None:
        """``url``: a database; otherwise ``KD_DATABASE_URL``, or a file in ``KD_HOME``."""
        self._database = Database(url or os.environ.get("KD_DATABASE_URL"))
        self._beats: dict[str, tuple[datetime, float]] = {}  # of runs elsewhere: the last, and since when

    def close(self) -> None:
        self._database.close()

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
        with self._database.begin(write=True) as connection:
            add_row(connection, run_id, config, kind, name, status, owner)

    def claim(self, owner: str, run_id: str) -> RunRow | None:
        """Give a queued run to ``owner``, on this machine; None where it is not queued (any more)."""
        now = datetime.now(UTC)
        taken = {
            "status": "running",
            "owner": owner,
            "heartbeat": now,
            "machine": socket.gethostname(),
            "folder": _folder(),
            "started": sa.func.coalesce(RUNS.c.started, sa.literal(now, Moment)),
        }
        queued = RUNS.update().where(RUNS.c.id == run_id, RUNS.c.status == "queued")
        statement = queued.values(taken).returning(*LISTED)
        with self._database.begin(write=True) as connection:
            row = connection.execute(statement).one_or_none()
        return run_row(row) if row else None

    def set_status(
        self,
        run_id: str,
        status: Status,
        error: str | None = None,
        *,
        only: Iterable[Status] = (),
        owner: str | None = None,
    ) -> bool:
        """``only``: change it where the status is one of these, and return whether it was.

        ``owner``: only while the run is still that process's.
        """
        values: dict[str, Any] = {"status": status, "error": clean(error) if error else None}
        if status == "queued":
            values |= {"command": "run", "owner": None, "finished": None, "seconds_left": None}
        elif status not in ACTIVE:
            values |= {"finished": datetime.now(UTC), "seconds_left": None}
        if status == "done":
            values["progress"] = 1.0
        return self._update(run_id, values, only, owner)

    def command(self, run_id: str) -> Command:
        """What the run was last told to do."""
        with self._database.begin() as connection:
            command = connection.scalar(sa.select(RUNS.c.command).where(RUNS.c.id == run_id))
        if command is None:
            raise missing(run_id)
        return cast(Command, command)

    def set_command(self, run_id: str, command: Command) -> bool:
        """False where the run was told to stop before: nothing that comes later undoes that."""
        return self._update(run_id, {"command": command}, unless_stopping=command != "stop")

    def heartbeat(self, run_id: str, owner: str) -> bool:
        """Say that the run's process is alive. False where the run is no longer ``owner``'s."""
        mine = (RUNS.c.id == run_id, RUNS.c.owner == owner, RUNS.c.status.in_(ACTIVE))
        statement = RUNS.update().where(*mine).values(heartbeat=datetime.now(UTC))
        with self._database.begin(write=True) as connection:
            return connection.execute(statement).rowcount > 0

    @contextmanager
    def held(self, run_id: str, owner: str) -> Iterator[None]:
        """Meanwhile nobody takes the run from ``owner``. Raises: RunError, where somebody has."""
        mine = (RUNS.c.id == run_id, RUNS.c.owner == owner, RUNS.c.status.in_(ACTIVE))
        with self._database.begin(write=True) as connection:
            if connection.scalar(sa.select(RUNS.c.number).where(*mine).with_for_update()) is None:
                raise lost(run_id)
            yield

    def interrupt_orphans(self, fate: Callable[[str], bool | None]) -> list[str]:
        """Runs whose process went away become ``interrupted``; returns their ids.

        ``fate(owner)`` says whether it is there. Where it cannot (None), it ended with an earlier boot of
        this machine, or a heartbeat that stays the same for ``GRACE`` tells, timed from here: clocks of two
        machines are never compared.
        """
        active = RUNS.c.status.in_(ACTIVE)
        query = sa.select(RUNS.c.id, RUNS.c.owner, RUNS.c.machine, RUNS.c.heartbeat).where(active)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        gone = []
        for row in rows:
            there = fate(row.owner) if row.owner else None
            if there is None and row.owner and ended_with_its_boot(row.owner, row.heartbeat):
                there = False
            if self._is_silent(row.id, row.heartbeat) if there is None else not there:
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

    def _is_silent(self, run_id: str, beat: datetime) -> bool:
        """Whether this store has seen the same heartbeat for so long."""
        now = time.monotonic()
        if self._beats.setdefault(run_id, (beat, now))[0] != beat:
            self._beats[run_id] = (beat, now)
        return now - self._beats[run_id][1] > GRACE

    def _update(
        self,
        run_id: str,
        values: Mapping[str, Any],
        only: Iterable[Status] = (),
        owner: str | None = None,
        *,
        unless_stopping: bool = False,
    ) -> bool:
        statement = RUNS.update().where(RUNS.c.id == run_id).values(values)
        if owner is not None:
            statement = statement.where(RUNS.c.owner == owner)
        if unless_stopping:
            statement = statement.where(RUNS.c.command != "stop")
        if allowed := tuple(only):
            statement = statement.where(RUNS.c.status.in_(allowed))
        with self._database.begin(write=True) as connection:
            changed = connection.execute(statement).rowcount > 0
            if not changed and status_of(connection, run_id) is None:
                raise missing(run_id)
        return changed


def add_row(
    connection: sa.Connection,
    run_id: str,
    config: Mapping[str, Any],
    kind: JobKind,
    name: str,
    status: Status,
    owner: str | None = None,
) -> None:
    """Raises: RunError for an id that exists."""
    now = datetime.now(UTC)
    about = config.get("distill", config)  # a search says what its trainings share
    row = {
        "id": run_id,
        "kind": kind,
        "name": clean(name),
        "status": status,
        "task": short(about, "task", "name"),
        "teacher": short(about, "teacher", "model"),
        "student": _tried(config.get("students")) or short(about, "student", "model"),
        "config": dict(config),
        "created": now,
        "started": None if status == "queued" else now,
        "machine": socket.gethostname(),
        "folder": _folder(),
        "owner": owner,
        "heartbeat": now,
        "progress": float(status == "done"),
    }
    if status_of(connection, run_id) is not None:
        raise RunError(f"There is a run {run_id} already.")
    connection.execute(RUNS.insert().values(row))


def missing(run_id: str) -> RunError:
    from kd_core.distillation.run_folder import RUN_ID

    if RUN_ID.fullmatch(run_id) and (paths.runs() / run_id).is_dir():
        return RunError(f"Run {run_id} has a folder, but is not in the list; kd index --rebuild adds it.")
    return RunError(f"There is no run {run_id}; it may have been deleted.")


def _folder() -> str | None:
    """The id of this data folder."""
    with suppress(OSError):  # what is read only has none
        paths.make_home()
    return paths.folder_id() or None


def lost(run_id: str) -> RunError:
    return RunError(f"Run {run_id} was taken from this process, which writes nothing more of it.")


def clean(text: str) -> str:
    """Without what a database refuses: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


def _tried(students: Sequence[str] | None) -> str:
    """What a search or a ladder tries; "" where it names none."""
    names = students or ()
    return clean(", ".join(names)) if len(names) <= 2 else f"{len(names)} students"


def short(config: Mapping[str, Any], section: str, field: str) -> str:
    """A name without its folder or organisation; that of a Hub data set stays whole."""
    name = clean(str(config.get(section, {}).get(field, "")))
    return name if name.startswith("hub:") else re.split(r"[\\/]", name.rstrip("\\/"))[-1]


def status_of(connection: sa.Connection, run_id: str) -> str | None:
    return connection.scalar(sa.select(RUNS.c.status).where(RUNS.c.id == run_id))
