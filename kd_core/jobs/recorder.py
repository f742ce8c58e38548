"""Carries a run's events from the thread that trains into the store, in batches on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kd_core.distillation.events import Estimated, Event, Progress, StageStarted, Step, TrainingStarted
from kd_core.errors import RunError, StoreError
from kd_core.jobs.progress import CountedProgress, RunProgress, TimeLeft
from kd_core.system.formatting import counted

if TYPE_CHECKING:
    from kd_core.jobs.store import Store

EVERY = 0.5  # seconds between two batches
log = logging.getLogger(__name__)


class Recorder:
    """Call it with each event; that only appends to a queue. ``close`` writes what is left.

    While the database is locked or away, events are kept and written later. Those of a run that was deleted
    meanwhile are dropped.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        owner: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``owner``: the process whose run it is; once it is another's, nothing is written any more.

        ``clock`` has the seconds by which the time left is told, which does not go on in a pause.
        """
        self._store, self._run_id, self._owner, self._clock = store, run_id, owner, clock
        self._progress: RunProgress | CountedProgress | None = None
        self._time_left, self._says_time = TimeLeft(), False
        self._inbox: deque[tuple[datetime, float, Event]] = deque()
        self._unwritten: list[tuple[datetime, Event]] = []
        self._live: dict[str, Any] = {}
        self._closing = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._work, name=f"kd-recorder-{run_id}", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        self._inbox.append((datetime.now(UTC), self._clock(), event))

    def close(self, timeout: float = 60.0) -> None:
        """Write the rest, however often that takes, for ``timeout`` seconds at most."""
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing.wait(EVERY):
            self._flush()
        while not self._flush():
            if time.monotonic() > self._deadline:
                lost = len(self._unwritten) + len(self._inbox)
                log.error("%s of run %s could not be stored.", counted(lost, "event"), self._run_id)
                return
            time.sleep(EVERY)

    def _flush(self) -> bool:
        """Whether nothing is left to be written."""
        try:
            # Read on this thread, after a moment: whoever queued the run may still be writing its estimate.
            progress = self._progress = self._progress or _progress(self._store, self._run_id)
            while self._inbox:
                at, now, event = self._inbox.popleft()
                self._unwritten.append((at, event))
                self._live |= _position(event)
                try:
                    progress.feed(event, now)
                except Exception:  # a mistake of ours: the time left is not worth the run's curves
                    log.exception("Of run %s, this tells nothing of its progress: %s", self._run_id, event)
            row = progress.row
            left = self._time_left.check(row["seconds_left"], progress.work_left, self._clock())
            row["seconds_left"] = left
            says_time = row["seconds_left"] is not None
            # A time that does not come true is taken back, also where no event comes.
            if self._unwritten or (self._says_time and not says_time):
                self._store.write(self._run_id, self._unwritten, self._live | row, owner=self._owner)
                self._says_time = says_time
        except RunError:
            log.info("Run %s was deleted, or is another process's; its events are dropped.", self._run_id)
            self._inbox.clear()
        except StoreError as error:
            log.warning("Events of run %s wait to be stored. %s", self._run_id, error)
            return False
        except Exception:  # as above, where they cannot be written: what comes later is not lost with them
            lost = counted(len(self._unwritten), "event")
            log.exception("%s of run %s cannot be stored.", lost, self._run_id)
        self._unwritten = []
        return True


def _progress(store: Store, run_id: str) -> RunProgress | CountedProgress:
    """That of a resumed run goes on from where it was."""
    row = store.run(run_id)
    if row.kind != "distil":
        return CountedProgress()
    estimates = [entry.event for entry in store.events(run_id) if isinstance(entry.event, Estimated)]
    seconds = estimates[-1].seconds if estimates else None
    return RunProgress(store.progress_before(run_id), seconds)


def _position(event: Event) -> dict[str, Any]:
    """What the event says about where the run is."""
    match event:
        case StageStarted(stage):
            return {"stage": stage, "who": None, "step": 0, "steps": 0, "label": None}
        case TrainingStarted(who, seed, steps, cached):
            step = steps if cached else 0
            return {"who": who, "seed": seed, "step": step, "steps": steps, "label": None}
        case Step(who, seed, step, steps):
            return {"who": who, "seed": seed, "step": step, "steps": steps, "label": None}
        case Progress(stage, label, done, total):
            return {"stage": stage, "who": None, "step": done, "steps": total, "label": label}
    return {}
