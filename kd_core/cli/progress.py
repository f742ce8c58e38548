"""What a run tells while it works."""

from __future__ import annotations

from contextlib import suppress

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from kd_core.distillation.events import (
    STEP_NAMES,
    Estimated,
    Evaluated,
    Event,
    Note,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.distillation.roles import NAMES, Role, metric_name
from kd_core.system.formatting import duration, percent

SHORTER = (
    "Fewer steps (--steps), shorter texts (--max-length) or a smaller teacher (--teacher minilm-l3) make it "
    "shorter. Ctrl-C stops it, and kd resume goes on."
)
COUNT, ALL = "{task.completed:,.0f}/{task.total:,.0f}", "{task.percentage:.0f} % of all"


class Narrator:
    """Shows a run's events: bars on a terminal, elsewhere a line at each tenth."""

    def __init__(self, console: Console, *, several_seeds: bool = False, parted: bool = False) -> None:
        self._console = console
        self._several_seeds = several_seeds
        self._parted = parted  # of several runs, whose hundredths say nothing to anybody
        self._metric = "accuracy"
        self._looks: dict[str, str] = {}  # the latest at the validation texts, of each model
        self._tenths: dict[str, int] = {}
        self._rows: dict[str, TaskID] = {}
        self._bars = self._new_bars()

    def __enter__(self) -> Narrator:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        with suppress(OSError):  # a closed terminal: work does not fail because nobody looks
            self._tell(event)

    def _tell(self, event: Event) -> None:
        match event:
            case StageStarted(stage):
                self._console.print(STEP_NAMES[stage], style="bold")
                self._tenths, self._rows, self._bars = {}, {}, self._new_bars()
            case StageFinished(_, seconds, cached):
                self._bars.stop()
                self._say("from cache" if cached else duration(seconds))
            case TrainingStarted(who, seed, _, cached=True):
                self._say(f"{self._name(who, seed)}: from cache")
            case Estimated(expected):
                from kd_core.jobs.advice import LONG

                self._say(f"Estimate: {duration(seconds := sum(expected.values()))}.")
                if seconds > LONG and not self._parted:
                    self._say(SHORTER)
            case Resolved(config):
                self._metric = config["training"].get("metric", "accuracy")
            case Evaluated(who, seed):
                in_accuracy = self._metric == "accuracy"
                named = "" if in_accuracy else f"{metric_name(self._metric)} "
                score = event.accuracy if in_accuracy else event.score
                if score is not None:
                    self._looks[self._name(who, seed)] = f", validation {named}{percent(score)}"
            case Step(who, seed):
                name = self._name(who, seed)
                details = f"loss {event.loss:.3f}{self._looks.get(name, '')}"
                self._advance(name, event.step, event.steps, details, row=name)
            case Note(text):
                self._say(text)
            case Progress():
                self._advance(event.label, event.done, event.total, "", row=event.stage or "job")

    def _new_bars(self) -> Bars:
        return Bars(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn(ALL if self._parted else COUNT, markup=False),
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
            count = f"{percent(done / total, 0)} of all" if self._parted else f"{done:,} of {total:,}"
            self._say(f"{name}: {count}" + (f", {details}" if details else ""))

    def _name(self, who: Role, seed: int) -> str:
        return NAMES[who] + (f", seed {seed}" if self._several_seeds and who != "teacher" else "")

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}", soft_wrap=True)
