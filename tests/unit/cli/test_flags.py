from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from kd_core import cli
from kd_core.cli.flags import options, read_config
from kd_core.config import DistillConfig, flag, sections
from kd_core.errors import ConfigError

FIELDS = [f"{section}.{name}" for section, fields in sections() for name in fields.model_fields]

# A legal value, other than the default, for the fields where the default says too little.
VALUES = {
    **dict.fromkeys(("task.max_length", "student.fill_vocabulary"), "64"),
    **{f"{who}.{size}": "64" for who in ("teacher", "student") for size in ("hidden", "intermediate")},
    **{f"{who}.heads": "4" for who in ("teacher", "student")},  # must divide the hidden size
    **{f"{who}.pooling": "mean" for who in ("teacher", "student")},
    **{f"{who}.learning_rate": "0.5" for who in ("teacher", "training")},
    "task.augment": "3",
    "task.answers": "logits",
    "task.gold": "none",
    "task.answer_columns": "sport,tech",
    "objective.temperature": "2.5",
    "objective.class_weights": "sport=3,tech=0.5",
    "objective.divergence": "dkd",
    "teacher.epochs": "2",
    "teacher.weights": "best",
    "student.init": "random",
    "training.metric": "f1:tech",
    "training.report_to": "tensorboard,wandb",
    "training.steps": "7",
    "training.seeds": "3,4",
    "training.precision": "fp32",
    "training.evaluate_every": "5",
}


def parse(*args: str) -> DistillConfig:
    params = cli.distill.make_context("kd distill", list(args)).params
    file = params.pop("file")
    return read_config(file, {name: v for name, v in params.items() if name not in ("name", "as_json")})


def leaves(config: DistillConfig) -> dict[str, Any]:
    dumped = config.model_dump().items()
    return {f"{section}.{name}": value for section, fields in dumped for name, value in fields.items()}


DEFAULT = leaves(DistillConfig())


def other_value(place: str) -> str:
    default = DEFAULT[place]
    if isinstance(default, float):
        return VALUES.get(place, str(default / 2 or 0.25))
    return VALUES.get(place, str(default + 1) if isinstance(default, int) else "other")


def test_each_field_has_one_flag() -> None:
    flags = [option for group in options().values() for option in group]
    names = [name for option in flags for name in (*option.opts, *option.secondary_opts)]
    assert len(set(names)) == len(names)
    assert not {"--config", "--name", "--json", "--help"} & set(names)
    assert sorted(option.opts[0] for option in flags) == sorted(flag(place) for place in FIELDS)


@pytest.mark.parametrize("place", FIELDS)
def test_flag_changes_its_field_and_no_other(place: str) -> None:
    if isinstance(DEFAULT[place], bool):
        args = [f"--no-{flag(place)[2:]}" if DEFAULT[place] else flag(place)]
    else:
        args = [flag(place), other_value(place)]
    changed = leaves(parse(*args))
    # A file of answers is the task.
    expected = ["task.name", place] if place == "task.knowledge" else [place]
    assert [name for name in FIELDS if changed[name] != DEFAULT[name]] == expected
    if not isinstance(DEFAULT[place], bool):
        shown = changed[place]
        assert str(",".join(map(str, shown)) if isinstance(shown, tuple) else shown) == args[1]


def test_flag_names() -> None:
    places = ["task.name", "teacher.model", "task.text_column", "teacher.heads", "training.learning_rate"]
    names = ["--task", "--teacher", "--text-column", "--teacher-heads", "--learning-rate"]
    assert [flag(place) for place in places] == names


def test_flags_override_the_file(tmp_path: Path) -> None:
    assert parse() == DistillConfig()
    file = tmp_path / "run.yaml"
    file.write_text("objective: {temperature: 2, alpha: 0.5}\n", encoding="utf-8")
    config = parse("--config", str(file), "--alpha", "0.1", "--no-labelled-only")
    assert (config.objective.temperature, config.objective.alpha) == (2.0, 0.1)
    assert config.controls.labelled_only is False
    file.write_text("task: {knowledge: answers.csv}", encoding="utf-8")
    task = parse("--config", str(file), "--knowledge", "", "--task", "bbc-sentences").task
    assert (task.name, task.knowledge) == ("bbc-sentences", None)


def test_all_problems_are_told_at_once_by_flag() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("--temperature", "0", "--alpha", "1.4", "--student-init", "warm")
    assert set(caught.value.problems) == {
        "--temperature must be between 0.01 and 100, or auto, got '0'",
        "--alpha must be between 0 and 1, got '1.4'",
        "--student-init must be one of random, teacher_layers, teacher_vectors, projected, pretrained, auto, "
        "got 'warm'",
    }


@pytest.mark.parametrize(
    ("place", "kind", "ending"),
    [
        ("objective.temperature", "NUMBER", "[between 0.01 and 100, or auto; default: auto]"),
        ("objective.divergence", "NAME", "dkd, hard_answers; default: forward_kl]"),
        ("training.learning_rate", "NUMBER", ""),
        ("training.steps", "", "[between 1 and 10,000,000, or auto; default: auto]"),
        ("training.precision", "", "[fp32, bf16, fp16, auto; default: auto]"),
        ("training.seeds", "", "[between 0 and 4,294,967,295; default: 0]"),
        ("task.transfer_texts", "", "[at least 0; default: 12000]"),
        ("task.drop_empty", "", "Drop rows whose label is blank [default: off]"),
        ("task.test_file", "", "Own test file, with the same columns"),
        ("task.encoding", "TEXT", ""),
    ],
)
def test_help_shows_bounds_choices_and_default(place: str, kind: str, ending: str) -> None:
    (option,) = [o for group in options().values() for o in group if o.opts[0] == flag(place)]
    record = option.get_help_record(click.Context(cli.distill))
    assert record
    assert record[0].startswith(f"{flag(place)} {kind}".rstrip())
    assert record[1].endswith(ending)


def test_help_has_a_heading_for_each_section(kd) -> None:
    lines = kd("distill --help").out.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith((" ", "Usage"))]
    titles = [f"{section.capitalize()}:" for section, _ in sections()]
    assert headings == ["Options:", "Smallest student:", *titles]


def test_unknown_flag_names_the_nearest(kd) -> None:
    status, _, err = kd("distill --temperatur 3")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("kd: No such option")
    assert "--temperature" in err
