"""Tests of the control that pauses and stops a run."""

from __future__ import annotations

import threading

import pytest

from kd_core.errors import KDError, Stopped
from kd_core.system.control import Control

LONG = 30  # seconds that only a failing test waits for
SHORT = 0.05  # a thread that is not held would have passed by then


class Worker(threading.Thread):
    """Call one method of a control, and keep what it raised."""

    def __init__(self, control: Control, method: str) -> None:
        super().__init__(daemon=True)
        self._act = getattr(control, method)
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
@pytest.mark.parametrize(
    ("end", "error"), [("resume", "None"), ("stop", "Stopped on request.")], ids=["resume", "stop"]
)
def test_pause_holds_until_it_ends(method: str, end: str, error: str) -> None:
    control = Control()
    control.pause()
    control.pause()
    assert control.paused
    worker = Worker(control, method)
    assert not worker.passed.wait(SHORT)
    getattr(control, end)()
    assert worker.passed.wait(LONG)
    assert str(worker.error) == (error if method == "check" else "None")
    assert not control.paused


@pytest.mark.parametrize("after", ["pause", "resume", "stop", "check"])
def test_stop_is_final(after: str) -> None:
    control = Control()
    control.check()
    assert (control.paused, control.stopping) == (False, False)
    control.stop()
    Worker(control, after).passed.wait(LONG)
    worker = Worker(control, "check")
    assert worker.passed.wait(LONG), "a pause after the stop must not hold it up"
    assert isinstance(worker.error, Stopped)
    assert control.stopping
    control.wait()
