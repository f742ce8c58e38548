"""One run at a time on a machine: the dashboard's background thread, and what ``kd distill`` shares with it.

Knows the store, events and errors, not models: what a kind of run does comes in as its handler.
"""

from __future__ import annotations

import atexit
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from kd_core.distillation.events import Event, Failed, OnEvent, ignore
from kd_core.errors import KDError, RunError, Stopped, StoreError
from kd_core.jobs.deletion import settle
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.runner_state import RunnerState
from kd_core.jobs.states import ACTIVE, PENDING, RESUMABLE, Command, JobKind, Status
from kd_core.system import paths
from kd_core.system.atomic import full_disk
from kd_core.system.control import Control, insist
from kd_core.system.process import (
    alive,
    calm_torch,
    fate,
    give_memory_back,
    machine_lock,
    owner,
    yield_to_pages,
)

if TYPE_CHECKING:
    from kd_core.distillation.report import Report
    from kd_core.jobs.store import RunRow, Store
    from kd_core.system.settings import Settings

# Carries out a run on the thread that calls it; what it returns is kept as the run's report.
Handler = Callable[["RunRow", OnEvent, Control], "Report | Mapping[str, Any] | None"]

LOG = "log.txt"
LOOK_EVERY = 1.0  # seconds between looks at the queue, and at what other processes ask of a run
BEAT_EVERY = 5.0
SWEEP_EVERY = 15.0  # between looks for runs whose process went away
LONGEST_STEP = 60.0  # waited for at exit, with its checkpoint
LONGEST_OUTAGE = 60.0  # of the database, when a run ends
MOST_QUEUED = 100  # runs that wait: more is a mistake, or somebody who means no good
LONGEST_PAUSE = 60.0  # after errors, before the queue is looked at again


class Job:
    """One queued run, carried out by this process. The caller holds the machine's lock."""

    def __init__(self, store: Store, run_id: str, handler: Handler, on_event: OnEvent = ignore) -> None:
        self.run_id = run_id
        self.control = Control(self._fence)
        self._store, self._handler, self._on_event = store, handler, on_event
        self._owner = owner()
        self._leaving = False
        self._pausing = False  # on a command; a job that this run is a part of may have paused it, too
        self._look = threading.Event()
        self._over = threading.Event()

    def look(self) -> None:
        """Look at once: there is a new command in the store."""
        self._look.set()

    def leave(self) -> None:
        """Stop because the process ends: the run can be resumed, and nobody asked for its end."""
        self._leaving = True
        self.control.stop()

    def run(self) -> None:
        """Claim the run, carry it out, and record how it ended; then raise what its handler raised.

        Raises: RunError, when somebody else has claimed or cancelled it.
        """
        row = self._store.claim(self._owner, self.run_id)
        if row is None:
            raise RunError(f"Run {self.run_id} is no longer queued; somebody else started or cancelled it.")
        status: Status = "interrupted"
        reason: str | None = None
        recorder = Recorder(self._store, self.run_id, self._owner, self.control.clock)

        def forward(event: Event) -> None:
            recorder(event)
            self._on_event(event)

        try:
            with self._heartbeat():
                report = self._handler(row, forward, self.control)
            if report is not None:
                content = report if isinstance(report, Mapping) else report.to_dict()
                self._insist(lambda: self._store.save_report(self.run_id, content, owner=self._owner))
            status = "done"
        except Stopped:
            status = "interrupted" if self._leaving else "stopped"
            raise
        except KDError as error:
            status, reason = "failed", str(error)
            raise
        except Exception as error:
            status, reason = "failed", self._unexpected(error)
            raise
        finally:  # a KeyboardInterrupt is neither: the run stays interrupted
            if reason is not None:
                recorder(Failed(reason))
            recorder.close(LONGEST_OUTAGE)
            if status == "done":
                self._keep()
            self._insist(lambda: self._store.set_status(self.run_id, status, reason, owner=self._owner))

    @contextmanager
    def _fence(self) -> Iterator[None]:
        """Meanwhile nobody takes the run. Raises: RunError, where somebody has."""
        with ExitStack() as held:
            with suppress(StoreError):  # while the database is away, nobody can take it either
                held.enter_context(self._store.held(self.run_id, self._owner))
            yield

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Meanwhile a thread shows that the process is alive, and obeys commands of other processes."""
        thread = threading.Thread(target=self._listen, name=f"kd-listen-{self.run_id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._look.set()
            thread.join()

    def _listen(self) -> None:
        next_beat = 0.0
        while not self._over.is_set():
            with suppress(KDError):  # the database may be away for a while; the run goes on
                self._obey(self._store.command(self.run_id))
                if time.monotonic() >= next_beat:
                    if not self._store.heartbeat(self.run_id, self._owner):
                        self.leave()  # somebody took it for dead: two must not write into one folder
                    next_beat = time.monotonic() + BEAT_EVERY
            self._look.wait(LOOK_EVERY)
            self._look.clear()

    def _obey(self, command: str) -> None:
        if self.control.stopping:
            return
        if command == "stop":
            self.control.stop()
            return
        pause = command == "pause"
        due = not self.control.paused if pause else self._pausing
        if due:
            # The status first: where it cannot be written, the next look tries again.
            status: Status = "paused" if pause else "running"
            if not self._store.set_status(self.run_id, status, only=ACTIVE, owner=self._owner):
                return
            (self.control.pause if pause else self.control.resume)()
            self._pausing = pause

    def _keep(self) -> None:
        """In the folder too. While the run is still under way, so that nobody deletes it meanwhile."""
        from kd_core.jobs.kept import KeptJob, keep_curves, keep_job  # scipy comes with it

        with suppress(Exception):  # it is done all the same
            row, store = self._store.run(self.run_id), self._store
            if row.kind == "distil":
                keep_curves(row.id, store.curve(row.id), store.evaluations(row.id), self._fence)
            else:
                job = KeptJob(row.kind, row.created, row.config, store.report_json(row.id))
                keep_job(row.id, job, row.name, row.tags, self._fence)

    def _insist(self, write: Callable[[], object]) -> None:
        insist(write, StoreError, LONGEST_OUTAGE, LOOK_EVERY)

    def _unexpected(self, error: Exception) -> str:
        """A sentence for the row; the traceback goes into the run's log."""
        sentence = _plain(error)
        with suppress(OSError, RunError), self._fence():
            log = paths.work() / self.run_id / LOG
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            sentence += f" (details in {log})"
        return sentence


