"""``kd runs``, ``kd show``, ``kd stop``, ``kd pause`` and ``kd delete``: the runs that there are."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import click

from kd_core.cli.output import as_json, console, print_json, print_report, table
from kd_core.distillation.events import STEP_NAMES
from kd_core.distillation.roles import NAMES, verdict_name
from kd_core.errors import RunError
from kd_core.jobs.states import ACTIVE, LABELS, PARTED, RESUMABLE
from kd_core.system import paths
from kd_core.system.formatting import counted, duration, in_sentence, percent, points, printable

LISTED = 50  # runs in a table that nobody has asked to be longer
ROOMY = 110  # characters of a terminal that has room for the time beside each run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from kd_core.jobs.states import Status
    from kd_core.jobs.store import RunRow, Store


def find_run(text: str) -> str:
    """The id of the run that ``text`` means: the id, a beginning of it that fits no other, ``last``, the
    newest that is no part of a curve, or the name of a search.

    Raises: RunError.
    """
    from kd_core.distillation import run_folder
    from kd_core.jobs.store import Store

    if run_folder.RUN_ID.fullmatch(text):  # also one of Python code, which the store does not know
        return text
    if not text:
        raise RunError("Which run? Give its id, a beginning of it, or last; kd runs lists them.")
    if text == "last":
        if newest := _newest(Store()):
            return newest
        raise RunError("There is no run yet; kd distill makes one.")
    ids = [row.id for row in Store().runs(kind="distil") if row.id.startswith(text)]
    if len(ids) == 1:
        return ids[0]
    if ids:
        shown = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
        raise RunError(f"{text!r} fits {len(ids):,} runs: {shown}; write more of it.")
    if searches := [row.id for row in Store().runs(kind="search", limit=LISTED) if row.study == text]:
        return searches[0]
    raise RunError(f"No run starts with {text!r}; kd runs lists them.")


def _newest(store: Store, status: Sequence[Status] = ()) -> str | None:
    parts = _parts_of_curves(store)
    rows = store.runs(kind="distil", status=status, limit=len(parts) + 1)
    return next((row.id for row in rows if row.id not in parts), None)


def _parts_of_curves(store: Store) -> set[str]:
    """Runs with fewer texts than the one that a person made, which nobody wants to export."""
    found: set[str] = set()
    for row in store.runs(kind="curve"):
        with suppress(RunError):  # it has none yet
            report = store.report_json(row.id)
            found |= {part["run_id"] for part in report["parts"]} | {report["running"]}
    return found


def find_finished(text: str) -> str:
    """``find_run``, for what needs its models; ``last`` is the newest that is done.

    Raises: RunError, also where it is not done or not here.
    """
    from kd_core.jobs.states import RESUMABLE
    from kd_core.jobs.store import Store

    store = Store()
    run_id = (_newest(store, ("done",)) if text == "last" else None) or find_run(text)
    if not store.has(run_id):  # it is Python code's
        return run_id
    row = store.run(run_id)
    if row.status != "done":
        way = f"Go on with it: kd resume {run_id}" if row.status in RESUMABLE else "Wait for its end."
        raise RunError(f"Run {run_id} is {row.status}, so it has no models yet. {way}")
    if not row.is_here and not (paths.runs() / run_id).is_dir():
        raise RunError(
            f"The models of run {run_id} are in another data folder, on {row.machine}; use them there."
        )
    return run_id


def called(run_id: str) -> str:
    """Its title or, of one that no database knows, its id."""
    from kd_core.jobs.store import Store

    store = Store()
    return store.run(run_id).title if store.has(run_id) else run_id


@click.command()
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(list(LABELS)),
    help="Only these; may be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"So many of the newest; without it {LISTED} in the table, all in JSON.",
)
@as_json
def runs(statuses: tuple[Status, ...], limit: int | None, as_json: bool) -> None:
    """List the runs, newest first."""
    from kd_core.jobs.index import missing_runs
    from kd_core.jobs.runner_state import why_runs_wait

    store = swept_store()
    rows = store.runs(kind="distil", status=statuses)
    if as_json:
        return print_json([asdict(row) for row in rows[:limit]])
    if unlisted := missing_runs(store):
        said = (
            f"{counted(len(unlisted), 'folder')} of finished work not listed; kd index --rebuild adds them."
        )
        click.echo(said, err=True)
    for job in (row for row in store.runs(status=ACTIVE) if row.kind != "distil"):
        click.echo(printable(f"Under way: {job.title}. kd show {job.id} says how far it is."), err=True)
    if not rows:
        click.echo(
            "No runs" + (" with that status." if statuses else " yet. kd distill makes one."), err=True
        )
        return None
    shown = rows[: limit or LISTED]
    _print_runs(console(sys.stdout, piped=140), shown)
    if len(shown) < len(rows):
        click.echo(
            f"The newest {len(shown):,} of {len(rows):,} runs; --limit {len(rows)} lists all.", err=True
        )
    for row in shown:
        if row.status == "unreadable":
            click.echo(printable(str(row.error)), err=True)
    waiting = any(left_waiting(row) and row.is_here for row in rows)
    if waiting and (reason := why_runs_wait()):
        click.echo(printable(reason), err=True)
    return None


def _print_runs(out: Console, rows: Sequence[RunRow]) -> None:
    """Without names where no run has one, and on a narrow terminal without what a run's id says already."""
    cells = [_listed(row) for row in rows]
    named, roomy = any(row.name for row in rows), out.width >= ROOMY
    left_out = {"Name": not named, "Created": not roomy}
    headings = [heading for heading in cells[0] if not left_out.get(heading)]
    numbers = [headings.index(heading) for heading in ("Score", "Gain")]
    lines = ([cell[heading] for heading in headings] for cell in cells)
    of_one_kind = {row.scores[1] for row in rows if row.accuracy} <= {"accuracy"}
    titles = [{"Score": "Accuracy"}.get(name, name) if of_one_kind else name for name in headings]
    out.print(table(titles, lines, numbers, first=max(len(row.id) for row in rows)))


