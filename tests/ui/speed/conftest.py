"""A finished run, with and without a benchmark."""

from __future__ import annotations

import pytest

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from tests.ui.speed.benched import JOB, RUN, keep, sample


@pytest.fixture
def done(store: Store) -> Store:
    store.create_run(RUN, DistillConfig().model_dump(mode="json"), name="Demo")
    store.save_report(RUN, sample("report.json"))
    store.set_status(RUN, "done")
    return store


@pytest.fixture
def benched(done: Store) -> Store:
    keep(done, JOB, sample("bench.json") | {"run": RUN})
    return done
