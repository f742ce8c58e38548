from __future__ import annotations

import io

import pytest
from rich.console import Console

from kd_core.cli.progress import Narrator
from kd_core.distillation.events import (
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

pytestmark = pytest.mark.usefixtures("own_environment")


def narrate(*events: Event, terminal: bool = False, **options: bool) -> str:
    # _environ: the terminal of whoever runs the tests must not matter.
    environment = {"TERM": "xterm"} if terminal else {}
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, _environ=environment)
    with Narrator(console, **options) as watch:
        for event in events:
            watch(event)
    return out.getvalue()


def step(number: int, steps: int, who: str = "student") -> Step:
    return Step(who, 0, number, steps, 1 / number, 0.0, 0.0, 0.0, 1e-4, 100.0)


RUN = [
    Note("Models start anew."),
    StageStarted("record"),
    StageFinished("record", 0.0, cached=True),
    StageStarted("distil"),
    TrainingStarted("alone", 0, 30, cached=True),
    TrainingStarted("student", 0, 30),
    *(step(number, 30) for number in range(1, 16)),
    Evaluated("student", 0, 15, 0.875, 0.4),
    *(step(number, 30) for number in range(16, 31)),
    StageFinished("distil", 9.96),
    StageStarted("validate"),
    Progress("validate", "scoring Teacher", 1, 4),
    Progress("validate", "measuring latency", 2, 4),
    StageFinished("validate", 61.2),
]


def test_plain_progress_is_a_line_at_each_tenth() -> None:
    assert narrate(*RUN).splitlines() == [
        "  Models start anew.",
        "2 Record",
        "  from cache",
        "3 Distill",
        "  Student alone: from cache",
        *(f"  Distilled student: {n} of 30, loss {1 / n:.3f}" for n in range(3, 16, 3)),
        *(f"  Distilled student: {n} of 30, loss {1 / n:.3f}, validation 87.5 %" for n in range(18, 31, 3)),
        "  10 s",
        "4 Validate",
        "  scoring Teacher: 1 of 4",
        "  measuring latency: 2 of 4",
        "  61 s",
    ]


def test_terminal_gets_bars() -> None:
    shown = narrate(*RUN, terminal=True)
    assert "━" in shown
    assert "30/30" in shown
    assert "loss 0.033, validation 87.5 %" in shown
    assert "3 of 30" not in shown
    last = shown[shown.index("4 Validate") :].split("\r")[-1]
    assert ["measuring latency" in last, "2/4" in last, "scoring" in last] == [True, True, False]
    assert shown.index("30/30") < shown.index("10 s") < shown.index("4 Validate")


DONE = Progress(None, "texts", 1, 1)
BY_F1 = [
    Resolved({"training": {"metric": "f1:spam"}}, 2, {}, {}),
    Evaluated("student", 0, 1, 0.95, 0.4, score=0.625),
    step(10, 10),
]


@pytest.mark.parametrize(
    ("events", "options", "expected"),
    [
        ([Estimated({"teach": 60.0, "distil": 34.6}, {})], {}, "  Estimate: about 2 min.\n"),
        ([Estimated({"teach": 3600.0}, {})], {}, "  Estimate: about 1 h.\n  Fewer steps (--steps), *"),
        ([step(3, 30)], {"several_seeds": True}, "  Distilled student, seed 0: 3 of 30, loss 0.333\n"),
        ([Progress(None, "student static: texts", 50, 200)], {"parted": True}, "*: texts: 25 % of all\n"),
        # Each stage starts its tenths anew.
        ([StageStarted("teach"), DONE, StageStarted("record"), DONE], {}, "1 Teach\n{0}2 Record\n{0}"),
        (BY_F1, {}, "  Distilled student: 10 of 10, loss 0.100, validation F1 of spam 62.5 %\n"),
    ],
)
def test_lines_of_events(events, options, expected) -> None:
    found = narrate(*events, **options)
    begin, star, end = expected.format("  texts: 1 of 1\n").partition("*")
    assert found.startswith(begin)
    assert found.endswith(end)
    assert star or found == begin
