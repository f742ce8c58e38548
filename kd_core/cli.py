"""The ``kd`` command: results on stdout, progress on stderr.

Whatever loads torch is imported inside the commands, so that ``kd --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from types import FrameType
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from kd_core.errors import ConfigError, DataError, KDError, Stopped
from kd_core.events import (
    STAGES,
    Control,
    Evaluated,
    Event,
    Progress,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)

# The libraries' own bars and remarks would run through ours.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
WHO = {
    "teacher": "Teacher",
    "alone": "Student alone",
    "labelled_only": "Distilled on labelled texts",
    "student": "Distilled student",
}
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")


def main(args: Sequence[str] | None = None) -> int:
    """Run ``kd`` and return its exit status: 0, 2 for a user's mistake, 130 for a stopped run."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return int(kd.main(args, prog_name="kd", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.Abort:  # click's name for Ctrl-C
        return _fail(130, "interrupted")
    except click.ClickException as error:
        return _fail(2, error.format_message())
    except Stopped as error:
        return _fail(130, str(error))
    except ConfigError as error:
        return _fail(2, *error.problems)
    except KDError as error:
        return _fail(2, str(error))


def _fail(status: int, *problems: str) -> int:
    for problem in problems:
        click.echo(f"kd: {problem}", err=True)
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kd-studio", prog_name="kd")
def kd() -> None:
    """Knowledge distillation of text classifiers: a large teacher, a small student."""


@kd.command()
@as_json
def tasks(as_json: bool) -> None:
    """List the bundled tasks."""
    from kd_core.data.bundled import TASKS

    if as_json:
        return _print_json([{"name": name, "description": text} for name, text in TASKS.items()])
    out = _console(sys.stdout)
    out.print(_table(("Task", "What it is"), TASKS.items()))
    out.print(
        "Own data: kd distill --task FILE (CSV, TSV, JSONL, Parquet) or --task hub:NAME", soft_wrap=True
    )
    return None


@kd.command()
@as_json
def models(as_json: bool) -> None:
    """List the preset teachers and students."""
    from kd_core.models.presets import STUDENTS, TEACHERS

    presets = {"teachers": TEACHERS, "students": STUDENTS}
    if as_json:
        return _print_json({kind: [asdict(preset) for preset in of.values()] for kind, of in presets.items()})
    for kind, of in presets.items():
        rows = [(p.name, p.layers, p.hidden, p.heads, p.source, p.description) for p in of.values()]
        headings = (kind.capitalize(), "Layers", "Hidden", "Heads", "Source", "What it is")
        _console(sys.stdout).print(_table(headings, rows, numbers=(1, 2, 3)), "")
    return None


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


@kd.command(cls=_DistillCommand)
@click.option("--config", "file", metavar="FILE", help="YAML file with settings; flags override it.")
@as_json
def distill(file: str | None, as_json: bool, **settings: str | bool | None) -> None:
    """Teach, record, distil and validate; without flags, the demo."""
    from kd_core.flags import read_config

    config = read_config(file, settings)
    from kd_core import distill as run  # after the settings: a mistake in them is reported at once

    control = Control()
    watch = Narrator(_console(sys.stderr), several_seeds=len(config.training.seeds) > 1)
    with _stray_prints_to_stderr(), watch, _interrupt_stops(control):
        report = run(config, on_event=watch, control=control).to_dict()
    if as_json:
        _print_json(report)
    else:
        _print_report(_console(sys.stdout), report)


@kd.command()
@click.argument("run")
@click.argument("text", nargs=-1)
@as_json
def predict(run: str, text: tuple[str, ...], as_json: bool) -> None:
    """Classify TEXT with the models of RUN; without TEXT, each line of the standard input."""
    texts = list(text) or _lines_of_stdin()
    if any("\ud800" <= character <= "\udfff" for character in "".join(texts)):
        raise DataError("A text has bytes that are not UTF-8; pipe it through iconv first.")
    from kd_core.runs import predict as classify

    with _stray_prints_to_stderr():
        result = classify(run, texts)
    if as_json:
        return _print_json(result)
    out = _console(sys.stdout)
    for prediction in result["predictions"]:
        out.print(prediction["text"], style="bold", soft_wrap=True)
        rows = [(WHO[who], *_likeliest(prediction[who])) for who in WHO if prediction.get(who)]
        out.print(_table(("", "Answer", "Probability", "Next"), rows, numbers=(2,)))
    return None


def _likeliest(probabilities: Mapping[str, float]) -> tuple[str, str, str]:
    """The answer, its probability, and the second choice with its own."""
    first, second = sorted(probabilities.items(), key=lambda item: -item[1])[:2]
    return first[0], percent(first[1]), f"{second[0]} {percent(second[1])}"


def _lines_of_stdin() -> list[str]:
    if sys.stdin.isatty():
        raise click.UsageError('No text: write it after the run, kd predict RUN "text", or pipe lines.')
    try:
        content = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"The standard input is not UTF-8 (byte {error.start}); convert it, for example with iconv."
        ) from error
    texts = [line.strip() for line in content.split("\n") if line.strip()]
    if not texts:
        raise DataError("The standard input has no text; write one on each line.")
    return texts


