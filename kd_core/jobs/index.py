"""The database is an index of the folders of runs and other jobs: what it lacks, and how it is made anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kd_core.distillation.events import STAGES, Event, StageFinished, StageStarted
from kd_core.distillation.run_folder import RUN_ID, read_about
from kd_core.errors import RunError
from kd_core.jobs.deletion import settle
from kd_core.jobs.kept import read_curves, read_job
from kd_core.system import paths

if TYPE_CHECKING:
    from kd_core.jobs.store import Store

LOST = (
    "What only the database had cannot be brought back: jobs that were not done, and what they said on their "
    "way; of those that an older KD Studio did also curves, names, benchmarks, exports, searches and labs."
)


@dataclass
class Rebuilt:
    """Ids: ``added``; of those the runs ``without_curves``; and ``unreadable`` ones, each with why.

    ``old`` is where a broken database was moved to.
    """

    added: list[str] = field(default_factory=list)
    without_curves: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    old: Path | None = None


def missing_runs(store: Store) -> list[str]:
    """Ids of the folders of runs and other jobs that the database does not know, oldest first."""
    known = store.ids()
    folders = (folder for folder in (paths.runs(), paths.jobs()) if folder.is_dir())
    names = sorted({path.name for folder in folders for path in folder.iterdir() if path.is_dir()})
    return [name for name in names if RUN_ID.fullmatch(name) and name not in known]


def rebuild(store: Store) -> Rebuilt:
    """Add what the database lacks; one that is broken is moved away first, and made anew.

    Raises: StoreError.
    """
    result = Rebuilt(old=store.set_aside_if_broken())
    settle(store)
    for run_id in missing_runs(store):
        try:
            whole = _add_run(store, run_id) if (paths.runs() / run_id).is_dir() else _add_job(store, run_id)
        except RunError as error:
            if not store.has(run_id):  # which another process has added in this moment
                result.unreadable[run_id] = str(error)
            continue
        result.added.append(run_id)
        if not whole:
            result.without_curves.append(run_id)
    return result


def _add_run(store: Store, run_id: str) -> bool:
    """Whether its curves are there too."""
    from kd_core.distillation.report import Report  # scipy comes with it

    folder = paths.runs() / run_id
    report = Report.read(folder)
    try:
        created = datetime.fromisoformat(report.created)
    except ValueError as error:
        raise RunError(
            f"The report of {run_id} says that it was made at {report.created!r}, which is no time. Mend "
            '"created" in its report.json, or delete the run.'
        ) from error
    curves = read_curves(run_id)
    events: list[Event] = [*(curves or ())]
    for stage in STAGES:
        if (seconds := report.seconds.get(stage)) is not None:
            events += [StageStarted(stage), StageFinished(stage, seconds, report.cached.get(stage, False))]
    about, timed = read_about(folder), [(created, event) for event in events]
    store.add_done(run_id, "distil", report.config, report.to_dict(), created, *about, timed)
    return curves is not None


def _add_job(store: Store, run_id: str) -> bool:
    job, about = read_job(run_id), read_about(paths.jobs() / run_id)
    try:
        store.add_done(run_id, job.kind, job.config, job.report, job.created, *about)
    except (KeyError, TypeError) as error:
        raise RunError(f"The result of {run_id} lacks something; it may be from another version.") from error
    return True
