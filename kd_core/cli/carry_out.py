"""How a command carries out a job: in its turn, with progress on stderr, and a clean end on Ctrl-C."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kd_core.cli.output import console, stray_prints_to_stderr
from kd_core.cli.progress import Narrator
from kd_core.errors import KDError, Stopped

if TYPE_CHECKING:
    from kd_core.jobs.runner import Job
    from kd_core.jobs.states import JobKind
    from kd_core.jobs.store import Store
    from kd_core.system.settings import Settings


def start(store: Store, config: Settings, *, kind: JobKind = "distil", name: str = "") -> Any:
    """Queue a job, carry it out, and return its report as JSON. Raises: KDError (Stopped after Ctrl-C)."""
    from kd_core.distillation.run_folder import new_id
    from kd_core.system.process import owner

    run_id = new_id(datetime.now(UTC))
    store.create_run(run_id, config.model_dump(mode="json"), kind=kind, name=name, owner=owner())
    try:
        return carry_out(store, run_id)
    except KeyboardInterrupt:
        if store.set_status(run_id, "stopped", only=("queued",)):
            raise Stopped(f"Stopped before its turn. To go on: kd resume {run_id}") from None
        raise


def carry_out(store: Store, run_id: str) -> Any:
    """Wait for this machine's turn, then run a queued job; its report as JSON. Raises: KDError."""
    from kd_core.job_kinds import HANDLERS
    from kd_core.jobs.runner import Job
    from kd_core.jobs.states import PARTED, RESUMABLE

    err = console(sys.stderr)
    ended = store.run(run_id).status in RESUMABLE  # one that is cancelled while it waits stays so
    with _turn(store, err, lambda: _check_texts(store, run_id)):
        row = store.run(run_id)
        if ended:
            store.set_status(run_id, "queued", only=RESUMABLE)  # nobody else takes it: the turn is ours
        seeds = row.config["training"]["seeds"] if row.kind == "distil" else ()
        watch = Narrator(err, several_seeds=len(seeds) > 1, parted=row.kind in PARTED)
        job = Job(store, run_id, HANDLERS[row.kind], on_event=watch)
        try:
            with stray_prints_to_stderr(), watch, _signals_stop(job):
                job.run()
        except Stopped as error:
            row, said = store.run(run_id), str(error)
            if row.kind == "search":  # which was at a step of one student
                said = f"Stopped: {row.step:,} of {max(row.steps - 1, 0):,} trainings are kept."
            raise Stopped(f"{said} To go on: kd resume {run_id}") from error
    return store.report_json(run_id)


def _check_texts(store: Store, run_id: str) -> None:
    """That its task can be read: nobody waits for another run for a typing error. Raises: KDError."""
    from kd_core.config import DistillConfig
    from kd_core.data import load_task

    row = store.run(run_id)
    about = row.config.get("distill", row.config)  # a search says what its trainings share
    if "task" not in about:
        return
    try:
        load_task(DistillConfig.from_dict(about).task)
    except KDError as error:
        store.set_status(run_id, "failed", str(error), only=("queued",))
        raise


@contextmanager
def _turn(store: Store, err: Console, before_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the machine's lock, and say whom it waits for."""
    from filelock import Timeout

    from kd_core.jobs.states import ACTIVE
    from kd_core.system.process import machine_lock

    lock = machine_lock()
    try:
        lock.acquire(blocking=False)
    except Timeout:
        before_waiting()
        others = [row for row in store.runs(status=ACTIVE) if row.machine == socket.gethostname()]
        whom, way = "another run", ""
        if others:
            other = others[-1]
            whom = f"run {other.id} ({other.name or other.task}), which is {other.status}"
            if other.status == "paused":
                way = f" kd resume {other.id} lets it go on, kd stop {other.id} ends it."
        err.print(f"Waiting for {whom}; one runs at a time on a machine.{way}", soft_wrap=True)
        with on_signals(dict.fromkeys(signals_to_leave(), _interrupt)):  # else it would stay queued for ever
            lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()


def _interrupt() -> None:
    raise KeyboardInterrupt


def _signals_stop(job: Job) -> AbstractContextManager[None]:
    """The first Ctrl-C asks the run to stop cleanly, the second interrupts it where it is.

    One that somebody ends, or whose terminal is closed, goes on from there when it is resumed.
    """

    def stop() -> None:
        job.control.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return on_signals({signal.SIGINT: stop} | dict.fromkeys(signals_to_leave(), job.leave))


@contextmanager
def on_signals(acts: Mapping[signal.Signals, Callable[[], object]]) -> Iterator[None]:
    """Meanwhile each of these signals has that effect, and no other."""
    before = {number: signal.getsignal(number) for number in acts}
    for number, act in acts.items():
        signal.signal(number, lambda *_, act=act: act())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signals_to_leave() -> list[signal.Signals]:
    """SIGTERM, and what comes where the terminal is closed, unless it is ignored, as by nohup."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hangup]
