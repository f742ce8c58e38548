"""Runs in a database: what the pages and the command list, and what a run reports while it works."""

from kd_core.jobs.store.schema import EventRow, RunRow, StageRow
from kd_core.jobs.store.store import Store

__all__ = ["EventRow", "RunRow", "StageRow", "Store"]
