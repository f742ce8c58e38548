"""The ``kd`` command: flags, output, progress, exit statuses. The engine is replaced by a scripted one."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import tomllib
import types
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import streamlit.config
from rich.console import Console

import kd_core
from kd_core import cli
from kd_core.cli import main, output
from kd_core.cli.flags import options, read_config
from kd_core.cli.progress import Narrator
from kd_core.config import DistillConfig, flag, of_today, sections
from kd_core.deployment import predict as prediction
from kd_core.distillation.events import (
    Evaluated,
    Note,
    OnEvent,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.distillation.report import Report
from kd_core.errors import ConfigError, DataError, Stopped
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.runner_state import RunnerState
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.control import Control
from kd_core.system.process import machine_lock, owner
from tests import ROOT, SAMPLES

FIELDS = [f"{section}.{name}" for section, fields in sections() for name in fields.model_fields]

# A legal value, other than the default, for the fields where the default says too little.
VALUES = {
    "task.augment": "3",
    "objective.temperature": "2.5",
    "task.answers": "logits",
    "task.gold": "none",
    "task.answer_columns": "sport,tech",
    "objective.class_weights": "sport=3,tech=0.5",
    "training.metric": "f1:tech",
    "training.report_to": "tensorboard,wandb",
    "task.max_length": "64",
    "teacher.intermediate": "64",
    "student.intermediate": "64",
    "teacher.epochs": "2",
    "teacher.learning_rate": "0.5",
    "training.learning_rate": "0.5",
    "teacher.heads": "4",  # must divide the hidden size
    "student.heads": "4",
    "student.init": "random",
    "student.fill_vocabulary": "64",
    "student.hidden": "64",
    "teacher.hidden": "64",
    "training.steps": "7",
    "training.seeds": "3,4",
    "training.precision": "fp32",
    "teacher.pooling": "mean",
    "teacher.weights": "best",
    "student.pooling": "mean",
    "training.evaluate_every": "5",
    "objective.divergence": "dkd",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, kd_home: Path) -> None:
    for name in cli.QUIET:
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


# Flags


def parse(*args: str) -> DistillConfig:
    context = cli.distill.make_context("kd distill", list(args))
    settings = {
        name: value for name, value in context.params.items() if name not in ("file", "name", "as_json")
    }
    return read_config(context.params["file"], settings)


def leaves(config: DistillConfig) -> dict[str, Any]:
    return {
        f"{section}.{name}": value
        for section, fields in config.model_dump().items()
        for name, value in fields.items()
    }


def other_value(place: str) -> str:
    if place in VALUES:
        return VALUES[place]
    default = leaves(DistillConfig())[place]
    if isinstance(default, float):
        return str(default / 2 or 0.25)
    return str(default + 1) if isinstance(default, int) else "other"


def test_each_field_has_one_flag() -> None:
    flags = [option for group in options().values() for option in group]
    names = [name for option in flags for name in (*option.opts, *option.secondary_opts)]
    assert len(set(names)) == len(names)
    assert not {"--config", "--name", "--json", "--help"} & set(names)
    assert sorted(option.opts[0] for option in flags) == sorted(flag(place) for place in FIELDS)
    assert len(flags) == len(FIELDS)


@pytest.mark.parametrize("place", FIELDS)
def test_a_flag_changes_its_field_and_no_other(place: str) -> None:
    default = leaves(DistillConfig())
    if isinstance(default[place], bool):
        value = not default[place]
        args = [flag(place) if value else f"--no-{flag(place)[2:]}"]
    else:
        args = [flag(place), other_value(place)]
    changed = leaves(parse(*args))
    # A file of answers is the task.
    expected = ["task.name", place] if place == "task.knowledge" else [place]
    assert [name for name in FIELDS if changed[name] != default[name]] == expected
    if not isinstance(default[place], bool):
        shown = changed[place]
        assert str(",".join(map(str, shown)) if isinstance(shown, tuple) else shown) == args[1]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("task.name", "--task"),
        ("teacher.model", "--teacher"),
        ("student.model", "--student"),
        ("task.text_column", "--text-column"),
        ("teacher.learning_rate", "--teacher-learning-rate"),
        ("training.learning_rate", "--learning-rate"),
        ("controls.labelled_only", "--labelled-only"),
    ],
)
def test_flag_names(place: str, name: str) -> None:
    assert flag(place) == name


def test_without_flags_it_is_the_demo() -> None:
    assert parse() == DistillConfig()


def test_flags_override_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("objective: {temperature: 2, alpha: 0.5}\n", encoding="utf-8")
    config = parse("--config", str(file), "--alpha", "0.1", "--no-labelled-only")
    assert (config.objective.temperature, config.objective.alpha) == (2.0, 0.1)
    assert config.controls.labelled_only is False


def test_all_problems_at_once_named_by_flag() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("--temperature", "0", "--alpha", "1.4", "--student-init", "warm")
    assert set(caught.value.problems) == {
        "--temperature must be between 0.01 and 100, or auto, got '0'",
        "--alpha must be between 0 and 1, got '1.4'",
        "--student-init must be one of random, teacher_layers, teacher_vectors, projected, pretrained, auto, "
        "got 'warm'",
    }


def help_of(place: str) -> str:
    (option,) = [o for group in options().values() for o in group if o.opts[0] == flag(place)]
    record = option.get_help_record(click.Context(cli.distill))
    assert record
    return "  ".join(record)


@pytest.mark.parametrize(
    ("place", "ending"),
    [
        ("objective.temperature", "[between 0.01 and 100, or auto; default: auto]"),
        ("training.steps", "[between 1 and 10,000,000, or auto; default: auto]"),
        ("training.precision", "[fp32, bf16, fp16, auto; default: auto]"),
        ("training.seeds", "[between 0 and 4,294,967,295; default: 0]"),
        ("task.transfer_texts", "[at least 0; default: 12000]"),
        ("task.drop_empty", "Drop rows whose label is blank [default: off]"),
        ("task.test_file", "Own test file, with the same columns"),
    ],
)
def test_help_shows_bounds_choices_and_default(place: str, ending: str) -> None:
    assert help_of(place).endswith(ending)


@pytest.mark.parametrize(
    ("place", "kind"),
    [("objective.divergence", "NAME"), ("task.encoding", "TEXT"), ("training.learning_rate", "NUMBER")],
)
def test_help_shows_what_to_type(place: str, kind: str) -> None:
    assert help_of(place).startswith(f"{flag(place)} {kind}  ")


def test_help_of_distill_has_a_heading_for_each_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith((" ", "Usage"))]
    sections = ["Task:", "Teacher:", "Student:", "Objective:", "Training:", "Controls:"]
    assert headings == ["Options:", "Smallest student:", *sections]


# Running

RUN = "20260131-143000-a1b2"


SAMPLE = of_today(json.loads((SAMPLES / "report.json").read_text("utf-8")))


def model(accuracy: float, **changes: Any) -> dict[str, Any]:
    return (
        SAMPLE["student"]
        | {
            "accuracy": accuracy,
            "low": accuracy - 0.013,
            "high": accuracy + 0.013,
            "macro_f1": accuracy - 0.01,
            "params": 2_985_733,
            "size_mb": 11.96,
            "latency_ms": SAMPLE["student"]["latency_ms"] | {"p50": 1.234, "p95": 1.9},
            "shifted": {"typos": accuracy - 0.1},
        }
        | changes
    )


REPORT: dict[str, Any] = SAMPLE | {
    "run_id": "r1",
    "folder": "/data/runs/r1",
    "teacher": model(0.9, params=22_715_000, size_mb=90.9),
    "alone": model(0.845),
    "labelled_only": None,
    "student": model(0.895),
    "verdict": SAMPLE["verdict"] | {"n": 531, "delta": 0.05, "low": 0.02, "high": 0.08},
    "sentence": "Distillation helped: +5.0 points.",
    "notes": ["Label [bold]x[/bold] :smile: was merged."],
}


@dataclass(frozen=True)
class FakeReport:
    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.values


Engine = Callable[[DistillConfig, OnEvent, Control], FakeReport]


def use_engine(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> list[DistillConfig]:
    """Put ``engine`` in the place of ``kd_core.distill``; returns the configs that it gets."""
    seen: list[DistillConfig] = []

    def distill(config: DistillConfig, on_event: OnEvent, control: Control, *, run_id: str) -> FakeReport:
        seen.append(config)
        return engine(config, on_event, control)

    monkeypatch.setitem(vars(kd_core), "distill", distill)  # setattr would load the real one first
    return seen


def finishes(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
    on_event(StageStarted("teach"))
    on_event(StageFinished("teach", 21.3))
    sys.stdout.write("a library's remark\n")
    return FakeReport(REPORT)


def test_json_is_all_there_is_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = use_engine(monkeypatch, finishes)
    assert main(["distill", "--json", "--temperature", "2"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == REPORT
    assert captured.err == "1 Teach\n  21 s\na library's remark\n"
    assert [config.objective.temperature for config in seen] == [2.0]


def test_what_decides_is_the_first_number_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Also the F1 of one class, which stood in the verdict alone."""
    training = REPORT["config"]["training"]
    for metric, headings in (
        ("macro_f1", "Macro-F1 Accuracy Parameters"),
        ("f1:tech", "F1 of tech Accuracy Macro-F1 Parameters"),
    ):
        config = REPORT["config"] | {"training": training | {"metric": metric}}
        output.print_report(output.console(sys.stdout), Report.from_dict(REPORT | {"config": config}))
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]
        assert lines[1].startswith(headings)
    assert lines[3].startswith("Distilled student 86.7 % 89.5 % ± 1.3 88.5 %")


