"""What a run reports, and how it is paused and stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import pytest

from kd_core.distillation.events import (
    STAGES,
    Evaluated,
    Event,
    Stage,
    StageFinished,
    TrainingStarted,
    ignore,
)
from kd_core.errors import KDError, Stopped
from kd_core.system.control import Control

LONG = 30  # seconds: only a test that fails waits for so long
SHORT = 0.05  # a thread that is not held would have passed by then


class Worker(threading.Thread):
    """Calls ``act`` once and keeps what it raised."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self.passed = threading.Event()
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._act()
        except KDError as error:
            self.error = error
        self.passed.set()


@pytest.mark.parametrize("method", ["wait", "check"])
def test_a_pause_holds_until_resumed(method: str) -> None:
    control = Control()
    control.pause()
    assert control.paused
    worker = Worker(getattr(control, method))
    assert not worker.passed.wait(SHORT)
    control.resume()
    assert worker.passed.wait(LONG)
    assert worker.error is None
    assert not control.paused


def test_a_stop_wakes_a_paused_run() -> None:
    control = Control()
    control.pause()
    worker = Worker(control.check)
    assert not worker.passed.wait(SHORT)
    control.stop()
    assert worker.passed.wait(LONG)
    assert isinstance(worker.error, Stopped)
    assert not control.paused


@pytest.mark.parametrize("after", ["nothing", "pause", "resume", "stop"])
def test_a_stop_is_final(after: str) -> None:
    control = Control()
    control.stop()
    if after != "nothing":
        getattr(control, after)()
    worker = Worker(control.check)
    assert worker.passed.wait(LONG), "a pause after the stop must not hold it up"
    assert str(worker.error) == "Stopped on request."
    assert control.stopping


def test_check_raises_each_time_once_stopped() -> None:
    control = Control()
    control.stop()
    for _ in range(2):
        with pytest.raises(Stopped, match=r"^Stopped on request\.$"):
            control.check()
    control.wait()  # waits for a pause alone


def test_a_new_control_lets_pass() -> None:
    control = Control()
    control.check()
    control.wait()
    control.resume()
    assert (control.paused, control.stopping) == (False, False)


def test_two_pauses_need_one_resume() -> None:
    control = Control()
    control.pause()
    control.pause()
    control.resume()
    assert not control.paused


@pytest.mark.parametrize("kind", get_args(Event))
def test_events_are_frozen_and_equal_by_value(kind: type[Any]) -> None:
    values = {field.name: field.name for field in fields(kind)}
    event = kind(**values)
    assert event == kind(**values)
    for name in values:
        with pytest.raises(FrozenInstanceError):
            setattr(event, name, 1)


def test_nothing_is_cached_unless_said() -> None:
    assert StageFinished("teach", 1.0).cached is False
    assert TrainingStarted("teacher", seed=0, steps=10).cached is False


def test_stages_are_in_the_order_of_a_run() -> None:
    assert STAGES == get_args(Stage) == ("teach", "record", "distil", "validate")


def test_ignore_takes_any_event() -> None:
    assert ignore(Evaluated("student", seed=0, step=1, accuracy=0.5, loss=1.0)) is None
