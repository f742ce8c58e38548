"""The config tree: bounds, defaults, help, copies, and settings that depend on others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kd_core.config import (
    LESSON,
    DistillConfig,
    ObjectiveConfig,
    TaskConfig,
    changed,
    sections,
    slider,
    slider_start,
    weights_by_hand,
)
from kd_core.errors import ConfigError
from kd_core.objectives import CARDS
from tests.unit.config_fields import FIELDS, LIMITS, numeric, problem_with, problems_of

FLOATS = [place for place in LIMITS if numeric(FIELDS[place]) is float]
INTEGERS = [place for place in LIMITS if numeric(FIELDS[place]) is int and place != "task.transfer_texts"]


def with_value(place: str, value: Any) -> DistillConfig:
    """Change one setting, beside sizes that fit any number of heads."""
    section, _, name = place.partition(".")
    beside = {f"{section}.hidden": value * 8} if name == "heads" and value > 0 else {}
    beside |= {f"{section}.heads": 1} if name == "hidden" else {}
    return DistillConfig().change({**beside, place: value})


# Bounds, defaults and help


def test_every_number_has_limits() -> None:
    assert {place for place, info in FIELDS.items() if numeric(info)} == set(LIMITS)


@pytest.mark.parametrize("place", LIMITS)
def test_limits_are_legal_and_values_beyond_are_not(place: str) -> None:
    low, high = LIMITS[place]
    whole = numeric(FIELDS[place]) is int
    section, name = place.split(".")
    for value in (low, 10**9 if high is None else high):
        assert getattr(getattr(with_value(place, value), section), name) == value
    below = low - 1 if whole else math.nextafter(low, -1)
    above = None if high is None else high + 1 if whole else math.nextafter(high, math.inf)
    for value in (below, above):
        if value is not None:
            with pytest.raises(ConfigError) as caught:
                with_value(place, value)
            (problem,) = caught.value.problems
            assert problem.startswith(f"{place} must be ")
            assert problem.endswith(f", got {value!r}")


@pytest.mark.parametrize("place", FLOATS)
def test_floats_refuse_what_is_not_a_finite_number(place: str) -> None:
    for value in (math.nan, math.inf, -math.inf, -1.0, "nan", "inf", "", "ten", [1.0]):
        assert problem_with(place, value).endswith(f", got {value!r}")


@pytest.mark.parametrize("place", INTEGERS)
def test_integers_refuse_fractions(place: str) -> None:
    assert problem_with(place, 10.5).endswith(", got 10.5")


def test_documented_defaults() -> None:
    config = DistillConfig()
    assert DistillConfig.from_dict(config.model_dump()) == config
    names = (config.task.name, config.teacher.model, config.student.model)
    assert names == ("bbc-headlines", "auto", "cnn")
    assert (config.objective.temperature, config.objective.alpha) == ("auto", 0.6)
    assert (config.student.layers, config.student.hidden, config.training.seeds) == (2, 128, (0,))
    assert changed(LESSON.model_dump(mode="json")) == {
        "objective.alpha": 0.3,
        "objective.temperature": 4,
        "student.model": "tiny",
        "teacher.model": "minilm-l6",
        "teacher.pooling": "first",
    }


@pytest.mark.parametrize("place", FIELDS)
def test_help_and_slider_of_a_field(place: str) -> None:
    text = FIELDS[place].description
    assert text
    assert text[0].isupper()
    assert not text.endswith(".")
    extra = FIELDS[place].json_schema_extra
    assert isinstance(extra, dict)
    if extra["slider"]:
        low, high, step = slider(place)
        least, most = LIMITS[place]
        assert least <= low < high <= (math.inf if most is None else most)
        for position in (high, slider_start(place)):
            steps = (position - low) / step
            assert steps >= 0
            assert steps == pytest.approx(round(steps))


def test_sections_and_sliders_by_name() -> None:
    assert dict(sections()) == {name: type(section) for name, section in DistillConfig()}
    assert slider("objective.alpha") == (0, 1, 0.05)
    assert (slider_start("objective.alpha"), slider_start("objective.temperature")) == (0.3, 4)


def test_class_weights() -> None:
    assert weights_by_hand(" a, b = 2,c d=0.5, ") == {"a, b": 2.0, "c d": 0.5}
    for text in ("=1", "a", "a=1,b", "a=1=2", "x" * 100_000, "," * 100_000, " " * 100_000):
        with pytest.raises(ValueError, match="must be none, balanced, or weights such as sport=3"):
            weights_by_hand(text)
    for text, name in (("a=1,b=2,a=5", "a"), ("x=1," * 20_000 + "y", "x")):
        with pytest.raises(
            ValueError, match=f"must have one weight for each class, got several for '{name}'"
        ):
            weights_by_hand(text)


# Settings that depend on others


@pytest.mark.parametrize(
    ("section", "values", "problem"),
    [
        ("teacher", {"hidden": 100, "heads": 3}, "teacher.heads must divide the hidden size 100, got 3"),
        ("student", {"hidden": 100, "heads": 3}, "student.heads must divide the hidden size 100, got 3"),
        ("student", {"hidden": 101}, "student.heads must divide the hidden size 101, got 2"),
        ("student", {"hidden": 7, "heads": 3}, "student.hidden must be between 8 and 4,096, got 7"),
        ("student", {"hidden": 101, "heads": 0}, "student.heads must be between 1 and 64, got 0"),
    ],
)
def test_heads_and_hidden_size(section: str, values: dict[str, int], problem: str) -> None:
    assert problems_of({section: values}) == (problem,)


def test_intermediate_terms_and_the_teacher() -> None:
    assert not ObjectiveConfig().needs_teacher_online
    for name in ("hidden_weight", "cosine_weight", "attention_weight", "relation_weight"):
        assert ObjectiveConfig(**{name: 0.1}).needs_teacher_online
        assert ObjectiveConfig(**{name: 0.1}, alpha=1).uses_teacher
    assert [ObjectiveConfig(alpha=alpha).uses_teacher for alpha in (0, 0.99, 1)] == [True, True, False]


def test_settings_of_an_objective() -> None:
    without = [name for name in CARDS if not ObjectiveConfig(divergence=name).has_temperature]
    assert without == ["logit_mse", "hard_answers"]
    assert ObjectiveConfig().own_settings == {}
    own = ObjectiveConfig(divergence="dkd", dkd_target_weight=2).own_settings
    assert own == {"dkd_target_weight": 2.0, "dkd_other_weight": 8.0}
    for card in CARDS.values():
        assert set(card.settings) <= set(ObjectiveConfig.model_fields)


# Copies


def test_change_returns_a_copy() -> None:
    config = DistillConfig()
    other = config.change({"objective.temperature": "2", "student.model": Path("mini")})
    assert (other.objective.temperature, other.student.model) == (2.0, "mini")
    assert config == DistillConfig()
    assert other.change({"objective.temperature": "auto", "student.model": "cnn"}) == config
    for place in ("objectives.alpha", "objectives"):
        with pytest.raises(ConfigError, match=r"^objectives is not a setting; choose from task, teacher, "):
            config.change({place: 1})


def test_configs_are_frozen() -> None:
    config = DistillConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.task = TaskConfig()
    for section, _ in config:
        part = getattr(config, section)
        for name in type(part).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, name, 1)
    assert hash(config) == hash(DistillConfig())
