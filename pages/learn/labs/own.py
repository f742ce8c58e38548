"""What labs show besides recordings: what this dashboard has run and measured. A classroom has neither."""

from __future__ import annotations

from kd_core.jobs.store import RunRow
from pages.shared.state import store
from pages.shared.visitors import in_classroom


def finished_runs() -> dict[str, RunRow]:
    """The last ones by id. Raises: KDError."""
    if in_classroom():
        return {}
    return {run.id: run for run in store().runs(kind="distil", status=("done",), limit=50)}


def measurements() -> dict[str, RunRow]:
    """The jobs of the transfer lab by id, finished or not. Raises: KDError."""
    return {} if in_classroom() else {job.id: job for job in store().runs(kind="lab", limit=20)}
