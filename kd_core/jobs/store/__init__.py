"""Runs in a database: what the pages and the command list, and what a run reports while it works."""

from kd_core.jobs.store.schema import Command, EventRow, RunRow, StageRow, Status
from kd_core.jobs.store.store import Store

__all__ = ["Command", "EventRow", "RunRow", "StageRow", "Status", "Store"]
