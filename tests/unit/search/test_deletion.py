"""A search that is deleted: its name is free, and its tables come back with it."""

from __future__ import annotations

import pytest

from kd_core.errors import RunError
from kd_core.jobs.deletion import delete_run, restore_run
from kd_core.jobs.store import Store
from kd_core.search import result
from kd_core.search import trials as boards
from tests.unit.search.in_process import run

pytestmark = pytest.mark.usefixtures("own_database")


def test_the_name_of_a_deleted_search_is_free(search_config, counted) -> None:
    old, new = "20260101-000000-aaaa", "20260101-000000-bbbb"
    store = Store()
    store.create_run(old, search_config.model_dump(mode="json"), kind="search", status="done")
    before = run(search_config)
    assert len(counted) == 10
    delete_run(store, old)
    with pytest.raises(RunError, match="There is no search named 'tiny'"):
        result("tiny")
    restore_run(store, old)
    assert result("tiny") == before

    delete_run(store, old)
    store.create_run(new, search_config.model_dump(mode="json"), kind="search", status="done")
    run(search_config)
    assert len(counted) == 20, "all of it anew"
    with pytest.raises(RunError, match=f"another search named 'tiny' now.*bring {old} back"):
        restore_run(store, old)
    store.forget_deleted()
    assert result("tiny").complete
    with boards.connected() as storage:
        assert [study.study_name for study in storage.get_all_studies()] == ["tiny", "tiny (student alone)"]


def test_a_search_that_another_job_goes_on_with_stays(search_config, counted) -> None:
    store = Store()
    for run_id in ("20260101-000000-aaaa", "20260101-000000-bbbb"):
        store.create_run(run_id, search_config.model_dump(mode="json"), kind="search", status="stopped")
    before = run(search_config)
    delete_run(store, "20260101-000000-aaaa")
    assert result("tiny") == before