def _listed(row: RunRow) -> dict[str, str]:
    scores, name = row.scores
    student = scores.get("student")
    # In what the score is in, of which the column before it has the name.
    gained = points(row.delta) if row.delta is not None and row.judged_by == name else row.gained
    return {
        "Run": row.id,
        "Status": LABELS[row.status],
        "Name": row.name,
        "Task": row.task,
        "Student": row.student,
        "Score": "" if student is None else percent(student) + f" {name}" * (name != "accuracy"),
        "Gain": gained and gained + row.over_hard_answers,
        "Verdict": verdict_name(row.verdict, row.seeds) if row.verdict else "",
        "Created": f"{row.created.astimezone():%Y-%m-%d %H:%M}",
    }


def swept_store() -> Store:
    """The store, in which runs whose process has ended are no longer under way."""
    from kd_core.jobs.store import Store
    from kd_core.system.process import fate

    store = Store()
    store.interrupt_orphans(fate)
    return store


def left_waiting(row: RunRow) -> bool:
    """Whether a job is queued, and no process that it waits for."""
    from kd_core.system.process import alive

    return row.status == "queued" and not (row.owner and alive(row.owner))


@click.command()
@click.argument("run")
@as_json
def stop(run: str, as_json: bool) -> None:
    """Stop RUN after its current step, whichever process has it. kd resume goes on with it."""
    _tell(run, "stop", as_json)


@click.command()
@click.argument("run")
@as_json
def pause(run: str, as_json: bool) -> None:
    """Pause RUN after its current step, whichever process has it. kd resume goes on with it."""
    _tell(run, "pause", as_json)


def _tell(run: str, what: Literal["stop", "pause"], as_json: bool) -> None:
    from kd_core.jobs.runner import Runner

    store, run_id = swept_store(), find_run(run)
    waited = store.run(run_id).status == "queued"
    getattr(Runner(store, {}), what)(run_id)  # one that does not start: it passes commands on
    will = "has left the queue" if waited else f"will {what} after its current step"
    _say(f"Run {run_id} {will}.", {what: run_id}, as_json)


def unpause(store: Store, run_id: str, as_json: bool) -> None:
    """Let the process that has the run go on with it."""
    from kd_core.jobs.runner import Runner

    Runner(store, {}).resume(run_id)
    _say(f"Run {run_id} goes on, in the process that has it.", {"resume": run_id}, as_json)


