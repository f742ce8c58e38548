"""Every state is of one sort, and every kind of job has somebody who does it."""

from typing import get_args

from kd_core.job_kinds import HANDLERS
from kd_core.jobs.states import ACTIVE, PENDING, RESUMABLE, JobKind, Status


def test_every_job_waits_or_is_active_or_can_be_resumed_or_is_done() -> None:
    assert ("queued", *ACTIVE) == PENDING
    assert sorted((*PENDING, *RESUMABLE, "done", "unreadable", "deleted")) == sorted(get_args(Status))


def test_every_kind_of_job_has_its_handler() -> None:
    assert tuple(HANDLERS) == get_args(JobKind)