def test_report_as_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_engine(monkeypatch, finishes)
    assert main(["distill"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [" ".join(line) for line in lines] == [
        "On 524 test texts. Latency p50 and p95 in ms: one text, without the tokenizer, on 1 thread.",
        "Accuracy Macro-F1 Parameters Size p50 p95",
        "Teacher 90.0 % ± 1.3 89.0 % 22.7 M 90.9 MB 1.23 1.90",
        "Distilled student 89.5 % ± 1.3 88.5 % 3.0 M 12.0 MB 1.23 1.90",
        "Student alone 84.5 % ± 1.3 83.5 % 3.0 M 12.0 MB 1.23 1.90",
        "The distilled student on each class, the rarest first.",
        "Class Test texts Precision Recall F1",
        "tech 83 86.7 % 86.7 % 86.7 %",
        "entertainment 91 91.8 % 85.7 % 88.6 %",
        "politics 101 86.0 % 85.1 % 85.6 %",
        "sports 124 86.0 % 94.4 % 90.0 %",
        "business 125 88.3 % 84.8 % 86.5 %",
        "Accuracy on the test texts, and on texts unlike the labelled ones.",
        "test typos",
        "Teacher 90.0 % 80.0 %",
        "Distilled student 89.5 % 79.5 %",
        "Student alone 84.5 % 74.5 %",
        "Distillation helped: +5.0 points.",
        "Label [bold]x[/bold] :smile: was merged.",
        "Run r1: /data/runs/r1",
    ]


def test_the_report_names_a_class_without_test_texts_and_lists_the_rarest_of_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}
    scores = SAMPLE["student"]["seeds"]["0"] | {
        "per_class": [{"name": f"class {i}", **score, "support": i} for i in reversed(range(20))]
    }
    use_engine(monkeypatch, lambda *_: FakeReport(REPORT | {"student": model(0.895, seeds={"0": scores})}))
    assert main(["distill"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    first = lines.index("The distilled student on each class, the rarest first; 8 more in the report.")
    assert lines[first + 1] == "Class Test texts Precision Recall F1"
    assert lines[first + 2] == "class 0 0"  # nobody knows how well it is recognised
    assert lines[first + 3] == "class 1 1 50.0 % 25.0 % 33.3 %"
    assert lines[first + 13] == "class 11 11 50.0 % 25.0 % 33.3 %"
    assert lines[first + 14] == ""


def test_report_with_a_labelled_only_student_and_no_shifted_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {who: model(0.8, shifted={}) for who in ("teacher", "alone", "student", "labelled_only")}
    use_engine(monkeypatch, lambda *_: FakeReport(REPORT | models))
    assert main(["distill"]) == 0
    out = capsys.readouterr().out
    assert "\nDistilled on labelled texts only  80.0 % ± 1.3" in out
    assert "unlike the labelled" not in out


def raises(error: BaseException) -> Engine:
    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        raise error

    return engine


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("The file 'x.csv' has no rows."), 2, "kd: The file 'x.csv' has no rows.\n"),
        (ConfigError("first", "second"), 2, "kd: first\nkd: second\n"),
        (Stopped("Stopped on request."), 130, "kd: Stopped on request. To go on: kd resume {run}\n"),
        (KeyboardInterrupt(), 130, "\nkd: interrupted\n"),
    ],
)
def test_what_went_wrong_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    use_engine(monkeypatch, raises(error))
    assert main(["distill"]) == status
    captured = capsys.readouterr()
    (row,) = Store().runs()
    assert (captured.out, captured.err) == ("", message.format(run=row.id))


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch, raises(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["distill"])


