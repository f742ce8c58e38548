"""What Start does, and what waits for its turn."""

from __future__ import annotations

import socket

import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.events import Estimated
from kd_core.jobs.store import Store
from kd_core.search.ladder import LadderConfig
from kd_core.system import paths
from tests.ui.distill.page import PAGE, App, texts, under_way, widget


def test_start_queues_one_run_however_often_it_is_clicked(app: App, store: Store) -> None:
    test = app(PAGE)
    for _ in range(2):
        test.button(key="distill.start").click().run()
    (run,) = store.runs()
    assert run.status == "queued"
    assert DistillConfig.from_dict(run.config) == DistillConfig().change({"objective.temperature": 2})
    assert test.query_params["run"] == run.id
    (entry,) = store.events(run.id)
    assert isinstance(entry.event, Estimated)
    assert entry.event.seconds["distil"] > 0


def test_a_second_run_waits_and_says_so(app: App, store: Store) -> None:
    under_way(store)
    test = app(PAGE)
    assert "First try" in texts(test), "the run that is under way is shown without being asked for"
    assert "The next one waits in the queue" in texts(test)
    widget(test, "slider", "objective.alpha").set_value(0.5).run()
    test.button(key="distill.start").click().run()
    assert "Position 1 in the queue" in texts(test)
    test.button(key="live.cancel").click().run()
    assert [run.status for run in store.runs()] == ["stopped", "running"]


def test_a_ladder_and_its_run_are_one_job_to_wait_for(app: App, store: Store) -> None:
    store.create_run("20260101-115900-abcd", {}, kind="ladder", status="running")
    under_way(store)
    waiting = "20260101-120100-abcd"
    store.create_run(waiting, DistillConfig().model_dump(mode="json"))
    assert "Position 1 in the queue" in texts(app(PAGE, run=waiting))


def test_what_another_machine_does_keeps_nobody_waiting(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a database that a team shares."""
    queued = "20260101-130000-abcd"
    with monkeypatch.context() as there:
        there.setattr(paths, "folder_id", lambda: "")
        there.setattr(socket, "gethostname", lambda: "elsewhere")
        under_way(store)
        store.create_run(queued, DistillConfig().model_dump(mode="json"), name="Second try")
        store.create_run("ladder", LadderConfig().model_dump(mode="json"), kind="ladder")
    test = app(PAGE)
    assert "First try" not in texts(test)
    assert "The next one waits" not in texts(test)
    assert not test.sidebar.get("page_link"), "the strip is about this machine"
    watched = app(PAGE, run=queued)
    assert "Waits for its turn on elsewhere, where it was set up." in texts(watched)
    assert "The next one waits" not in texts(watched)
    test.button(key="distill.start").click().run()
    assert "Starts in a moment." in texts(test)
    (progress,) = app(PAGE, ladder="ladder").main.get("progress")
    assert progress.proto.text == "Waits for its turn: one job at a time uses elsewhere"
