"""Progress on stderr: lines in a log, bars in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kd_core.cli.progress import Narrator
from kd_core.distillation.events import (
    Estimated,
    Evaluated,
    Note,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)

pytestmark = pytest.mark.usefixtures("own_environment")


def training(watch: Narrator, seed: int = 0, steps: int = 30) -> None:
    for step in range(1, steps + 1):
        watch(Step("student", seed, step, steps, 1 / step, 0.0, 0.0, 0.0, 1e-4, 100.0))
        if step == 15:
            watch(Evaluated("student", seed, step, 0.875, 0.4))


def narrate(*, terminal: bool, several_seeds: bool = False) -> str:
    # _environ: the terminal of whoever runs the tests must not matter.
    environment = {"TERM": "xterm"} if terminal else {}
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=100, highlight=False, _environ=environment
    )
    with Narrator(console, several_seeds=several_seeds) as watch:
        watch(Note("Models start anew."))
        watch(StageStarted("record"))
        watch(StageFinished("record", 0.0, cached=True))
        watch(StageStarted("distil"))
        watch(TrainingStarted("alone", 0, 30, cached=True))
        watch(TrainingStarted("student", 0, 30))
        training(watch)
        watch(StageFinished("distil", 9.96))
        watch(StageStarted("validate"))
        watch(Progress("validate", "scoring Teacher", 1, 4))
        watch(Progress("validate", "measuring latency", 2, 4))
        watch(StageFinished("validate", 61.2))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_time_that_it_takes_is_said_before_it_begins() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=100, highlight=False, _environ={})
    with Narrator(console) as watch:
        watch(Estimated({"teach": 60.0, "record": 0.0, "distil": 34.6, "validate": 5.0}, {}))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "  Estimate: about 2 min.\n"
    with Narrator(console) as watch:
        watch(Estimated({"teach": 3600.0}, {}))
    assert "Estimate: about 1 h.\n  Fewer steps (--steps), " in console.file.getvalue()


def test_plain_progress_is_a_line_at_each_tenth() -> None:
    assert narrate(terminal=False).splitlines() == [
        "  Models start anew.",
        "2 Record",
        "  from cache",
        "3 Distill",
        "  Student alone: from cache",
        "  Distilled student: 3 of 30, loss 0.333",
        "  Distilled student: 6 of 30, loss 0.167",
        "  Distilled student: 9 of 30, loss 0.111",
        "  Distilled student: 12 of 30, loss 0.083",
        "  Distilled student: 15 of 30, loss 0.067",
        "  Distilled student: 18 of 30, loss 0.056, validation 87.5 %",
        "  Distilled student: 21 of 30, loss 0.048, validation 87.5 %",
        "  Distilled student: 24 of 30, loss 0.042, validation 87.5 %",
        "  Distilled student: 27 of 30, loss 0.037, validation 87.5 %",
        "  Distilled student: 30 of 30, loss 0.033, validation 87.5 %",
        "  10 s",
        "4 Validate",
        "  scoring Teacher: 1 of 4",
        "  measuring latency: 2 of 4",
        "  61 s",
    ]


def test_of_several_runs_the_share_of_all_is_told_and_not_hundredths() -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False, _environ={})
    with Narrator(console, parted=True) as watch:
        watch(Progress(None, "student static: texts", 50, 200))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "  student static: texts: 25 % of all\n"


def test_progress_names_the_score_that_decides() -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False, _environ={})
    with Narrator(console) as watch:
        watch(Resolved({"training": {"metric": "f1:spam"}}, 2, {}, {}))
        watch(StageStarted("distil"))
        watch(Evaluated("student", 0, 1, 0.95, 0.4, score=0.625))
        watch(Step("student", 0, 10, 10, 0.5, 0.0, 0.0, 0.0, 1e-4, 100.0))
        watch(Evaluated("alone", 0, 1, 0.95, 0.4))  # from a cache of before
        watch(Step("alone", 0, 10, 10, 0.5, 0.0, 0.0, 0.0, 1e-4, 100.0))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "3 Distill",
        "  Distilled student: 10 of 10, loss 0.500, validation F1 of spam 62.5 %",
        "  Student alone: 10 of 10, loss 0.500",
    ]


def test_a_terminal_gets_bars() -> None:
    shown = narrate(terminal=True)
    assert "━" in shown
    assert "30/30" in shown
    assert "loss 0.033, validation 87.5 %" in shown
    assert "3 of 30" not in shown
    last = shown[shown.index("4 Validate") :].split("\r")[-1]
    assert "measuring latency" in last
    assert "2/4" in last
    assert "scoring" not in last
    assert shown.index("30/30") < shown.index("10 s") < shown.index("4 Validate")


def test_several_seeds_are_told_apart() -> None:
    assert "  Distilled student, seed 0: 3 of 30" in narrate(terminal=False, several_seeds=True)


def test_each_stage_starts_its_tenths_anew() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, highlight=False)
    with Narrator(console) as watch:
        for stage in ("teach", "record"):
            watch(StageStarted(stage))
            watch(Progress(stage, "texts", 1, 1))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("texts: 1 of 1") == 2
