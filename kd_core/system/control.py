"""How work is told to pause or stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from kd_core.errors import Stopped

Fence = Callable[[], AbstractContextManager[None]]


class Control:
    """Pause, resume and stop, from any thread.

    The run looks at it once a step (once a batch while evaluating). What it leaves on disk it writes within
    ``fence()``, which raises RunError where the run is another process's by now.
    """

    def __init__(self, fence: Fence = nullcontext) -> None:
        self.fence = fence
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._paused_at: float | None = None
        self._rested = 0.0  # seconds of pauses that are over
        self._turning = threading.Lock()

    def pause(self) -> None:
        with self._turning:
            self._paused_at = self._paused_at or time.monotonic()  # first, for who sees that it is paused
            self._go.clear()
        if self.stopping:  # looked at after the pause, so that it cannot hold up a stop that comes between
            self.resume()

    def resume(self) -> None:
        with self._turning:
            if self._paused_at is not None:
                self._rested += time.monotonic() - self._paused_at
                self._paused_at = None
            self._go.set()

    def stop(self) -> None:
        self._stop.set()
        self.resume()  # a paused run has to wake up to stop

    def clock(self) -> float:
        """Monotonic seconds, but for those in which it was paused."""
        with self._turning:
            return (self._paused_at or time.monotonic()) - self._rested

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def wait(self) -> None:
        """Block while paused."""
        self._go.wait()

    def check(self) -> None:
        """Block while paused; raise ``Stopped`` once ``stop`` was called."""
        self.wait()
        if self.stopping:
            raise Stopped("Stopped on request.")


def insist(
    write: Callable[[], object],
    away: type[Exception] | tuple[type[Exception], ...],
    patience: float,
    every: float,
) -> None:
    """``write()``, again ``every`` few seconds while it raises ``away``, until ``patience`` is at an end.

    What took minutes must not get lost because the database is away for a moment.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            write()
            return
        except away:
            if time.monotonic() > deadline:
                raise
            time.sleep(every)
