"""Training points and evaluations: how a run's models learned, written and read as SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.roles import Role
from kd_core.jobs.store.schema import EVALUATIONS, POINTS, RUNS, TRAININGS

if TYPE_CHECKING:
    import pandas as pd

SPARKS = 30  # points of a sparkline


def write_points(connection: sa.Connection, run: int, events: Iterable[Step | Evaluated]) -> None:
    """A step that is there already is overwritten: a run that is resumed repeats some."""
    measured = list(events)
    trainings = _trainings(connection, run, {(event.who, event.seed) for event in measured})
    for table, kind in ((POINTS, Step), (EVALUATIONS, Evaluated)):
        measures = [column.name for column in table.c if column.name != "training"]
        rows = [
            {"training": trainings[event.who, event.seed]} | {name: getattr(event, name) for name in measures}
            for event in measured
            if isinstance(event, kind)
        ]
        if rows:
            upsert(connection, table, rows)


def read_curve(connection: sa.Connection, run_id: str, points: int, who: Role | None) -> pd.DataFrame:
    """As ``Store.curve`` says; thinned by the database, since a curve may have millions of points."""
    curve, step = POINTS.c.training, POINTS.c.step
    parts = sa.func.ntile(max(1, points // 2 - 1))
    part = (
        sa.select(
            *POINTS.c,
            parts.over(partition_by=curve, order_by=step).label("part"),
            sa.func.row_number().over(partition_by=curve, order_by=step).label("place"),
            sa.func.count().over(partition_by=curve).label("count"),
        )
        .where(curve.in_(_training_ids(run_id, who)))
        .subquery()
    )
    within = (part.c.training, part.c.part)
    ranked = sa.select(
        part,
        sa.func.row_number().over(partition_by=within, order_by=part.c.loss).label("low"),
        sa.func.row_number().over(partition_by=within, order_by=part.c.loss.desc()).label("high"),
    ).subquery()
    row = ranked.c
    extreme = (row.low == 1) | (row.high == 1) | (row.place == 1) | (row.place == row.count)
    return _frame(connection, ranked, POINTS, (row.count <= points) | extreme)


def read_evaluations(connection: sa.Connection, run_id: str) -> pd.DataFrame:
    """As ``Store.evaluations`` says."""
    return _frame(connection, EVALUATIONS, EVALUATIONS, EVALUATIONS.c.training.in_(_training_ids(run_id)))


def sparkline(connection: sa.Connection, run: int) -> list[float]:
    """Validation accuracy of the first distilled student, thinned evenly, with its first and last value."""
    students = sa.select(sa.func.min(TRAININGS.c.id)).where(
        TRAININGS.c.run == run, TRAININGS.c.who == "student"
    )
    query = sa.select(EVALUATIONS.c.accuracy).where(EVALUATIONS.c.training == students.scalar_subquery())
    values = connection.scalars(query.order_by(EVALUATIONS.c.step)).all()
    if len(values) <= SPARKS:
        return list(values)
    return [values[round(i * (len(values) - 1) / (SPARKS - 1))] for i in range(SPARKS)]


def upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows; one with the primary key of an earlier row takes its place."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    others = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
    keys = [column.name for column in table.primary_key]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), rows)


def _frame(
    connection: sa.Connection, source: sa.FromClause, table: sa.Table, where: sa.ColumnElement[bool]
) -> pd.DataFrame:
    import pandas as pd

    measures = [column.name for column in table.c if not column.primary_key]
    query = (
        sa.select(TRAININGS.c.who, TRAININGS.c.seed, source.c.step, *(source.c[m] for m in measures))
        .select_from(source.join(TRAININGS, TRAININGS.c.id == source.c.training))
        .where(where)
        .order_by(source.c.training, source.c.step)
    )
    rows = connection.execute(query).all()
    frame = pd.DataFrame(rows, columns=["who", "seed", "step", *measures])
    return frame.astype({"seed": int, "step": int} | dict.fromkeys(measures, float))


def _training_ids(run_id: str, who: Role | None = None) -> sa.Select[Any]:
    query = sa.select(TRAININGS.c.id).join(RUNS).where(RUNS.c.id == run_id)
    return query.where(TRAININGS.c.who == who) if who else query


def _trainings(
    connection: sa.Connection, run: int, models: set[tuple[Role, int]]
) -> dict[tuple[Role, int], int]:
    """The ids of a run's trainings; those of ``models`` that have none are added."""
    query = sa.select(TRAININGS).where(TRAININGS.c.run == run)
    known = {(row.who, row.seed): row.id for row in connection.execute(query)}
    for who, seed in sorted(models - known.keys()):
        insert = TRAININGS.insert().values(run=run, who=who, seed=seed).returning(TRAININGS.c.id)
        known[who, seed] = connection.execute(insert).scalar_one()
    return known
