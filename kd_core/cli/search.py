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
from kd_core.cli.output import as_json, console, print_json, stray_prints_to_stderr, table
from kd_core.cli.progress import Narrator
from kd_core.cli.runs import left_waiting
from kd_core.errors import RunError, Stopped
from kd_core.system.formatting import capitalised, percent, signed

if TYPE_CHECKING:
    from kd_core.jobs.store import Store
    from kd_core.search import Cell, SearchConfig, SearchResult

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
        report = start(store, config, kind="search", name=name)
    from kd_core.search import SearchResult

    return show(store, SearchResult.model_validate(report), as_json)


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
    from kd_core.system.process import alive

    store.interrupt_orphans(alive)
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
        raise Stopped(f"{error} Others may go on; to help again: kd search --worker {name!r}") from error


def show(store: Store, result: SearchResult, as_json: bool) -> None:
    if as_json:
        return print_json(result.model_dump(mode="json"))
    out = console(sys.stdout)
    varied = [name for name, options in result.config.choices.items() if len(options) > 1]
    named = [name for name in HEADINGS if name in varied or name in ("temperature", "alpha")]
    of_alone = [name for name in ("student", "learning_rate") if name in varied]
    from kd_core.distillation.roles import metric_name

    measure = capitalised(metric_name(result.metric))
    headings = (*(HEADINGS[name] for name in varied), measure, "Best minus this", "")
    done = sorted(result.cells, key=lambda cell: -(cell.mean or 0.0))
    out.print(
        f"\nSearch {result.study}: {result.trainings_done:,} of {result.trainings:,} trainings, "
        f"{result.config.folds} folds. {measure} on held-out training texts, ± one standard error; "
        "differences in points with their 95 % interval."
    )
    numbers = range(len(varied), len(varied) + 2)
    out.print(table(headings, [_row(result, cell, varied) for cell in done], numbers))
    for cell in result.alone:
        if cell.mean is not None:
            which = f", {_named(cell, of_alone)}" if of_alone else ""
            out.print(f"\nStudent alone{which}: {_accuracy(cell)}", soft_wrap=True)
    if result.choice is not None:
        best, chosen = (_named(result.cells[one or 0], named) for one in (result.best, result.choice))
        out.print(f"\nBest: {best}. Chosen: {chosen}.", soft_wrap=True)
        out.print(
            "The choice is the smallest and cheapest of those within one standard error of the best, fold by "
            "fold."
        )
        if result.optimism is not None:
            from kd_core.search.results import flattered

            out.print(flattered(result), soft_wrap=True)
    if result.run_id:
        out.print(f"\n{_of_run(store, result.run_id)}", soft_wrap=True)
    return None


def _of_run(store: Store, run_id: str) -> str:
    """What the chosen setting came to after training on all training data, or why that is not known."""
    try:
        store.run(run_id)  # a deleted one has a report, which nobody can look up
        report = store.report(run_id)
    except RunError as error:  # it goes on where the search began, or ended early there
        return f"The chosen setting on all training data: {error}"
    return (
        f"On the test texts, after training on all training data: {report.judged_by} "
        f"{percent(report.student.by(report.metric))}. {report.sentence}\nRun {run_id}: kd show {run_id}"
    )


HEADINGS = {
    "temperature": "T",
    "alpha": "Alpha",
    "learning_rate": "Learning rate",
    "student": "Student",
    "divergence": "Divergence",
}


def _row(result: SearchResult, cell: Cell, varied: Sequence[str]) -> tuple[str, ...]:
    values = cell.setting.model_dump() if cell.setting else {}
    shown = [_value(values.get(name, "")) for name in varied]
    remark = "" if cell.state == "done" else cell.error or cell.state
    if cell.state == "done" and cell.same_as_best:
        remark = "cannot be told from the best"
    if cell.number == result.choice:
        remark = "chosen"
    if cell.number == result.best:
        remark = "best, chosen" if result.best == result.choice else "best"
    gap = cell.from_best
    between = f"{signed(100 * gap.mean)} [{signed(100 * gap.low)}, {signed(100 * gap.high)}]" if gap else ""
    return (*shown, _accuracy(cell), between, remark)


def _accuracy(cell: Cell) -> str:
    if cell.mean is None:
        return ""
    return percent(cell.mean) + (f" ± {100 * cell.se:.1f}" if cell.se is not None else "")


def _named(cell: Cell, names: Sequence[str]) -> str:
    """ "T 4, alpha 0.3, student cnn"."""
    values = cell.setting.model_dump() if cell.setting else {}
    words = {name: "T" if name == "temperature" else HEADINGS[name].lower() for name in names}
    return ", ".join(f"{words[name]} {_value(values[name])}" for name in names if name in values)


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
