"""``kd search``: which settings to take, by cross-validation, in one terminal or in many."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kd_core.cli.carry_out import carry_out, on_signals, signals_to_leave, start
from kd_core.cli.distill import DistillCommand, check_names, with_absolute_paths
from kd_core.cli.output import as_json, console, stray_prints_to_stderr
from kd_core.cli.progress import Narrator
from kd_core.cli.runs import left_waiting
from kd_core.cli.search_table import show
from kd_core.errors import RunError, Stopped
from kd_core.system.formatting import duration

if TYPE_CHECKING:
    from kd_core.jobs.store import Store
    from kd_core.search import SearchConfig, SearchResult

# What a search tries has flags of its own, and its study is --name.
REPLACED = {"objective.temperature", "objective.alpha"}
OWN = ("temperatures", "alphas", "learning_rates", "students", "divergences", "method", "trials", "folds")


class _SearchCommand(DistillCommand):
    def groups(self) -> Mapping[str, Sequence[click.Parameter]]:
        from kd_core.cli.flags import option
        from kd_core.search.config import SearchConfig

        fields = SearchConfig.model_fields
        own = [option(f"search.{name}", fields[name]) for name in (*OWN, "pruning", "workers")]
        replaced = {place.replace(".", "__") for place in REPLACED}
        others = {
            section: [flag for flag in flags if flag.name not in replaced]
            for section, flags in super().groups().items()
        }
        return {"search": own, **others}


@click.command(cls=_SearchCommand)
@click.option("--config", "file", metavar="FILE", help="YAML file with a run's settings; flags override it.")
@click.option("--name", metavar="TEXT", default="", help="Name of the search; others join it by that name.")
@click.option("--worker", metavar="NAME", help="Help with the search NAME, which began elsewhere.")
@click.option("--resume", metavar="NAME", help="Go on with the search NAME, which ended early.")
@as_json
def search(
    file: str | None,
    name: str,
    worker: str | None,
    resume: str | None,
    as_json: bool,
    **settings: str | bool | None,
) -> None:
    """Try settings by cross-validation on the training data, then run the chosen one.

    Without flags: 4 temperatures x 4 alphas, 3 folds. Several machines may work on one search (--worker) in a
    database that they share (KD_DATABASE_URL).
    """
    from kd_core.jobs.store import Store

    given = {place: value for place, value in settings.items() if value is not None}
    if worker is not None or resume is not None:
        other = "--worker" if worker is not None else "--resume"
        if (worker is not None and resume is not None) or given or file is not None or name:
            raise click.UsageError(f"{other} takes the settings from the search; give no others with it.")
    if worker is not None:
        return show(Store(), _help_with(worker), as_json)
    store = Store()
    if resume is not None:
        report = _resumed(store, resume)
    else:
        config = _read(file, name, given)
        check_names(config.distill)
        _say_how_long(store, config)
        report = start(store, config, kind="search", name=name)
    from kd_core.search import SearchResult

    return show(store, SearchResult.model_validate(report), as_json)


def _say_how_long(store: Store, config: SearchConfig) -> None:
    """Before anything is trained, as the dashboard does. Raises: KDError."""
    from kd_core.data import load_task
    from kd_core.data.spans import augmented
    from kd_core.jobs.estimate import calibrate, past_runs
    from kd_core.jobs.plan import read_vocabulary
    from kd_core.search import outlook

    about = config.distill
    task = augmented(load_task(about.task), about.task)
    vocabulary = read_vocabulary(about.teacher, task, about.task.max_length)
    expected = outlook(config, task, vocabulary, past_runs(store), calibrate)
    console(sys.stderr).print(
        f"Estimate: about {duration(expected.seconds)} for {expected.trainings:,} trainings of students, "
        f"{config.folds} teachers and the run of the chosen setting.",
        soft_wrap=True,
    )


def _read(file: str | None, name: str, given: Mapping[str, Any]) -> SearchConfig:
    """Raises: ConfigError, with the problems of the run's settings and of the search's own."""
    from kd_core.cli.flags import read_config
    from kd_core.config import flag
    from kd_core.errors import ConfigError
    from kd_core.search import SearchConfig

    prefix = "search__"
    own = {place.removeprefix(prefix): v for place, v in given.items() if place.startswith(prefix)}
    run = {place: value for place, value in given.items() if not place.startswith(prefix)}
    problems: list[str] = []
    try:
        distill = with_absolute_paths(read_config(file, run)).model_dump(mode="json")
    except ConfigError as error:
        problems, distill = list(error.problems), {}
    try:
        config = SearchConfig.from_dict({**own, "study": name, "distill": distill})
    except ConfigError as error:
        for problem in error.problems:
            field, space, rest = problem.partition(" ")
            problems.append(f"{'--name' if field == 'study' else flag(f'search.{field}')}{space}{rest}")
    if problems:
        raise ConfigError(*problems)
    return config


def _resumed(store: Store, name: str) -> Any:
    """By the job that began it here; otherwise by a new one with the same settings."""
    from kd_core.jobs.states import RESUMABLE
    from kd_core.search import result
    from kd_core.system.process import fate

    store.interrupt_orphans(fate)
    jobs = [row for row in store.runs(kind="search") if row.study == name]
    for row in jobs:
        if row.status == "done":
            return store.report_json(row.id)
        if row.status not in RESUMABLE and not left_waiting(row):
            raise RunError(
                f"The search {name!r} is {row.status} on {row.machine}; "
                f"kd search --worker {shlex.quote(name)} joins it."
            )
    if here := next((row for row in jobs if row.is_here), None):
        return carry_out(store, here.id)  # also one that ended before its turn, of which Optuna knows nothing
    return start(store, result(name).config, kind="search", name=name)


def _help_with(name: str) -> SearchResult:
    """Work on a search that another process began, without waiting for this machine's turn."""
    from kd_core.distillation.run_folder import new_id
    from kd_core.search import result, run_search
    from kd_core.system import paths
    from kd_core.system.control import Control

    config, control = result(name).config, Control()
    err = console(sys.stderr)
    # Finished trainings are kept, the others are given back.
    stopping = on_signals(dict.fromkeys((signal.SIGINT, *signals_to_leave()), control.stop))
    try:
        with stray_prints_to_stderr(), Narrator(err) as watch, stopping:
            return run_search(config, name, paths.work() / new_id(datetime.now(UTC)), watch, control)
    except Stopped as error:
        raise Stopped(
            f"{error} Others may go on; to help again: kd search --worker {shlex.quote(name)}"
        ) from error
