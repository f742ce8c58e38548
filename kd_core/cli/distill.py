"""``kd distill`` and ``kd resume``: one run, in this terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from kd_core.cli.carry_out import carry_out, signals_to_leave, start
from kd_core.cli.output import as_json, console, print_json, stray_prints_to_stderr
from kd_core.cli.runs import find_run, left_waiting, print_result
from kd_core.errors import ConfigError, KDError, RunError

if TYPE_CHECKING:
    from kd_core.config import DistillConfig


class DistillCommand(click.Command):
    """A command whose flags come from the config, which is imported only when they are needed."""

    def groups(self) -> Mapping[str, Sequence[click.Parameter]]:
        from kd_core.cli.flags import options

        return options()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *(flag for group in self.groups().values() for flag in group)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, Sequence[click.Parameter]] = {
            "options": super().get_params(ctx),
            **self.groups(),
        }
        for title, group in groups.items():
            with formatter.section(title.capitalize()):
                formatter.write_dl([record for p in group if (record := p.get_help_record(ctx))])


class _LadderFlags(DistillCommand):
    """With those that make a ladder of the run: the smallest student that keeps so much."""

    def groups(self) -> Mapping[str, Sequence[click.Parameter]]:
        from kd_core.cli.flags import option
        from kd_core.search.ladder import LadderConfig

        fields = LadderConfig.model_fields
        own = [option(f"ladder.{name}", info) for name, info in fields.items() if name != "distill"]
        return {"smallest student": own, **super().groups()}


@click.command(cls=_LadderFlags)
@click.option("--config", "file", metavar="FILE", help="YAML file with settings; flags override it.")
@click.option("--name", metavar="TEXT", default="", help="What lists call the run.")
@as_json
def distill(file: str | None, name: str, as_json: bool, **settings: str | bool | None) -> None:
    """Teach, record, distill and validate; without flags, on BBC headlines.

    --keep 98 tries one student after the other, until one is shown to keep 98 % of the teacher's accuracy and
    no other could be a smaller file.
    Started by "accelerate launch -m kd_core.cli" or torchrun, all processes do one run.
    """
    if _is_helper():
        _help()
        return None
    from kd_core.cli.flags import read_config

    own = {place: value for place, value in settings.items() if place.startswith("ladder__")}
    run = {place: value for place, value in settings.items() if place not in own}
    config = with_absolute_paths(read_config(file, run))
    check_names(config)
    from kd_core.jobs.store import Store

    if any(value is not None for value in own.values()):
        _check_ladder(settings)
        from kd_core.cli.ladder import climb, show

        return show(climb(Store(), config, own, name), as_json)
    return _show(start(Store(), config, name=name), as_json)


@click.command()
@click.argument("run")
@click.option(
    "--add-seeds",
    type=click.IntRange(1, 100),
    metavar="N",
    help="RUN is done: make a new one with N seeds more, which trains only their students.",
)
@as_json
def resume(run: str, add_seeds: int | None, as_json: bool) -> None:
    """Go on with RUN, which is paused or ended early, or add seeds to one that is done."""
    if _is_helper():
        _help()
        return
    from kd_core.cli.runs import unpause
    from kd_core.jobs.states import ACTIVE, RESUMABLE, JobKind
    from kd_core.jobs.store import Store
    from kd_core.system.process import fate

    store = Store()
    store.interrupt_orphans(fate)
    row = store.run(find_run(run))
    if add_seeds:
        from kd_core.config import DistillConfig

        if row.kind != "distil":
            raise RunError(f"{row.id} has no seeds of its own to add to; only a run has.")
        done = store.report(row.id)
        config = DistillConfig.from_dict(done.config).with_more_seeds(add_seeds)
        _show(start(store, config, name=f"{row.title}, {len(config.training.seeds)} seeds"), as_json)
        return
    if row.status in ACTIVE and store.command(row.id) == "pause":
        unpause(store, row.id, as_json)
        return
    if row.status not in RESUMABLE and not left_waiting(row):
        raise RunError(
            f"Run {row.id} is {row.status}; only one that is paused or ended early can be resumed."
        )
    if not row.is_here:
        raise RunError(
            f"The checkpoints of run {row.id} are in another data folder, on {row.machine}; resume it there."
        )
    if row.kind not in get_args(JobKind):
        raise RunError(
            f"Run {row.id} is a job of the kind {row.kind!r}, of a newer KD Studio; resume it there."
        )
    _show(carry_out(store, row.id), as_json, row.kind)


def _is_helper() -> bool:
    """Whether this is one of the other processes of ``accelerate launch`` or ``torchrun``."""
    return "LOCAL_RANK" in os.environ and int(os.environ.get("RANK", 0)) > 0


def _help() -> None:
    """Do what the main process does, by its settings; it alone has the store and says what comes out."""
    from kd_core import distill
    from kd_core.config import DistillConfig
    from kd_core.system import parallel
    from kd_core.system.control import Control

    control = Control()
    parallel.join()
    for number in (signal.SIGINT, *signals_to_leave()):  # not before, when there is nothing to end well
        signal.signal(number, lambda *_: control.stop())
    try:
        with stray_prints_to_stderr():
            distill(DistillConfig(), control=control)
    except KDError:  # the main process has it too
        click.get_current_context().exit(1)


def _show(report: dict[str, Any], as_json: bool, kind: str = "distil") -> None:
    if as_json:
        print_json(report)
    else:
        print_result(console(sys.stdout), kind, report)


def _check_ladder(typed: Mapping[str, Any]) -> None:
    """Flags that would start a ladder by mistake, or say nothing to it. Raises: ConfigError."""
    asks = ("keep", "students", "within_mb", "within_ms")
    if all(typed.get(f"ladder__{name}") is None for name in asks):
        raise ConfigError("--int8 and --no-int8 go with --keep, which looks for the smallest student")
    if student := typed.get("student__model"):
        raise ConfigError(f"--student {student} says nothing here; give --students {student}")


def check_names(config: DistillConfig) -> None:
    """Of files, models and classes: one that does not exist is no run that failed. Raises: KDError."""
    from kd_core.data import check_places
    from kd_core.models.presets import STUDENTS, TEACHERS

    check_places(config.task)
    for name, presets in ((config.teacher.model, TEACHERS), (config.student.model, STUDENTS)):
        if name not in presets and name != "auto":  # else torch need not be loaded for it
            from kd_core.models.checkpoints import check_name

            check_name(name, presets)
    metric, weights = config.training.metric, config.objective.class_weights
    if metric.startswith("f1:") or weights not in ("none", "balanced"):  # else texts need not be read for it
        from kd_core.data import load_task
        from kd_core.distillation.balance import class_weights, fixed_metric

        task = load_task(config.task)
        labels = task.train["label"][:]
        class_weights(weights, task.labels, labels)
        fixed_metric(metric, task.labels, labels, task.validation["label"][:])


def with_absolute_paths(config: DistillConfig) -> DistillConfig:
    """A stored run may be resumed in another folder."""
    from kd_core.data.bundled import TASKS
    from kd_core.distillation.reproduce import LOCAL
    from kd_core.models.presets import STUDENTS, TEACHERS
    from kd_core.system.paths import expanded

    known = {"task.name": TASKS, "teacher.model": ("auto", *TEACHERS), "student.model": STUDENTS}
    changes: dict[str, Any] = {}
    for section, name in LOCAL:
        place, value = f"{section}.{name}", getattr(getattr(config, section), name)
        if value and value not in known.get(place, ()) and os.path.exists(expanded(value)):
            changes[place] = str(expanded(value).resolve())
    return config.change(changes) if changes else config
