"""The database is an index of the run folders: which it lacks, and how it is made anew from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import RUN_ID, read_about
from kd_core.errors import RunError
from kd_core.jobs.deletion import settle
from kd_core.system import paths

if TYPE_CHECKING:
    from kd_core.jobs.store import Store

LOST = (
    "What only the database had cannot be brought back: curves, benchmarks, exports, searches and labs, runs "
    "that were not done, and names given by an older KD Studio."
)


@dataclass
class Rebuilt:
    """``added`` ids; ``unreadable`` ones, each with why; ``old`` is where a broken database was moved to."""

    added: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    old: Path | None = None


def missing_runs(store: Store) -> list[str]:
    """Ids of the run folders that the database does not know, oldest first."""
    known = store.ids()
    folder = paths.runs()
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [name for name in names if RUN_ID.fullmatch(name) and name not in known]


def rebuild(store: Store) -> Rebuilt:
    """Add what the database lacks; one that is broken is moved away first, and made anew.

    Raises: StoreError.
    """
    result = Rebuilt(old=store.set_aside_if_broken())
    settle(store)
    for run_id in missing_runs(store):
        try:
            report = Report.read(paths.runs() / run_id)
        except RunError as error:
            result.unreadable[run_id] = str(error)
            continue
        name, tags = read_about(paths.runs() / run_id)
        store.add_done(run_id, report, datetime.fromisoformat(report.created), name, tags)
        result.added.append(run_id)
    return result
