"""What a job reports, written as SQL within a transaction of the store: events, points, and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa

from kd_core.distillation.events import (
    Evaluated,
    Event,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
)
from kd_core.distillation.roles import Role
from kd_core.jobs.states import JobKind
from kd_core.jobs.store.curves import sparkline, upsert, write_points
from kd_core.jobs.store.digest import condense, condense_forms
from kd_core.jobs.store.queue import clean, lost, missing, short
from kd_core.jobs.store.schema import EVENTS, REPORTS, RUNS, STAGES

MEASURED: tuple[JobKind, ...] = ("distil", "bench", "export")  # kinds of jobs whose reports tell of models


def add_events(
    connection: sa.Connection,
    run_id: str,
    events: Sequence[tuple[datetime, Event]],
    live: Mapping[str, Any] | None = None,
    owner: str | None = None,
) -> None:
    """As ``Store.write`` says."""
    run = _number(connection, run_id, owner, RUNS.c.status != "deleted")
    measured = [event for _, event in events if isinstance(event, Step | Evaluated)]
    rows = []
    for at, event in events:
        match event:
            case Step() | Evaluated() | Progress():  # of progress, ``live`` has the latest
                continue
            case StageStarted(stage):
                row = {"run": run, "stage": stage, "started": at, "seconds": None, "cached": False}
                upsert(connection, STAGES, [row])
            case Resolved(config):  # what auto has become is shown from now on
                known = connection.scalar(sa.select(RUNS.c.summary).where(RUNS.c.number == run))
                summary = (known or {}) | {"temperature": config["objective"]["temperature"]}
                found = {"summary": summary, "teacher": short(config, "teacher", "model")}
                connection.execute(RUNS.update().where(RUNS.c.number == run).values(found))
            case StageFinished(stage, seconds, cached):
                of_stage = STAGES.update().where(STAGES.c.run == run, STAGES.c.stage == stage)
                connection.execute(of_stage.values(seconds=seconds, cached=cached))
        kind = type(event).__name__
        rows.append({"run": run, "at": at, "kind": kind, "event": asdict(event)})
    if rows:
        connection.execute(EVENTS.insert(), rows)
    write_points(connection, run, measured)
    changes = {name: clean(v) if isinstance(v, str) else v for name, v in (live or {}).items()}
    if any(isinstance(event, Evaluated) for event in measured):
        changes["sparkline"] = sparkline(connection, run)
    if changes:
        connection.execute(RUNS.update().where(RUNS.c.number == run).values(changes))


def add_report(
    connection: sa.Connection, run_id: str, report: Mapping[str, Any], owner: str | None = None
) -> None:
    """As ``Store.save_report`` says."""
    run = _number(connection, run_id, owner)
    kind = connection.scalar(sa.select(RUNS.c.kind).where(RUNS.c.number == run))
    if kind in MEASURED:
        known: dict[str, Any] = {"summary": summarised(kind, report)}
        if kind == "distil":
            known["teacher"] = short(report["config"], "teacher", "model")
        connection.execute(RUNS.update().where(RUNS.c.number == run).values(known))
    upsert(connection, REPORTS, [{"run": run, "report": dict(report)}])


def _number(connection: sa.Connection, run_id: str, owner: str | None, *where: sa.ColumnElement[bool]) -> int:
    """The run's number. Raises: RunError where there is none, or it is not ``owner``'s."""
    query = sa.select(RUNS.c.number, RUNS.c.owner).where(RUNS.c.id == run_id, *where)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise missing(run_id)
    if owner not in (None, row.owner):
        raise lost(run_id)
    return int(row.number)


def summarised(kind: JobKind, report: Mapping[str, Any]) -> dict[str, Any]:
    """What ``RunRow`` says of a report."""
    if kind != "distil":
        return {"forms": condense_forms(report["forms"])}
    from kd_core.distillation.report import Report  # scipy comes with it

    read = Report.from_dict(report)
    return {
        "temperature": read.config["objective"]["temperature"],
        "accuracy": {who: read.judged[who].accuracy for who in get_args(Role) if who in read.judged},
        "score": {who: model.by(read.metric) for who, model in read.judged.items()},
        "verdict": read.verdict.kind if read.verdict else None,
        "over_floor": read.over_floor.kind if read.over_floor else None,
        "metric": read.metric,
        **{name: getattr(read.verdict, name, None) for name in ("delta", "low", "high")},
        "seconds": sum(read.seconds.values()),
        "size_mb": read.student.size_mb,
        "latency": {"student": read.student.p50, "teacher": read.teacher.p50},
        "forms": condense(read),
    }
