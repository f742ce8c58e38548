"""Settings: bounds and choices in words, and the problems of illegal values."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.config import (
    MOST_SEEDS,
    ControlsConfig,
    DistillConfig,
    Initialisation,
    ObjectiveConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
)
from kd_core.errors import ConfigError
from kd_core.learn.lab_results import LabConfig
from kd_core.objectives import CARDS
from kd_core.search.config import SearchConfig
from kd_core.system.settings import bounds, choices, fixed
from tests.unit.config_fields import FIELDS, problem_with, problems_of

TEMPERATURES = "objective.temperature must be between 0.01 and 100, or auto"


def test_bounds_in_words() -> None:
    assert bounds(ObjectiveConfig.model_fields["temperature"]) == "between 0.01 and 100"
    assert bounds(ObjectiveConfig.model_fields["alpha"]) == "between 0 and 1"
    assert bounds(TrainingConfig.model_fields["steps"]) == "between 1 and 10,000,000"
    assert bounds(TrainingConfig.model_fields["warmup"]) == "at least 0 and below 1"
    assert bounds(TaskConfig.model_fields["name"]) == ""


def test_choices() -> None:
    assert choices(ObjectiveConfig.model_fields["divergence"]) == tuple(CARDS)
    assert choices(StudentConfig.model_fields["init"]) == (*get_args(Initialisation), "auto")
    assert choices(TrainingConfig.model_fields["steps"]) == ("auto",)
    assert choices(TaskConfig.model_fields["name"]) == ()


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        ("objective.temperature", 0, f"{TEMPERATURES}, got 0"),
        ("objective.temperature", 1e-320, f"{TEMPERATURES}, got 1e-320"),
        ("objective.temperature", math.nan, f"{TEMPERATURES}, got nan"),
        ("objective.alpha", 1.4, "objective.alpha must be between 0 and 1, got 1.4"),
        ("objective.alpha", -0.1, "objective.alpha must be between 0 and 1, got -0.1"),
        (
            "training.learning_rate",
            math.inf,
            "training.learning_rate must be between 1e-08 and 1, or auto, got inf",
        ),
        (
            "teacher.learning_rate",
            -1e-4,
            "teacher.learning_rate must be between 1e-08 and 1, or auto, got -0.0001",
        ),
        ("student.layers", 0, "student.layers must be between 1 and 48, got 0"),
        ("student.heads", 0, "student.heads must be between 1 and 64, got 0"),
        ("task.split_seed", -1, "task.split_seed must be between 0 and 4,294,967,295, got -1"),
        (
            "training.steps",
            "1,200",
            "training.steps must be a whole number between 1 and 10,000,000, or auto, got '1,200'",
        ),
        (
            "task.train_texts",
            "0.5",
            "task.train_texts must be a whole number of at least 0, got '0.5'",
        ),
        ("task.name", 3, "task.name must be text, got 3"),
        ("task.test_file", 3, "task.test_file must be text, got 3"),
        ("task.drop_empty", "perhaps", "task.drop_empty must be true or false, got 'perhaps'"),
        (
            "objective.divergence",
            "kl",
            f"objective.divergence must be one of {', '.join(CARDS)}, got 'kl'",
        ),
        (
            "training.precision",
            "fp64",
            "training.precision must be one of fp32, bf16, fp16, auto, got 'fp64'",
        ),
    ],
)
def test_a_problem_names_field_limits_and_value(place: str, value: Any, problem: str) -> None:
    assert problem_with(place, value) == problem


@pytest.mark.parametrize("value", ["0,x,-1", "0,x", "", ",", None, 1.5, -1, [], ["a", -1], {"a": 1}])
def test_illegal_seeds(value: Any) -> None:
    assert (
        problem_with("training.seeds", value)
        == f"training.seeds must be a list of whole numbers from 0 up, got {value!r}"
    )


@pytest.mark.parametrize(
    ("value", "seeds"),
    [("0,1,2", (0, 1, 2)), (" 3 , 4 ", (3, 4)), ("5,", (5,)), (6, (6,)), ([7, 8], (7, 8)), ((9,), (9,))],
)
def test_formats_of_seeds(value: Any, seeds: tuple[int, ...]) -> None:
    assert DistillConfig().change({"training.seeds": value}).training.seeds == seeds


def test_seeds_must_differ() -> None:
    assert problem_with("training.seeds", "1,2,1") == "training.seeds must differ, got 1,2,1"


def test_seeds_have_a_limit() -> None:
    many = list(range(MOST_SEEDS + 1))
    assert DistillConfig().change({"training.seeds": many[1:]}).training.seeds == tuple(many[1:])
    for value in (many, ",".join(map(str, many))):
        assert problem_with("training.seeds", value) == "training.seeds must have 100 values at most, got 101"
    few = DistillConfig().change({"training.seeds": many[:99]})
    assert len(few.with_more_seeds(1).training.seeds) == MOST_SEEDS
    with pytest.raises(ConfigError, match="100 values at most, got 101"):
        few.with_more_seeds(2)
    for config, run in ((SearchConfig, "distill"), (LabConfig, "distil")):
        with pytest.raises(ConfigError, match=r"^training\.seeds must have 100 values at most, got 101$"):
            config.from_dict({run: {"training": {"seeds": many}}})
    with pytest.raises(ConfigError, match=r"^seeds must have 100 values at most, got 101$"):
        LabConfig.from_dict({"seeds": many})


def test_unknown_names_list_the_choices() -> None:
    sections_text = "task, teacher, student, objective, training, controls"
    assert problems_of({"objectives": {}, 1: 2}) == (  # type: ignore[dict-item]
        f"objectives is not a setting; choose from {sections_text}",
        f"1 is not a setting; choose from {sections_text}",
    )
    assert problem_with("controls.sample", 1) == (
        f"controls.sample is not a setting; choose from {', '.join(ControlsConfig.model_fields)}"
    )


def test_all_problems_are_reported_in_order() -> None:
    values = {
        "extra": 1,
        "training": {"seeds": "0,x,-1", "steps": 0},
        "student": {"unknown": 1, "init": "warm", "heads": 3, "hidden": 100, "layers": 0},
        "objective": {"alpha": 2, "temperature": 0},
        "task": {"split_seed": -1},
    }
    assert problems_of(values) == (
        "task.split_seed must be between 0 and 4,294,967,295, got -1",
        "student.layers must be between 1 and 48, got 0",
        "student.heads must divide the hidden size 100, got 3",
        "student.init must be one of random, teacher_layers, teacher_vectors, projected, pretrained, auto, "
        "got 'warm'",
        "student.unknown is not a setting; choose from layers, hidden, heads, intermediate, model, init, "
        "trim_vocabulary, fill_vocabulary, pooling, positions, probe, freeze_embeddings",
        "objective.temperature must be between 0.01 and 100, or auto, got 0",
        "objective.alpha must be between 0 and 1, got 2",
        "training.steps must be between 1 and 10,000,000, or auto, got 0",
        "training.seeds must be a list of whole numbers from 0 up, got '0,x,-1'",
        "extra is not a setting; choose from task, teacher, student, objective, training, controls",
    )


@given(
    wrong=st.dictionaries(
        st.sampled_from(sorted(FIELDS)), st.sampled_from([-1, math.nan, [None], {}, b"\xff"]), min_size=1
    )
)
def test_one_problem_for_each_wrong_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        DistillConfig().change(wrong)
    order = [place for place in FIELDS if place in wrong]
    assert [problem.split(" ")[0] for problem in caught.value.problems] == order


def test_fixed() -> None:
    assert fixed(3) == 3
    assert fixed("bf16") == "bf16"
    with pytest.raises(ConfigError, match=r"^this config still has 'auto' values; resolve it first$"):
        fixed("auto")


def test_a_config_must_be_a_mapping() -> None:
    for values, kind in ((None, "NoneType"), ("run.yaml", "str; from_file reads a file"), ([1], "list")):
        with pytest.raises(ConfigError, match=f"^a config is a mapping of sections, got {kind}$"):
            DistillConfig.from_dict(values)
