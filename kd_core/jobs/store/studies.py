"""Optuna's studies in the store's database: those of a deleted search step aside, so that its name is free.

A search has two, by its name and by that with ``ALONE``; of a deleted one they end in its job's id as well.
"""

from __future__ import annotations

import sqlalchemy as sa

from kd_core.errors import RunError
from kd_core.jobs.states import ALONE
from kd_core.jobs.store.schema import LISTED, RUNS, run_rows

_STUDIES = sa.table("studies", sa.column("study_name"))


def put_away(connection: sa.Connection, run_id: str) -> None:
    """Where the job is a search, and no other one that is shown works on the same studies."""
    if not _are_there(connection):
        return
    rows = run_rows(connection, sa.select(*LISTED).where(RUNS.c.kind == "search"))
    study = next((row.study for row in rows if row.id == run_id), None)
    others = {row.study for row in rows if row.id != run_id and row.status != "deleted"}
    if study is not None and study not in others:
        for name in (study, study + ALONE):
            _rename(connection, name, name + _mark(run_id))


def bring_back(connection: sa.Connection, run_id: str) -> None:
    """Raises: RunError where another search has the name now."""
    for away in names_away(connection, run_id):
        name = away.removesuffix(_mark(run_id))
        if connection.execute(sa.select(_STUDIES).where(_STUDIES.c.study_name == name)).first():
            search = name.removesuffix(ALONE)
            raise RunError(
                f"There is another search named {search!r} now. Delete that one, then bring {run_id} back."
            )
        _rename(connection, away, name)


def names_away(connection: sa.Connection, run_id: str) -> list[str]:
    """Of the studies that went with this job."""
    if not _are_there(connection):
        return []
    ends = _STUDIES.c.study_name.endswith(_mark(run_id), autoescape=True)
    return list(connection.scalars(sa.select(_STUDIES.c.study_name).where(ends)))


def _are_there(connection: sa.Connection) -> bool:
    """Whether any search has begun in this database."""
    return bool(sa.inspect(connection).has_table(_STUDIES.name))


def _mark(run_id: str) -> str:
    return f" (deleted {run_id})"


def _rename(connection: sa.Connection, name: str, other: str) -> None:
    connection.execute(sa.update(_STUDIES).where(_STUDIES.c.study_name == name).values(study_name=other))
