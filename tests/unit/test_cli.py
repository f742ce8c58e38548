"""The ``kd`` command: flags, output, progress, exit statuses. The engine is replaced by a scripted one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

import kd_core
from kd_core import cli
from kd_core.cli import Narrator, count, duration, main, percent
from kd_core.config import DistillConfig, sections
from kd_core.errors import ConfigError, DataError, Stopped
from kd_core.events import (
    Control,
    Evaluated,
    OnEvent,
    Progress,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.flags import flag, options, read_config

FIELDS = [f"{section}.{name}" for section, fields in sections() for name in fields.model_fields]

# A legal value, other than the default, for the fields where the default says too little.
VALUES = {
    "task.max_length": "64",
    "teacher.intermediate": "64",
    "student.intermediate": "64",
    "teacher.epochs": "2",
    "teacher.learning_rate": "0.5",
    "training.learning_rate": "0.5",
    "teacher.heads": "4",  # must divide the hidden size
    "student.heads": "4",
    "student.init": "random",
    "student.hidden": "64",
    "teacher.hidden": "64",
    "training.steps": "7",
    "training.seeds": "3,4",
    "training.precision": "fp32",
    "training.evaluate_every": "5",
    "objective.divergence": "dkd",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cli.QUIET:
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


# Flags


def parse(*args: str) -> DistillConfig:
    context = cli.distill.make_context("kd distill", list(args))
    settings = {name: value for name, value in context.params.items() if name not in ("file", "as_json")}
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
    assert not {"--config", "--json", "--help"} & set(names)
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
    assert [name for name in FIELDS if changed[name] != default[name]] == [place]
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
        "--temperature must be above 0 and at most 100, got '0'",
        "--alpha must be between 0 and 1, got '1.4'",
        "--student-init must be one of random, teacher_layers, projected, pretrained, auto, got 'warm'",
    }


def help_of(place: str) -> str:
    (option,) = [o for group in options().values() for o in group if o.opts[0] == flag(place)]
    record = option.get_help_record(click.Context(cli.distill))
    assert record
    return "  ".join(record)


@pytest.mark.parametrize(
    ("place", "ending"),
    [
        ("objective.temperature", "[above 0 and at most 100; default: 4.0]"),
        ("training.steps", "[between 1 and 10,000,000, or auto; default: auto]"),
        ("training.precision", "[fp32, bf16, auto; default: auto]"),
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
    assert headings == ["Options:", "Task:", "Teacher:", "Student:", "Objective:", "Training:", "Controls:"]


# Running


def model(accuracy: float, **changes: Any) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "low": accuracy - 0.013,
        "high": accuracy + 0.013,
        "macro_f1": accuracy - 0.01,
        "ece": 0.05,
        "params": 2_985_733,
        "size_mb": 11.96,
        "latency_ms": {"p50": 1.234, "p95": 1.9, "batch": 1, "threads": 1},
        "shifted": {"typos": accuracy - 0.1},
    } | changes


REPORT: dict[str, Any] = {
    "run_id": "r1",
    "folder": "/data/runs/r1",
    "teacher": model(0.9, params=22_715_000, size_mb=90.9),
    "alone": model(0.845),
    "labelled_only": None,
    "student": model(0.895),
    "verdict": {"kind": "helped", "n": 531},
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

    def distill(config: DistillConfig, *, on_event: OnEvent, control: Control) -> FakeReport:
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


def test_report_as_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_engine(monkeypatch, finishes)
    assert main(["distill"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [" ".join(line) for line in lines] == [
        "On 531 test texts. Latency p50 and p95 in ms: batch 1, threads 1.",
        "Accuracy Macro-F1 Parameters Size p50 p95",
        "Teacher 90.0 % ± 1.3 89.0 % 22.7 M 90.9 MB 1.23 1.90",
        "Student alone 84.5 % ± 1.3 83.5 % 3.0 M 12.0 MB 1.23 1.90",
        "Distilled student 89.5 % ± 1.3 88.5 % 3.0 M 12.0 MB 1.23 1.90",
        "Accuracy on the test texts, and on texts that the models were not made for.",
        "test typos",
        "Teacher 90.0 % 80.0 %",
        "Student alone 84.5 % 74.5 %",
        "Distilled student 89.5 % 79.5 %",
        "Distillation helped: +5.0 points.",
        "Label [bold]x[/bold] :smile: was merged.",
        "Run r1: /data/runs/r1",
    ]


def test_report_with_a_labelled_only_student_and_no_shifted_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {who: model(0.8, shifted={}) for who in ("teacher", "alone", "student", "labelled_only")}
    use_engine(monkeypatch, lambda *_: FakeReport(REPORT | models))
    assert main(["distill"]) == 0
    out = capsys.readouterr().out
    assert "\nDistilled on labelled texts  80.0 % ± 1.3" in out
    assert "not made for" not in out


def raises(error: BaseException) -> Engine:
    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        raise error

    return engine


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("The file 'x.csv' has no rows."), 2, "kd: The file 'x.csv' has no rows.\n"),
        (ConfigError("first", "second"), 2, "kd: first\nkd: second\n"),
        (Stopped("Stopped on request."), 130, "kd: Stopped on request.\n"),
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
    assert (captured.out, captured.err) == ("", message)


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
    assert capsys.readouterr().err == "kd: Stopped on request.\n"
    assert main(["distill", "--seeds", "1"]) == 130
    assert capsys.readouterr().err == "\nkd: interrupted\n"
    assert stopping == [True, True]
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
        "2 Record",
        "  from cache",
        "3 Distil",
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
        "  10.0 s",
        "4 Validate",
        "  scoring Teacher: 1 of 4",
        "  measuring latency: 2 of 4",
        "  61 s",
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
    assert shown.index("30/30") < shown.index("10.0 s") < shown.index("4 Validate")


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
    def predict(run_id: str, texts: list[str]) -> dict[str, Any]:
        sys.stdout.write("a library's remark\n")
        probabilities = {"[sport]": 0.25, "business": 0.625, "tech": 0.125}
        return {
            "run_id": run_id,
            "predictions": [{"text": t, "teacher": probabilities, "alone": None} for t in texts],
        }

    use_module(monkeypatch, "kd_core.runs", predict=predict)


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes, *, terminal: bool = False) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    monkeypatch.setattr(stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stdin)


def test_predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_predict(monkeypatch)
    assert main(["predict", "r1", "Shares [fall]"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "Shares [fall]"
    answer = " ".join(captured.out.splitlines()[2].split())
    assert answer == "Teacher business 62.5 % [sport] 25.0 %"
    assert captured.err == "a library's remark\n"


def test_predict_reads_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_predict(monkeypatch)
    pipe(monkeypatch, "\ufeffUne élection\r\n\n  Zwei\n".encode())
    assert main(["predict", "r1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run_id"] == "r1"
    assert [prediction["text"] for prediction in result["predictions"]] == ["Une élection", "Zwei"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9\n", "The standard input is not UTF-8 (byte 3); convert it, for example with iconv."),
        (b" \n\n", "The standard input has no text; write one on each line."),
    ],
)
def test_predict_without_usable_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    pipe(monkeypatch, content)
    assert main(["predict", "r1"]) == 2
    assert capsys.readouterr().err == f"kd: {message}\n"


def test_predict_does_not_wait_for_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, b"", terminal=True)
    assert main(["predict", "r1"]) == 2
    assert (
        capsys.readouterr().err
        == 'kd: No text: write it after the run, kd predict RUN "text", or pipe lines.\n'
    )


def test_predict_refuses_undecodable_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "r1", "caf\udce9"]) == 2
    assert capsys.readouterr().err == (
        "kd: A text has bytes that are not UTF-8; pipe it through iconv first.\n"
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
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas', 'pydantic'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "kd_core.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("kd, version ")


# Numbers


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (percent(0.8949), "89.5 %"),
        (percent(1), "100.0 %"),
        (count(2_985_733), "3.0 M"),
        (count(99_999), "99,999"),
        (duration(3.14), "3.1 s"),
        (duration(1234.5), "1,234 s"),
    ],
)
def test_numbers(shown: str, text: str) -> None:
    assert shown == text