@contextmanager
def _interrupt_stops(control: Control) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop cleanly, the second interrupts it where it is."""

    def stop(signum: int, frame: FrameType | None) -> None:
        control.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _stray_prints_to_stderr() -> Iterator[None]:
    """Libraries that print must not get into the result."""
    with redirect_stdout(sys.stderr):
        yield


# Progress


class Narrator:
    """Shows a run's events: bars on a terminal, elsewhere a line at each tenth."""

    def __init__(self, console: Console, *, several_seeds: bool = False) -> None:
        self._console = console
        self._several_seeds = several_seeds
        self._accuracy: dict[str, float] = {}
        self._tenths: dict[str, int] = {}
        self._rows: dict[str, TaskID] = {}
        self._bars = self._new_bars()

    def __enter__(self) -> Narrator:
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case StageStarted(stage):
                self._console.print(f"{STAGES.index(stage) + 1} {stage.capitalize()}", style="bold")
                self._tenths, self._rows, self._bars = {}, {}, self._new_bars()
            case StageFinished(_, seconds, cached):
                self._bars.stop()
                self._say("from cache" if cached else duration(seconds))
            case TrainingStarted(who, seed, _, cached=True):
                self._say(f"{self._name(who, seed)}: from cache")
            case Evaluated(who, seed):
                self._accuracy[self._name(who, seed)] = event.accuracy
            case Step(who, seed):
                name = self._name(who, seed)
                validation = f", validation {percent(self._accuracy[name])}" if name in self._accuracy else ""
                details = f"loss {event.loss:.3f}{validation}"
                self._advance(name, event.step, event.steps, details, row=name)
            case Progress():
                self._advance(event.label, event.done, event.total, "", row=event.stage)

    def _new_bars(self) -> Bars:
        return Bars(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}", markup=False),
            TextColumn("{task.fields[details]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self._console.is_interactive,
            expand=True,
        )

    def _advance(self, name: str, done: int, total: int, details: str, *, row: str) -> None:
        if self._console.is_interactive:
            if row not in self._rows:
                self._bars.start()  # not before: bars without a row would show as an empty line
                self._rows[row] = self._bars.add_task(name, total=total, details="")
            self._bars.update(self._rows[row], description=name, completed=done, total=total, details=details)
        elif (tenth := 10 * done // max(total, 1)) > self._tenths.get(row, 0):
            self._tenths[row] = tenth
            self._say(f"{name}: {done:,} of {total:,}" + (f", {details}" if details else ""))

    def _name(self, who: str, seed: int) -> str:
        return WHO[who] + (f", seed {seed}" if self._several_seeds and who != "teacher" else "")

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}", soft_wrap=True)


# Results


def _console(stream: TextIO) -> Console:
    """A console that shows texts as they are: brackets are no markup, ``:name:`` is no emoji."""
    width = None if stream.isatty() else 120
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[int] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, heading in enumerate(headings):
        right = index in numbers
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    return table


def _print_report(out: Console, report: Mapping[str, Any]) -> None:
    """The run's table, its accuracy on other texts, the verdict, and where it lies."""
    models = {who: report[who] for who in WHO if report[who] is not None}
    headings = ("", "Accuracy", "Macro-F1", "Parameters", "Size", "p50", "p95")
    table = _table(headings, [_result(WHO[who], model) for who, model in models.items()], range(1, 7))
    timed = report["student"]["latency_ms"]
    out.print(
        f"\nOn {report['verdict']['n']:,} test texts. "
        f"Latency p50 and p95 in ms: batch {timed['batch']}, threads {timed['threads']}."
    )
    out.print(table)

    shifts = report["student"]["shifted"]
    if shifts:
        rows = [
            (WHO[who], percent(model["accuracy"]), *(percent(model["shifted"][name]) for name in shifts))
            for who, model in models.items()
        ]
        table = _table(("", "test", *shifts), rows, range(1, len(shifts) + 2))
        out.print("\nAccuracy on the test texts, and on texts that the models were not made for.")
        out.print(table)

    lines = [report["sentence"], *report["notes"], f"Run {report['run_id']}: {report['folder']}"]
    for line in lines:
        out.print(f"\n{line}", soft_wrap=True)


def _result(name: str, model: Mapping[str, Any]) -> tuple[str, ...]:
    half = 50 * (model["high"] - model["low"])
    return (
        name,
        f"{percent(model['accuracy'])} ± {half:.1f}",
        percent(model["macro_f1"]),
        count(model["params"]),
        f"{model['size_mb']:.1f} MB",
        f"{model['latency_ms']['p50']:.2f}",
        f"{model['latency_ms']['p95']:.2f}",
    )


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def count(number: int) -> str:
    """2,985,733 -> "3.0 M"."""
    return f"{number / 1e6:.1f} M" if number >= 100_000 else f"{number:,}"


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


if __name__ == "__main__":
    sys.exit(main())