def _plain(error: Exception) -> str:
    """A sentence for what each library says in its own way."""
    text = str(error).lower()
    if full := full_disk(error, paths.home()):
        return f"{full}. Free some space, then resume."
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        return f"Out of memory ({error}). Choose a smaller model or batch size, then start again."
    return f"{type(error).__name__}: {error}"


class Runner:
    """Takes the queued runs of this machine, one after the other, on a background thread. One per process."""

    def __init__(
        self, store: Store, handlers: Mapping[JobKind, Handler], *, prepare: Callable[[], None] = lambda: None
    ) -> None:
        """``prepare`` is called once, before the first run: the place to import what takes seconds."""
        self._store, self._handlers, self._prepare = store, handlers, prepare
        self._job: Job | None = None
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._tokens: dict[str | None, str] = {}
        self._submitting = threading.Lock()
        self.state = RunnerState()
        self._thread = threading.Thread(target=self._work, name="kd-runner", daemon=True)

    def start(self) -> None:
        self.state.set("")
        # A daemon inside torch when the interpreter ends aborts the process; one that is none would hold
        # SIGTERM up until its run is done. So it is a daemon, and asked to leave in time.
        atexit.register(self.close)
        self._thread.start()

    def close(self) -> None:
        """Leave the current run, to be resumed later, and end the thread."""
        self._closing.set()
        self._wake.set()
        if job := self._job:
            job.leave()
        if self._thread.is_alive():
            self._thread.join(LONGEST_STEP)
        self.state.clear()
        atexit.unregister(self.close)

    def submit(
        self, config: Settings, name: str = "", *, kind: JobKind = "distil", token: str | None = None
    ) -> str:
        """Queue a run, or a job of another ``kind`` that there is a handler for; its id.

        A ``token`` that was seen before (a double click) gets the same one again, unless that one came to
        nothing or is gone.
        Raises: RunError, where too many wait already on this machine.
        """
        from kd_core.distillation.run_folder import new_id

        with self._submitting:  # two clicks arrive on two threads
            if (before := self._tokens.get(token)) and self._stands(before):
                return before
            waiting = len(self._store.runs(status=("queued",), here=True))
            if waiting >= MOST_QUEUED:
                raise RunError(
                    f"{waiting:,} runs wait in the queue, and at most {MOST_QUEUED:,} may. Wait, or "
                    "delete some of them."
                )
            run_id = new_id(datetime.now(UTC))
            self._store.create_run(run_id, config.model_dump(mode="json"), kind=kind, name=name)
            if token is not None:
                self._tokens[token] = run_id
        self._wake.set()
        return run_id

    def _stands(self, run_id: str) -> bool:
        """Whether it is there, and done or on its way."""
        with suppress(RunError):
            return self._store.run(run_id).status in (*PENDING, "done")
        return False

    def pause(self, run_id: str) -> None:
        """Raises: RunError, where the run is not under way."""
        self._command(run_id, "pause")

    def resume(self, run_id: str) -> None:
        """Go on with a paused run; one that ended early is queued, and starts from its last checkpoint.

        Raises: RunError, where the run is done or waits already.
        """
        if self._store.run(run_id).status in ACTIVE:
            self._command(run_id, "run")
        elif self._store.set_status(run_id, "queued", only=RESUMABLE):
            self._wake.set()
        else:
            raise _cannot("resume", self._store.run(run_id))

    def stop(self, run_id: str) -> None:
        """Stop a run after its current step, with a checkpoint; one that waits leaves the queue.

        Raises: RunError, where it has ended already.
        """
        if not self._store.set_status(run_id, "stopped", only=("queued",)):
            self._command(run_id, "stop")

    def cancel(self, run_id: str) -> None:
        """Take a run out of the queue. Raises: RunError, where it does not wait there."""
        if not self._store.set_status(run_id, "stopped", only=("queued",)):
            raise _cannot("cancel", self._store.run(run_id))

    def _command(self, run_id: str, command: Command) -> None:
        row = self._store.run(run_id)
        if row.status not in ACTIVE:
            raise _cannot({"run": "resume"}.get(command, command), row)
        if not self._store.set_command(run_id, command):
            raise RunError(f"Run {run_id} is about to stop, as somebody asked. Resume it when it has.")
        if (job := self._job) and job.run_id == run_id:
            job.look()

    # The thread

    def _work(self) -> None:
        calm_torch()
        # At the priority of pages, which wait for it too: beside busy programs, this thread's gets nothing.
        preparing = threading.Thread(target=self._prepare_first, name="kd-prepare", daemon=True)
        preparing.start()
        with suppress(OSError):
            yield_to_pages()
        preparing.join()
        next_sweep, pause = 0.0, LOOK_EVERY
        while not self._closing.is_set():
            try:
                if time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + SWEEP_EVERY
                    self._sweep()
                took = self._take()
                self.state.set("")
                pause = LOOK_EVERY
                if took:
                    continue
            except Exception as error:  # noqa: BLE001 - the thread survives whatever is away for a while
                self.state.set(str(error) if isinstance(error, KDError) else _plain(error))
                pause = min(2 * pause, LONGEST_PAUSE)
            self._wake.wait(pause)
            self._wake.clear()

    def _prepare_first(self) -> None:
        with suppress(Exception):  # a run will say what is wrong, where somebody reads it
            self._prepare()

    def _sweep(self) -> None:
        """Here nothing runs now: a row that says so has lost its end to a database that was away."""
        me = owner()
        self._store.interrupt_orphans(lambda owner: False if owner == me else fate(owner))
        settle(self._store)

    def _take(self) -> bool:
        """Carry out the oldest run that waits; False where there is none, or the machine is busy."""
        waiting = [row for row in self._store.runs(status=("queued",)) if self._may_take(row)]
        if not waiting:
            return False
        try:
            with machine_lock().acquire(blocking=False):
                row = waiting[-1]
                self._job = Job(self._store, row.id, self._handlers[row.kind])
                if self._closing.is_set():  # which may have come before there was a job to leave
                    return False
                try:
                    self._job.run()
                except StoreError:  # which no row may say: nothing could be written
                    raise
                except Exception:  # noqa: BLE001 - its row says what went wrong
                    pass
        except Timeout:
            return False
        finally:
            self._job = None
            give_memory_back()
        return True

    def _may_take(self, row: RunRow) -> bool:
        """A run with an owner waits for that process: ``kd distill`` in another terminal."""
        return row.is_here and row.kind in self._handlers and not (row.owner and alive(row.owner))


def _cannot(verb: str, row: RunRow) -> RunError:
    return RunError(f"Cannot {verb} run {row.id}: it is {row.status}.")