@click.command()
@click.argument("run")
@as_json
def show(run: str, as_json: bool) -> None:
    """What RUN is, how far it got, and what came out.

    RUN may be a beginning of its id that fits no other, or "last", the newest that is no part of a curve.
    """
    from kd_core.config import changed

    store = swept_store()
    row = store.run(find_run(run))
    done = row.status == "done"
    if as_json:
        return print_json({"run": asdict(row), "report": store.report_json(row.id) if done else None})
    out = console(sys.stdout)
    out.print(" ".join(filter(None, (f"Run {row.id}", row.name and f"({row.name})"))), style="bold")
    out.print(_state(row), soft_wrap=True)
    if settings := changed(row.config):
        out.print("\nSettings that are not the defaults:")
        shown = [
            (place, ",".join(map(str, v)) if isinstance(v, list) else v) for place, v in settings.items()
        ]
        out.print(table(("Setting", "Value"), shown))
    if done and row.kind == "distil":
        from kd_core.deployment.times import timed

        print_report(out, timed(store, row.id)[0])
    elif done:
        print_result(out, row.kind, store.report_json(row.id))
    return None


def print_result(out: Console, kind: str, report: Any) -> None:
    """What came out of a job of any kind; what has no table of its own is printed as JSON."""
    if kind == "distil":
        from kd_core.distillation.report import Report

        print_report(out, Report.from_dict(report))
    elif kind == "ladder":
        from kd_core.cli.ladder import show as show_ladder

        show_ladder(report, as_json=False)
    elif kind == "curve":
        from kd_core.cli.curve_table import show as show_curve

        show_curve(out, report)
    elif kind == "bench":
        from kd_core.cli.bench_tables import show as show_bench

        show_bench(out, report)
    elif kind == "search":
        from kd_core.cli.search_table import show as show_search
        from kd_core.jobs.store import Store
        from kd_core.search.results import SearchResult

        show_search(Store(), SearchResult.model_validate(report), as_json=False)
    else:
        print_json(report)


def _state(row: RunRow) -> str:
    """ "Running: 3 Distill, distilled student, step 300 of 1,200; 46 %, 19 s left", or how it ended."""
    state = LABELS[row.status]
    if row.status in ACTIVE and (row.stage or row.label):  # of other jobs than runs it has the label alone
        where = [STEP_NAMES[row.stage]] if row.stage else []
        if row.label or row.who:
            where.append(row.label or in_sentence(NAMES[row.who]))  # type: ignore[index]
        if row.kind == "search" and row.steps:  # whose last step is the run of the choice
            where.append(f"{row.step:,} of {row.steps - 1:,} trainings")
        elif row.kind not in PARTED and row.steps:
            where.append(f"{row.step:,} of {row.steps:,}")
        left = "" if row.seconds_left is None else f", {duration(row.seconds_left)} left"
        whole = "the run" if row.stage else "all"
        return f"{state}: {', '.join(where)}; {percent(row.progress)} of {whole}{left}."
    if row.status in RESUMABLE:
        return f"{state}{f': {row.error}' if row.error else '.'} To go on: kd resume {row.id}"
    return f"{state}."


@click.command()
@click.argument("run")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--undo", is_flag=True, help="Bring back a run that was deleted.")
@as_json
def delete(run: str, yes: bool, undo: bool, as_json: bool) -> None:
    """Delete RUN with its students and checkpoints.

    kd clean frees their space; until then --undo brings it back.
    """
    from kd_core.jobs.deletion import delete_run, restore_run
    from kd_core.jobs.store import Store

    if undo:
        restore_run(Store(), run)
        return _say(f"Run {run} is back.", {"restored": run}, as_json)
    run_id = find_run(run)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"Nobody is there to ask; to delete run {run_id}, add --yes.")
        click.confirm(f"Delete run {run_id}?", abort=True, err=True)
    delete_run(swept_store(), run_id)
    return _say(
        f"Deleted run {run_id}. To have it back: kd delete {run_id} --undo. kd clean frees its space.",
        {"deleted": run_id},
        as_json,
    )


def _say(sentence: str, result: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        click.echo(sentence, err=True)
