"""What kinds of jobs there are, what states a job can be in, and what it can be told."""

from __future__ import annotations

from typing import Literal, get_args

JobKind = Literal["distil", "bench", "export", "lab", "search", "ladder", "curve"]
Status = Literal[
    "queued", "running", "paused", "done", "stopped", "failed", "interrupted", "unreadable", "deleted"
]
Command = Literal["run", "pause", "stop"]

# Of several runs, whose progress is counted in hundredths of a run: 141 of 400 says nothing to anybody.
PARTED: tuple[JobKind, ...] = ("ladder", "curve")

ACTIVE: tuple[Status, ...] = ("running", "paused")  # some process has it
PENDING: tuple[Status, ...] = ("queued", *ACTIVE)
RESUMABLE: tuple[Status, ...] = ("stopped", "interrupted", "failed")

STATUSES: tuple[Status, ...] = get_args(Status)  # "unreadable" is never stored: the row says something else

ALONE = " (student alone)"  # ends the name of a study of its own beside each search

LABELS: dict[Status, str] = {status: status.capitalize() for status in STATUSES} | {
    "unreadable": "Cannot be read"
}