def test_wrong_settings_stop_before_the_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = use_engine(monkeypatch, finishes)
    assert main(["distill", "--alpha", "1.4"]) == 2
    assert capsys.readouterr().err == "kd: --alpha must be between 0 and 1, got '1.4'\n"
    assert seen == []


def test_an_unknown_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--temperatur", "3"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kd: No such option")
    assert "--temperature" in error
    assert error.count("\n") == 1


def test_a_missing_config_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--config", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "kd: cannot read the config 'nowhere.yaml': No such file or directory\n"


def test_the_first_interrupt_stops_the_run_and_the_second_interrupts_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    stopping: list[bool] = []

    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        control.check()
        os.kill(os.getpid(), signal.SIGINT)
        stopping.append(control.stopping)
        if config.training.seeds == (0,):
            control.check()
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second interrupt did not arrive")

    use_engine(monkeypatch, engine)
    assert main(["distill"]) == 130
    assert capsys.readouterr().err.startswith("kd: Stopped on request. To go on: kd resume 2")
    assert main(["distill", "--seeds", "1"]) == 130
    assert capsys.readouterr().err == "\nkd: interrupted\n"
    assert stopping == [True, True]
    assert [row.status for row in Store().runs()] == ["interrupted", "stopped"]
    assert signal.getsignal(signal.SIGINT) == before


# Progress


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


# The other commands


@dataclass(frozen=True)
class FakePreset:
    name: str = "tiny"
    description: str = "Two [small] layers"
    layers: int | None = 2
    hidden: int | None = None
    heads: int | None = 2
    intermediate: int | None = None
    source: str = "built"
    hub_id: str | None = None


