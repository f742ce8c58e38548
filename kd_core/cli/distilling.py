"""``kd distill`` and ``kd resume``: one run, in this terminal."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kd_core.cli.history import find_run
from kd_core.cli.narrator import Narrator
from kd_core.cli.output import as_json, console, print_json, print_report, stray_prints_to_stderr
from kd_core.errors import RunError, Stopped

if TYPE_CHECKING:
    from kd_core.config import DistillConfig
    from kd_core.jobs import Job
    from kd_core.store import Store


class _DistillCommand(click.Command):
    """A command whose flags come from the config, which is imported only when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from kd_core.flags import options

        return [*super().get_params(ctx), *(option for group in options().values() for option in group)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kd_core.flags import options

        groups: dict[str, Sequence[click.Parameter]] = {"options": super().get_params(ctx), **options()}
        for title, group in groups.items():
            with formatter.section(title.capitalize()):
                formatter.write_dl([record for p in group if (record := p.get_help_record(ctx))])


@click.command(cls=_DistillCommand)
@click.option("--config", "file", metavar="FILE", help="YAML file with settings; flags override it.")
@click.option("--name", metavar="TEXT", default="", help="What lists call the run.")
@as_json
def distill(file: str | None, name: str, as_json: bool, **settings: str | bool | None) -> None:
    """Teach, record, distil and validate; without flags, the demo."""
    from kd_core.flags import read_config

    config = _with_absolute_paths(read_config(file, settings))
    from kd_core.jobs import owner
    from kd_core.runs import new_id
    from kd_core.store import Store

    store, run_id = Store(), new_id(datetime.now(UTC))
    store.create_run(run_id, config.model_dump(mode="json"), name=name, owner=owner())
    try:
        _carry_out(store, run_id, as_json)
    except KeyboardInterrupt:
        store.set_status(run_id, "stopped", only=("queued",))  # it was still waiting for its turn
        raise


@click.command()
@click.argument("run")
@as_json
def resume(run: str, as_json: bool) -> None:
    """Go on with RUN, which ended early, from its last checkpoint."""
    from kd_core.jobs import RESUMABLE, alive
    from kd_core.store import Store

    store = Store()
    store.interrupt_orphans(alive)
    row = store.run(find_run(run))
    abandoned = row.status == "queued" and not (row.owner and alive(row.owner))
    if row.status not in RESUMABLE and not abandoned:
        raise RunError(f"Run {row.id} is {row.status}; only one that ended early can be resumed.")
    if row.machine != socket.gethostname():
        raise RunError(f"The checkpoints of run {row.id} are on {row.machine}; resume it there.")
    _carry_out(store, row.id, as_json)


def _carry_out(store: Store, run_id: str, as_json: bool) -> None:
    """Wait for this machine's turn, then run the job and print its report."""
    from kd_core.handlers import HANDLERS
    from kd_core.jobs import RESUMABLE, Job

    err = console(sys.stderr)
    with _turn(store, err):
        row = store.run(run_id)
        store.set_status(run_id, "queued", only=RESUMABLE)  # nobody else takes it: the turn is ours
        watch = Narrator(err, several_seeds=len(row.config["training"]["seeds"]) > 1)
        job = Job(store, run_id, HANDLERS[row.kind], on_event=watch)
        try:
            with stray_prints_to_stderr(), watch, _signals_stop(job):
                job.run()
        except Stopped as error:
            raise Stopped(f"{error} To go on: kd resume {run_id}") from error
    report = store.report(run_id)
    if as_json:
        print_json(report)
    else:
        print_report(console(sys.stdout), report)


@contextmanager
def _turn(store: Store, err: Console) -> Iterator[None]:
    """Hold the machine's lock, and say whom it waits for."""
    from filelock import Timeout

    from kd_core.jobs import UNDER_WAY, machine_lock

    lock = machine_lock()
    try:
        lock.acquire(blocking=False)
    except Timeout:
        others = [row for row in store.runs(status=UNDER_WAY) if row.machine == socket.gethostname()]
        whom = "another run"
        if others:
            other = others[-1]
            whom = f"run {other.id} ({other.name or other.task}), which is {other.status}"
        err.print(f"Waiting for {whom}; one runs at a time on a machine.", soft_wrap=True)
        lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _signals_stop(job: Job) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop cleanly, the second interrupts it where it is."""

    def stop(signum: int, frame: FrameType | None) -> None:
        job.control.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def leave(signum: int, frame: FrameType | None) -> None:
        job.leave()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _with_absolute_paths(config: DistillConfig) -> DistillConfig:
    """A stored run may be resumed in another folder."""
    from kd_core.data.bundled import TASKS
    from kd_core.models.presets import STUDENTS, TEACHERS

    known = {"task.name": TASKS, "teacher.model": TEACHERS, "student.model": STUDENTS}
    changes: dict[str, Any] = {}
    for place in ("task.name", "task.test_file", "task.transfer_file", "teacher.model", "student.model"):
        section, _, name = place.partition(".")
        value = getattr(getattr(config, section), name)
        if value and value not in known.get(place, ()) and os.path.exists(value):
            changes[place] = str(Path(value).resolve())
    return config.change(changes) if changes else config
