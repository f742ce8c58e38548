"""A config as YAML: round trips, versions, and files that are not configs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kd_core.config import VERSION, DistillConfig, sections
from kd_core.errors import ConfigError
from kd_core.objectives import CARDS
from kd_core.system.settings import choices
from tests.unit.config_fields import FIELDS, LIMITS, numeric


def a_number(place: str) -> st.SearchStrategy[Any]:
    low, high = LIMITS[place]
    if numeric(FIELDS[place]) is int:
        numbers: st.SearchStrategy[Any] = st.integers(int(low), None if high is None else int(high))
    else:
        numbers = st.floats(low, high)
    return st.one_of(numbers, st.just("auto")) if choices(FIELDS[place]) == ("auto",) else numbers


legal_changes = st.fixed_dictionaries(
    {},
    optional={
        **{place: a_number(place) for place in LIMITS if not place.endswith((".hidden", ".heads"))},
        "task.name": st.text(),
        "task.text_column": st.none() | st.text(),
        "task.delimiter": st.none() | st.sampled_from(["\t", ";", ",", "|", "\x1f"]),
        "task.drop_empty": st.booleans(),
        "student.hidden": st.integers(4, 1024).map(lambda half: 2 * half),
        "student.init": st.sampled_from(choices(FIELDS["student.init"])),
        "objective.divergence": st.sampled_from(tuple(CARDS)),
        "training.seeds": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True),
        "training.precision": st.sampled_from(["fp32", "bf16", "auto"]),
    },
)


@settings(max_examples=30)
@given(changes=legal_changes)
@example(changes={"task.name": "a\x85b\u2028c\u2029 \n"})
def test_yaml_round_trip(changes: dict[str, Any]) -> None:
    config = DistillConfig().change(changes)
    text = config.to_yaml()
    assert DistillConfig.from_yaml(text) == config
    assert DistillConfig.from_yaml(text).to_yaml() == text


def test_yaml_order() -> None:
    version, *lines = DistillConfig().to_yaml().splitlines()
    assert version == f"version: {VERSION}"
    assert [line[:-1] for line in lines if not line.startswith((" ", "-"))] == [n for n, _ in sections()]
    names = [line.strip().split(":")[0] for line in lines if line.startswith("  ") and "- " not in line]
    assert names == [place.split(".")[1] for place in FIELDS]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            VERSION + 1,
            f"these settings are of a newer KD Studio (version {VERSION + 1}; this one knows {VERSION}); "
            "update KD Studio to use them",
        ),
        ("new", "version must be a whole number, got 'new'"),
        (True, "version must be a whole number, got True"),
    ],
)
def test_a_newer_version_is_refused(version: int | str, message: str) -> None:
    stored = {"version": version, "objective": {"power": 3}}
    for read in (DistillConfig.from_dict, lambda values: DistillConfig.from_yaml(yaml.safe_dump(values))):
        with pytest.raises(ConfigError) as caught:
            read(stored)
        assert caught.value.problems == (message,)


def test_partial_yaml_and_number_formats() -> None:
    config = DistillConfig.from_yaml(
        "training: {learning_rate: 1e-4, seeds: '0,1'}\ntask: {encoding: latin-1}"
    )
    assert (config.training.learning_rate, config.training.seeds) == (1e-4, (0, 1))
    assert config.task.encoding == "latin-1"


@pytest.mark.parametrize("text", ["", "\n# nothing yet\n", "{}"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    assert DistillConfig.from_yaml(text) == DistillConfig()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("task:\n  name: [", "this is not valid YAML in line 2: expected the node content, but found"),
        (
            "!!python/object:os.system x",
            "this is not valid YAML in line 1: could not determine a constructor",
        ),
        ("task: {name: 2024-13-45}", "this is not valid YAML: month must be in 1..12"),
        ("[" * 5000, "this is not valid YAML: maximum recursion depth exceeded"),
        ("- task", "a config is a mapping of sections, got list"),
        ("bbc-headlines", "a config is a mapping of sections, got str"),
        ("[]", "a config is a mapping of sections, got list"),
        ("objective: {alpha: 2}", "objective.alpha must be between 0 and 1, got 2"),
        ("objective: {alpha: yes}", "objective.alpha must be between 0 and 1, got True"),
        (
            "training: {seeds: [0, on]}",
            "training.seeds must be a list of whole numbers from 0 up, got [0, True]",
        ),
        (
            "training:\n  steps: 3\n  steps: 4",
            "this is not valid YAML in line 3: 'steps' stands there a second",
        ),
        ("task: {}\ntask: {}", "this is not valid YAML in line 2: 'task' stands there a second time"),
    ],
)
def test_invalid_yaml(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DistillConfig.from_yaml(text)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("place", ["training", "task: {name", "training: {seeds"])
def test_a_yaml_bomb_is_refused_briefly(place: str) -> None:
    lines = ["x: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"x{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 12)]
    lines += [f"{place}: *a11" + "}" * place.count("{")]
    with pytest.raises(ConfigError) as caught:
        DistillConfig.from_yaml("\n".join(lines))
    assert len(str(caught.value)) < 10_000


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/zero")
def test_an_endless_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="'/dev/zero' is no config: it has more than 1,000,000 characters"):
        DistillConfig.from_file("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match=r"run\.yaml' is a named pipe; write the settings into a file"):
        DistillConfig.from_file(pipe)


def test_yaml_merge_keys() -> None:
    config = DistillConfig.from_yaml(
        "teacher: &sizes {layers: 3, hidden: 64}\nstudent: {<<: *sizes, layers: 1}"
    )
    assert (config.teacher.layers, config.student.layers, config.student.hidden) == (3, 1, 64)


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("\ufeffobjective: {alpha: 0.5}  # ½\n", encoding="utf-8")
    assert DistillConfig.from_file(str(file)).objective.alpha == 0.5


def test_unreadable_files(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("task: {name: caf\xe9.csv}".encode("latin-1"))
    for path, reason in (
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (latin, "not a UTF-8 text file"),
    ):
        with pytest.raises(ConfigError) as caught:
            DistillConfig.from_file(path)
        assert str(caught.value) == f"cannot read the config {str(path)!r}: {reason}"