def use_module(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    for key, value in content.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_tasks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_module(monkeypatch, "kd_core.data.bundled", TASKS={"news": "News [5 topics]"})
    assert main(["tasks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "news", "description": "News [5 topics]"}]
    assert main(["tasks"]) == 0
    assert "\nnews  News [5 topics]" in capsys.readouterr().out


def test_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    presets = {"tiny": FakePreset()}
    use_module(monkeypatch, "kd_core.models.presets", TEACHERS={}, STUDENTS=presets)
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["teachers"] == []
    assert [(preset["name"], preset["layers"], preset["hidden"]) for preset in listed["students"]] == [
        ("tiny", 2, None)
    ]
    assert main(["models"]) == 0
    assert capsys.readouterr().out.rstrip().splitlines()[-1].split(maxsplit=4)[3:] == [
        "built",
        "Two [small] layers",
    ]


def use_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(run_id: str, texts: list[str], *, calibrated: bool, on_event: OnEvent) -> dict[str, Any]:
        sys.stdout.write("a library's remark\n")
        probabilities = {"[sport]": 0.25, "business": 0.625, "tech": 0.125}
        return {
            "run_id": run_id,
            "predictions": [{"text": t, "teacher": probabilities, "alone": None} for t in texts],
        }

    monkeypatch.setattr(prediction, "predict_texts", predict)


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes, *, terminal: bool = False) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    monkeypatch.setattr(stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stdin)


def test_predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_predict(monkeypatch)
    assert main(["predict", RUN, "Shares [fall]"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "Shares [fall]"
    answer = " ".join(captured.out.splitlines()[2].split())
    assert answer == "Teacher business 62.5 % [sport] 25.0 %"
    assert captured.err == "a library's remark\n"


def test_predict_shows_the_beginning_of_a_long_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_predict(monkeypatch)
    assert main(["predict", RUN, "a" * 100_000]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "a" * 500 + "… (100,000 characters)"
    assert main(["predict", RUN, "a" * 100_000, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"][0]["text"]) == 100_000


def test_predict_a_text_that_begins_with_a_dash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_predict(monkeypatch)
    assert main(["predict", "--help"]) == 0
    assert "Before a TEXT that begins with a dash write --." in capsys.readouterr().out
    assert main(["predict", RUN, "--", "-5 degrees"]) == 0
    assert capsys.readouterr().out.startswith("-5 degrees\n")


def test_predict_says_how_far_it_is_with_many_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(run_id: str, texts: list[str], *, calibrated: bool, on_event: OnEvent) -> dict[str, Any]:
        on_event(Progress(None, "Teacher", len(texts), 2 * len(texts)))
        return {"run_id": run_id, "predictions": []}

    monkeypatch.setattr(prediction, "predict_texts", predict)
    pipe(monkeypatch, b"a text\n" * 1000)
    assert main(["predict", RUN, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "  Teacher: 1,000 of 2,000\n"
    assert json.loads(captured.out)["predictions"] == []
    assert main(["predict", RUN, "one text"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command", [["predict"], ["cascade"], ["bench"], ["suspects"], ["export", "--to", "x"]]
)
def test_the_models_of_a_run_that_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    store = Store()
    store.create_run(RUN, {}, status="running")
    store.set_status(RUN, "failed")
    pipe(monkeypatch, b"a text\n")
    assert main([command[0], "last", *command[1:]]) == 2
    expected = f"kd: Run {RUN} is failed, so it has no models yet. Go on with it: kd resume {RUN}\n"
    assert capsys.readouterr().err == expected
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(paths, "folder_id", lambda: "another")
        elsewhere.setattr(socket, "gethostname", lambda: "node7")
        make_run(store, "20260131-150000-c3d4")
    pipe(monkeypatch, b"a text\n")
    assert main([command[0], "last", *command[1:]]) == 2
    expected = (
        "kd: The models of run 20260131-150000-c3d4 are in another data folder, on node7; use them there.\n"
    )
    assert capsys.readouterr().err == expected


@pytest.mark.skipif(sys.platform == "win32", reason="keeps a folder that somebody is in")
def test_the_folder_that_one_is_in_was_deleted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for arguments in (["distill", "--task", "reviews.csv"], ["show", "nothing"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == (
            "kd: The folder that you are in was deleted or moved. Change to another, for example cd.\n"
        )


def test_predict_reads_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_predict(monkeypatch)
    pipe(monkeypatch, "\ufeffUne élection\r\n\n  Zwei\n".encode())
    assert main(["predict", RUN, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run_id"] == RUN
    assert [prediction["text"] for prediction in result["predictions"]] == ["Une élection", "Zwei"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9\n", "The standard input is not UTF-8 (byte 3); convert it, for example with iconv."),
        (b" \n\n", "The standard input has no text; write one on each line."),
        (
            b"x" * 50_000_001,
            "The standard input has 50.0 MB, more than 50 MB. Give a smaller file, for example a sample of "
            "its rows.",
        ),
    ],
    ids=["Latin-1", "blank", "without an end"],
)
def test_predict_without_usable_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    pipe(monkeypatch, content)
    assert main(["predict", RUN]) == 2
    assert capsys.readouterr().err == f"kd: {message}\n"


def test_predict_does_not_wait_for_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, b"", terminal=True)
    assert main(["predict", RUN]) == 2
    assert (
        capsys.readouterr().err
        == 'kd: No text: write it after the run, kd predict RUN "text", or pipe lines.\n'
    )


def test_predict_refuses_undecodable_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", RUN, "caf\udce9"]) == 2
    assert capsys.readouterr().err == (
        "kd: Text 1 has half of a surrogate pair, which is no character; its bytes are not UTF-8. Convert it "
        "first, for example with iconv.\n"
    )


@pytest.mark.parametrize("text", ["", " \n\t", "\0"])
def test_predict_refuses_an_empty_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert main(["predict", RUN, "Shares fall", text]) == 2
    assert capsys.readouterr().err == (
        "kd: There is nothing to classify: text 2 is empty. Write a few words.\n"
    )


def test_alone_it_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for command in ("distill", "models", "predict", "tasks"):
        assert f"\n  {command}" in captured.err


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from kd_core.cli import main; main(['--help']); "
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'pydantic', 'sqlalchemy', 'streamlit'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "kd_core.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("kd, version ")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("tasks >&-", 0, ""),
        ("tasks 2>&- <&-", 0, ""),
        ("delete 20260131-143000-a1b2 <&-", 2, "kd: Nobody is there to ask"),
        ("predict 20260131-143000-a1b2 <&-", 2, "kd: The standard input has no text"),
    ],
)
def test_it_may_be_started_with_closed_streams(kd_home: Path, command: str, status: int, said: str) -> None:
    started = f"{shlex.quote(sys.executable)} -m kd_core.cli {command}"
    result = subprocess.run(["sh", "-c", started], capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    assert result.stderr.startswith(said)
    assert "Traceback" not in result.stderr


def test_an_output_of_another_encoding_gets_what_it_can_show(kd_home: Path) -> None:
    make_run(store := Store(), "20260131-143000-a1b2")
    store.rename("20260131-143000-a1b2", "Größe ±1")
    result = subprocess.run(
        [sys.executable, "-m", "kd_core.cli", "runs"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert b"Gr??e ?1" in result.stdout


# The runs that there are


def make_run(store: Store, run_id: str, status: str = "done", **config: Any) -> None:
    store.create_run(
        run_id, DistillConfig().change(config).model_dump(mode="json"), name=f"about {run_id[-4:]}"
    )
    if status == "done":
        store.save_report(run_id, REPORT | {"run_id": run_id})
    store.set_status(run_id, status)  # type: ignore[arg-type]


def test_a_benchmark_is_shown_as_tables(kd_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, bench = Store(), "20260131-160000-e5f6"
    store.create_run(bench, {"run": "20260131-143000-a1b2"}, kind="bench")
    store.save_report(bench, json.loads((SAMPLES / "bench.json").read_text("utf-8")))
    store.set_status(bench, "done")
    assert main(["show", bench]) == 0
    out = capsys.readouterr().out
    assert "Latency p50 and p95 in ms" in out
    assert "{" not in out


@pytest.mark.parametrize(("command", "said"), [("bench", "Benchmark of"), ("curve", "More texts for")])
def test_a_measurement_has_the_name_of_its_run(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    """As where it is started on a page: an id says nothing to who sees it wait."""
    run_id, names = "20260131-143000-a1b2", []

    def start(store: Store, config: Any, *, kind: str, name: str) -> Any:
        names.append(name)
        raise DataError("That is enough.")

    monkeypatch.setattr(sys.modules[f"kd_core.cli.{command}"], "start", start)
    store = Store()
    store.create_run(run_id, DistillConfig().model_dump(mode="json"), name="Demo")
    store.set_status(run_id, "done")
    main([command, run_id])
    assert names == [f"{said} Demo"]


def test_a_run_is_in_the_store_while_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []

    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        rows.extend(Store().runs())
        on_event(TrainingStarted("alone", 0, 3, cached=True))
        return FakeReport(REPORT)

    use_engine(monkeypatch, engine)
    assert main(["distill", "--name", "first try", "--temperature", "2"]) == 0
    (during,), (after,) = rows, Store().runs()
    assert (during.status, during.name, during.owner) == ("running", "first try", owner())
    assert during.config["objective"]["temperature"] == 2.0
    assert (after.status, after.accuracy["student"], after.verdict) == ("done", 0.895, "helped")
    assert TrainingStarted("alone", 0, 3, cached=True) in [row.event for row in Store().events(after.id)]


def test_one_waits_for_the_other(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_engine(monkeypatch, finishes)
    store = Store()
    make_run(store, RUN, "running")
    holds, waits = threading.Event(), threading.Event()

    def other() -> None:
        with machine_lock():
            holds.set()
            waits.wait(30)

    def told(console: Console, text: str, **_: Any) -> None:
        if text.startswith("Waiting"):
            capsys.readouterr()
            waits.set()
            seen.append((text, [row.status for row in store.runs()]))

    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(Console, "print", told)
    thread = threading.Thread(target=other)
    thread.start()
    assert holds.wait(30)
    assert main(["distill", "--json"]) == 0
    thread.join()
    assert seen == [
        (
            f"Waiting for run {RUN} (about a1b2), which is running; one runs at a time on a machine.",
            ["queued", "running"],
        )
    ]


def test_paths_are_kept_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run may be resumed in another folder."""
    use_engine(monkeypatch, finishes)
    (tmp_path / "mine.csv").write_text("text,label\n")
    (tmp_path / "bbc-sentences").write_text("not the bundled task\n")
    monkeypatch.chdir(tmp_path)
    assert main(["distill", "--task", "mine.csv", "--test-file", "nowhere.csv"]) == 0
    assert main(["distill", "--task", "bbc-sentences"]) == 0
    tasks = [row.config["task"] for row in Store().runs()]
    assert [task["name"] for task in tasks] == ["bbc-sentences", str(tmp_path / "mine.csv")]
    assert tasks[1]["test_file"] == "nowhere.csv"


def test_resume(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen = use_engine(monkeypatch, finishes)
    make_run(Store(), RUN, "interrupted", **{"objective.temperature": 3.0})
    assert main(["resume", "last", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == REPORT
    assert [config.objective.temperature for config in seen] == [3.0]
    assert Store().run(RUN).status == "done"
    assert main(["resume", RUN]) == 2
    assert capsys.readouterr().err == (
        f"kd: Run {RUN} is done; only one that is paused or ended early can be resumed.\n"
    )


def test_seeds_are_added_to_a_run_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = use_engine(monkeypatch, finishes)
    assert main(["distill", "--name", "first"]) == 0
    before = Store().report(Store().runs()[0].id).config["training"]["seeds"]
    assert main(["resume", "last", "--add-seeds", "2"]) == 0
    assert seen[-1].training.seeds == (*before, max(before) + 1, max(before) + 2)
    assert Store().runs()[0].name == f"first, {len(before) + 2} seeds"


def test_a_job_of_a_newer_version_is_not_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    newer: Any = "pruning"
    Store().create_run(RUN, {}, kind=newer, status="stopped")
    assert main(["resume", RUN]) == 2
    err = f"kd: Run {RUN} is a job of the kind 'pruning', of a newer KD Studio; resume it there.\n"
    assert capsys.readouterr().err == err


def test_a_run_whose_process_went_away_can_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch, finishes)
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    host, pid, started = owner().rsplit(":", 2)
    ticks, _, realm = started.partition("@")
    assert store.claim(f"{host}:{pid}:{int(ticks) - 1}@{realm}", RUN)
    assert main(["resume", RUN]) == 0
    assert store.run(RUN).status == "done"


def test_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert capsys.readouterr() == ("", "No runs yet. kd distill makes one.\n")
    make_run(Store(), "20260131-143000-a1b2")
    make_run(Store(), "20260131-150000-c3d4", "failed")
    assert main(["runs"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Run Status Name Task Student Accuracy Gain Verdict Created"
    assert lines[1].startswith("20260131-150000-c3d4 Failed about c3d4 bbc-headlines cnn 20")
    assert lines[2].startswith(
        "20260131-143000-a1b2 Done about a1b2 bbc-headlines cnn 89.5 % +5.0 points Better 20"
    )
    assert main(["runs", "--json", "--status", "done", "--status", "queued"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["status"], listed["accuracy"]["teacher"]) == (RUN, "done", 0.9)


@pytest.mark.parametrize(("width", "headings"), [(80, 7), (120, 8)])
def test_on_a_narrow_terminal_runs_are_listed_without_what_their_ids_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, headings: int
) -> None:
    make_run(Store(), RUN)
    spoil(RUN, name="")
    module = sys.modules["kd_core.cli.runs"]
    monkeypatch.setattr(module, "console", lambda stream, piped: output.console(stream, piped=width))
    assert main(["runs"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (
        first.split()
        == ["Run", "Status", "Task", "Student", "Accuracy", "Gain", "Verdict", "Created"][:headings]
    )
    assert second.split()[:2] == [RUN, "Done"]
    assert "+5.0 points" in second


def test_of_many_runs_the_newest_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        name = "/of/" + 300 * "x" + ".csv"
        make_run(Store(), f"20260131-14300{number}-a1b2", **{"task.name": name})
    monkeypatch.setattr(sys.modules["kd_core.cli.runs"], "LISTED", 3)
    listed = {
        (): (["3", "2", "1"], "The newest 3 of 4 runs; --limit 4 lists all.\n"),
        ("--limit", "1"): (["3"], "The newest 1 of 4 runs; --limit 4 lists all.\n"),
        ("--limit", "4"): (["3", "2", "1", "0"], ""),
    }
    for flags, (numbers, said) in listed.items():
        assert main(["runs", *flags]) == 0
        out, err = capsys.readouterr()
        # However long a task's name is, an id that one has to type is whole.
        assert re.findall(r"^20260131-14300(\d)-a1b2 ", out, re.MULTILINE) == numbers
        assert err == said
    for flags, count in (((), 4), (("--limit", "2"), 2)):
        assert main(["runs", "--json", *flags]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN, **{"objective.alpha": 0.5, "training.seeds": (3, 4)})
    assert main(["show", "2026"]) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == [f"Run {RUN} (about a1b2)", "Done."]
    assert lines[4:7] == ["Setting Value", "objective.alpha 0.5", "training.seeds 3,4"]
    assert "Distillation helped: +5.0 points." in lines
    assert main(["show", RUN, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["run"]["id"] == RUN
    assert shown["report"]["sentence"] == "Distillation helped: +5.0 points."


def test_show_a_run_that_is_under_way(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    make_run(store, RUN, "running")
    with closing(Recorder(store, RUN)) as record:
        record(StageStarted("distil"))
        record(Step("student", 0, 300, 1200, 0.5, 0.5, 0.5, 0.0, 1e-4, 100.0))
    assert main(["show", "last"]) == 0
    assert "\nRunning: 3 Distill, distilled student, 300 of 1,200; " in capsys.readouterr().out


def test_show_a_run_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN, "running")
    Store().set_status(RUN, "failed", "The file 'x.csv' has no rows.")
    assert main(["show", "last"]) == 0
    assert f"\nFailed: The file 'x.csv' has no rows. To go on: kd resume {RUN}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last", "There is no run yet; kd distill makes one."),
        ("2099", "No run starts with '2099'; kd runs lists them."),
        (RUN, f"There is no run {RUN}"),
    ],
)
def test_a_run_that_is_not_there(capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    assert main(["show", text]) == 2
    assert capsys.readouterr().err.startswith(f"kd: {message}")


def spoil(run_id: str, **values: str) -> None:
    """Raw values into a row of the database, as a tool may have left them."""
    changes = ", ".join(f"{name} = ?" for name in values)
    with closing(sqlite3.connect(paths.home() / "kd.sqlite")) as database:
        database.execute(f"UPDATE runs SET {changes} WHERE id = ?", (*values.values(), run_id))
        database.commit()


def test_a_row_that_cannot_be_read_is_listed_shown_and_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN)
    make_run(Store(), "20260131-150000-c3d4")
    spoil(RUN, config="[]")
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert {"Done", "Cannot"} <= set(out.split())
    assert err.startswith(f"Run {RUN} cannot be read: ")
    assert main(["runs", "--json"]) == 0
    listed = [(row["id"], row["status"]) for row in json.loads(capsys.readouterr().out)]
    assert listed == [("20260131-150000-c3d4", "done"), (RUN, "unreadable")]
    for command in ("show", "bench", "curve"):
        assert main([command, RUN]) == 2
        assert capsys.readouterr().err.startswith(f"kd: Run {RUN} cannot be read: ")
    assert main(["delete", RUN, "--yes"]) == 0
    assert [row.id for row in Store().runs()] == ["20260131-150000-c3d4"]


@pytest.mark.parametrize("command", [["runs", "--json"], ["show", RUN, "--json"], ["delete", RUN, "--yes"]])
def test_a_run_whose_process_is_gone_is_not_under_way(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    store.claim(owner().replace(f":{os.getpid()}:", f":{2**22 + 1}:"), RUN)
    assert main(command) == 0
    expected = [] if command[0] == "delete" else ["interrupted"]
    assert [row.status for row in store.runs()] == expected


def test_stop_and_pause_reach_the_process_that_has_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    store.claim(owner(), RUN)
    for command in ("pause", "stop"):
        assert main([command, RUN[:9]]) == 0
        assert capsys.readouterr().err == f"Run {RUN} will {command} after its current step.\n"
        assert store.command(RUN) == command
    store.set_status(RUN, "done")
    assert main(["stop", "last"]) == 2
    assert capsys.readouterr().err == f"kd: Cannot stop run {RUN}: it is done.\n"


def test_a_paused_run_goes_on_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    store.claim(owner(), RUN)
    assert main(["resume", RUN]) == 2
    assert capsys.readouterr().err == (
        f"kd: Run {RUN} is running; only one that is paused or ended early can be resumed.\n"
    )
    assert main(["pause", RUN]) == 0
    capsys.readouterr()
    assert main(["resume", RUN]) == 0
    assert capsys.readouterr().err == f"Run {RUN} goes on, in the process that has it.\n"
    assert (store.command(RUN), store.run(RUN).status) == ("run", "running")


def test_a_run_that_is_stopped_while_it_waits_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_engine(monkeypatch, finishes)
    store, lock = Store(), machine_lock()
    said = Console.print

    def told(console: Console, text: Any = "", *rest: Any, **options: Any) -> None:
        said(console, text, *rest, **options)
        if str(text).startswith("Waiting"):
            assert main(["stop", store.runs()[0].id]) == 0
            lock.release()

    monkeypatch.setattr(Console, "print", told)
    with lock:
        assert main(["distill"]) == 2
    (row,) = store.runs()
    assert row.status == "stopped"
    errors = capsys.readouterr().err
    assert f"Run {row.id} has left the queue." in errors
    assert "is no longer queued; somebody else started or cancelled it" in errors


def test_queued_runs_that_nobody_takes_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    Store().create_run(RUN, DistillConfig().model_dump(mode="json"))
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == (
        "Queued runs wait for a dashboard, and none is open. Start one: kd app\n"
    )
    RunnerState().set("The disk is full.")
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == (
        "Queued runs do not start: The disk is full. The dashboard tries again.\n"
    )
    RunnerState().set("")
    assert main(["runs"]) == 0
    assert capsys.readouterr().err == ""


def test_a_narrow_terminal_cuts_no_number_and_no_name() -> None:
    headings = ("", "Accuracy", "Macro-F1", "Parameters", "Size", "p50", "Note")
    rows = [
        ("Teacher", "91.2 % ± 2.4", "91.0 %", "22.7 M", "90.9 MB", "8.41", None),
        ("Distilled student", "87.6 % −3.2/+2.8", "86.9 % −3.3/+2.9", "640,321", "2.6 MB", "0.45", "[new]"),
    ]

    def shown(width: int) -> list[str]:
        stream = io.StringIO()
        output.console(stream, piped=width).print(output.table(headings, rows, range(1, 6)))
        return stream.getvalue().splitlines()

    assert [line.split()[0] for line in shown(120)] == ["Accuracy", "Teacher", "Distilled"]
    narrow = shown(60)
    assert narrow[:7] == [
        "Teacher",
        "  Accuracy: 91.2 % ± 2.4",
        "  Macro-F1: 91.0 %",
        "  Parameters: 22.7 M",
        "  Size: 90.9 MB",
        "  p50: 8.41",
        "Distilled student",
    ]
    assert narrow[-1] == "  Note: [new]"
    assert "…" not in "".join(narrow)


def test_a_name_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN)
    spoil(RUN, name="a\x1b]0;owned\x07b\x9b31m\u202ec")
    for command in (["runs"], ["show", RUN]):
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "a\ufffd]0;owned\ufffdb\ufffd31" in out
        assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert main(["show", "\x1b[31m"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_beginning_that_fits_several_runs(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), "20260131-143000-a1b2")
    make_run(Store(), "20260131-150000-c3d4")
    assert main(["show", "20260131"]) == 2
    assert capsys.readouterr().err == (
        "kd: '20260131' fits 2 runs: 20260131-150000-c3d4, 20260131-143000-a1b2; write more of it.\n"
    )


def test_delete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kd_home: Path) -> None:
    make_run(Store(), RUN)
    (kd_home / "runs" / RUN / "students").mkdir(parents=True)
    pipe(monkeypatch, b"")
    assert main(["delete", "last"]) == 2
    assert capsys.readouterr().err == f"kd: Nobody is there to ask; to delete run {RUN}, add --yes.\n"
    assert main(["delete", "last", "--yes"]) == 0
    assert Store().runs() == []
    assert list((kd_home / "runs").iterdir()) == []
    assert f"To have it back: kd delete {RUN} --undo" in capsys.readouterr().err
    assert main(["runs", "--status", "deleted", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [RUN]
    assert main(["delete", RUN, "--undo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"restored": RUN}
    assert [row.id for row in Store().runs()] == [RUN]
    assert [path.name for path in (kd_home / "runs").iterdir()] == [RUN]


@pytest.mark.parametrize("command", [["delete", "", "--yes"], ["show", ""]])
def test_no_text_means_no_run(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Store(), RUN)
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "kd: Which run? Give its id, a beginning of it, or last; kd runs lists them.\n"
    )
    assert len(Store().runs()) == 1


@pytest.mark.parametrize(("answer", "left", "status"), [(b"n\n", 1, 130), (b"y\n", 0, 0)])
def test_delete_asks_once(monkeypatch: pytest.MonkeyPatch, answer: bytes, left: int, status: int) -> None:
    make_run(Store(), RUN)
    pipe(monkeypatch, answer, terminal=True)
    assert main(["delete", RUN]) == status
    assert len(Store().runs()) == left


def test_clean(capsys: pytest.CaptureFixture[str], kd_home: Path) -> None:
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == f"{kd_home}\nNothing takes space yet.\n"
    place = kd_home / "cache" / "alone" / "abc"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(bytes(2_500_000))
    assert main(["clean", "--dry-run"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[2:] == ["Students alone 1 2.5 MB 2.5 MB", "", "kd clean would free 2.5 MB."]
    assert place.is_dir()
    assert main(["clean", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["freed_bytes"], found["items"][0]["path"]) == (2_500_000, str(place))
    assert not place.exists()


# The dashboard


def launched(monkeypatch: pytest.MonkeyPatch, *args: str) -> list[str]:
    """What the process becomes."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append(command))
    assert main(["app", *args]) == 0
    return commands[0]


def test_app_starts_streamlit_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    command = launched(monkeypatch, "--port", "8600")
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert Path(command[4]).name == "app.py"
    assert Path(command[4]).is_file()
    assert command[5:] == ["--server.port", "8600", "--server.address", "127.0.0.1"]


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.2"])
def test_app_on_other_names_of_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert launched(monkeypatch, "--host", host)[-1] == host


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_app_is_not_opened_to_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert main(["app", "--host", host]) == 2
    assert "would open the dashboard to everybody on the network" in capsys.readouterr().err


REHEARSAL = ("--host", "127.0.0.1")


def test_a_classroom_has_a_random_address_and_a_word_for_the_presenter_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KD_CLASSROOM_WORD", "")  # taken back at the end
    monkeypatch.setenv("KD_CLASSROOM_SEATS", "")
    seen = set()
    for _ in range(3):
        command = launched(monkeypatch, "--classroom", "--seats", "30", *REHEARSAL)
        assert Path(command[4]).name == "classroom.py"
        assert Path(command[4]).is_file()
        option = dict(zip(command[5::2], command[6::2], strict=True))
        path, word = option["--server.baseUrlPath"], os.environ["KD_CLASSROOM_WORD"]
        assert option["--server.allowedHosts"] == option["--server.address"] == "127.0.0.1"
        assert option["--client.showErrorDetails"] == "none"
        assert option["--logger.hideWelcomeMessage"] == "true", "the address is said once"
        assert word not in " ".join(command)  # which everybody on this machine can list
        assert os.environ["KD_CLASSROOM_SEATS"] == "30"
        said = capsys.readouterr().out
        assert f"For you:       http://127.0.0.1:8501/{path}/present/{word}\n" in said
        assert f"For everybody: http://127.0.0.1:8501/{path}\n" in said
        assert (len(path), len(word)) == (10, 22)
        seen |= {path, word}
    assert len(seen) == 6


def test_a_classroom_without_a_network_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["kd_core.cli.app"], "local_address", lambda: None)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert main(["app", "--classroom"]) == 2
    assert "this machine is in no network that others could reach it by" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_classroom_is_in_one_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert main(["app", "--classroom", "--host", host]) == 2
    assert f"--host {host} is no address to type" in capsys.readouterr().err


def launched_for_a_team(monkeypatch: pytest.MonkeyPatch, home: Path) -> list[str]:
    (home / ".streamlit").mkdir()
    (home / ".streamlit" / "secrets.toml").write_text('[auth]\nclient_id = "x"\n')
    monkeypatch.setenv("HOME", str(home))
    return launched(monkeypatch, "--host", "0.0.0.0")


def test_app_is_opened_where_people_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = launched_for_a_team(monkeypatch, tmp_path)
    assert command[command.index("--client.showErrorDetails") + 1] == "none"


def test_streamlit_knows_every_option_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of one that it does not know it warns, and goes on: without the rule of who may talk to the server."""
    known = set(streamlit.config.get_config_options())
    started = [*launched_for_a_team(monkeypatch, tmp_path), *launched(monkeypatch, "--classroom", *REHEARSAL)]
    flags = [part[2:] for part in started if part.startswith("--")]
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert "server.allowedHosts" in flags
    assert [option for option in [*flags, *option_names(settings)] if option not in known] == []


def option_names(table: dict[str, Any]) -> Iterator[str]:
    """ "theme.light.textColor" for each value of a table of tables."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in option_names(value))
        else:
            yield name


@pytest.mark.parametrize(
    "arguments",
    [["suspects", "run"], ["suspects", "run", "--marks", "m.csv"], ["ask", "run", "pool.csv"]],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_place_that_takes_no_file_is_said_before_anything_is_computed(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kd_core.deployment import ask

    monkeypatch.setattr(sys.modules["kd_core.cli.ask"], "find_finished", lambda run: run)
    for name in ("suspects", "unanswered"):
        monkeypatch.setattr(ask, name, lambda *_: pytest.fail("it began"))
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "x")
    assert cli.main([*arguments, "--to", place]) == 2
    assert f"--to {place} cannot be written: Not a directory." in capsys.readouterr().err
    filled_in = tmp_path / "marks.csv"
    filled_in.write_text("text,mark\na,drop\n")
    assert cli.main([*arguments, "--to", str(filled_in)]) == 2
    assert f"--to {filled_in} exists already; choose a new " in capsys.readouterr().err
    assert filled_in.read_text() == "text,mark\na,drop\n"
