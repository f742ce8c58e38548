"""Flags: one for each field of the config, its help, and what is said of a wrong value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from kd_core import cli
from kd_core.cli import main
from kd_core.cli.flags import options, read_config
from kd_core.config import DistillConfig, flag, sections
from kd_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("own_environment")

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


def test_an_unknown_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--temperatur", "3"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kd: No such option")
    assert "--temperature" in error
    assert error.count("\n") == 1


def test_a_missing_config_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--config", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "kd: cannot read the config 'nowhere.yaml': No such file or directory\n"
