"""The handlers of all kinds of jobs: illegal configs, progress of a part, pauses, and closed databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from kd_core import job_kinds
from kd_core.config import DistillConfig
from kd_core.distillation.events import (
    Estimated,
    Event,
    Progress,
    Resolved,
    StageStarted,
    Step,
    TrainingStarted,
    ignore,
)
from kd_core.distillation.roles import CORE_ONLY, Role
from kd_core.errors import ConfigError, Stopped
from kd_core.job_kinds import HANDLERS, _as_part
from kd_core.jobs.store import Store
from kd_core.learn import lab_training
from kd_core.learn.lab_results import LabConfig
from kd_core.system.control import Control
from tests import SAMPLES


@pytest.mark.parametrize("kind", HANDLERS)
def test_an_illegal_stored_config(kind: str) -> None:
    row = cast(Any, SimpleNamespace(id="20260131-143000-a1b2", config={"run": "x", "more": 1}))
    with pytest.raises(ConfigError, match=r"\bmore is not a setting; choose from "):
        HANDLERS[kind](row, ignore, Control())


def test_a_stopped_lab_closes_its_database(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Stopped("Somebody has stopped it.")

    closed, close = [], Store.close
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setattr(lab_training, "run_lab", stop)
    monkeypatch.setattr(Store, "close", lambda store: closed.append(close(store)))
    row = cast(Any, SimpleNamespace(id="a-lab", config=LabConfig().model_dump(mode="json"), owner=None))
    with pytest.raises(Stopped):
        HANDLERS["lab"](row, ignore, Control())
    assert len(closed) == 1


def test_progress_of_a_part_follows_time_and_never_decreases() -> None:
    """The teacher takes 60 of 100 seconds, so at its end the second of two parts is 60 % done."""
    told: list[Event] = []
    part = _as_part(told.append, "tiny", 0.5, 0.5)
    measured = yaml.safe_load((SAMPLES / "measured.yaml").read_text("utf-8"))["the suite of docs/quality.md"]
    config = DistillConfig.from_dict(measured["config"]).change({**CORE_ONLY, "training.seeds": [0, 1]})
    seconds = {"teach": 60.0, "record": 10.0, "distil": 20.0, "validate": 10.0}
    part(Estimated(seconds, seconds))
    rows = {"train": 320, "validation": 100, "test": 200, "transfer": 0}
    part(Resolved(config.model_dump(mode="json"), 5, rows, dict.fromkeys(rows, 20.0)))
    part(StageStarted("teach"))
    part(Progress("teach", "texts read for the new head", 320, 320))
    part(TrainingStarted("teacher", 0, 10))
    for tenth in range(11):
        part(step("teacher", 0, tenth / 10))
    shares = [event.done / event.total for event in told if isinstance(event, Progress)]
    assert shares[:2] == [0.5, 0.5], "preparation is not training"
    assert shares[-1] == pytest.approx(0.5 + 0.6 / 2, abs=0.05)
    for stage in ("record", "distil"):
        part(StageStarted(stage))
    for who, seed in (("alone", 0), ("student", 0), ("student", 1), ("alone", 1)):
        part(TrainingStarted(cast(Role, who), seed, 10))
        for tenth in range(11):
            part(step(cast(Role, who), seed, tenth / 10))
    part(StageStarted("validate"))
    part(Progress("validate", "scoring the student alone", 0, 5))
    shares = [event.done / event.total for event in told if isinstance(event, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] < 1


def step(who: Role, seed: int, share: float) -> Step:
    return Step(who, seed, round(10 * share), 10, 1.0, 1.0, 0.0, 0.0, 1e-3, 100.0)


def test_a_pause_does_not_count_as_training_time(kd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, hand, took = Control(), SimpleNamespace(now=5.0), []
    clock = SimpleNamespace(monotonic=lambda: hand.now, sleep=time.sleep)
    monkeypatch.setattr("kd_core.system.control.time", clock)
    monkeypatch.setattr("kd_core.jobs.runner.LOOK_EVERY", 0.01)
    looks, command = threading.Semaphore(0), Store.command

    def looked(self: Store, run_id: str) -> str:
        looks.release()
        return command(self, run_id)

    monkeypatch.setattr(Store, "command", looked)

    def an_hour_later(inner: Control) -> None:
        for _ in range(1_000):
            if inner.paused:
                break
            time.sleep(0.01)
        while looks.acquire(blocking=False):
            pass
        for _ in range(3):  # no command arrives for this run
            looks.acquire()
        hand.now += 3600.0
        outer.resume()

    def train(row: Any, on_event: Callable[[Event], None], control: Control) -> None:
        began = control.clock()
        outer.pause()
        waits = threading.Thread(target=an_hour_later, args=[control])
        waits.start()
        on_event(StageStarted("teach"))
        waits.join()
        took.append(control.clock() - began)

    monkeypatch.setattr(job_kinds, "distil_handler", train)
    with closing(Store()) as store:
        run_id = "20260131-143000-a1b2"
        store.create_run(run_id, DistillConfig().model_dump(mode="json"))
        job_kinds._run_inside(store, run_id, ignore, outer)
        assert store.run(run_id).status == "done"
    assert took == [0.0]
