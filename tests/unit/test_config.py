"""The config tree: bounds, defaults, help, copies, and settings that depend on others."""

from __future__ import annotations

import math
import time
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


def value_of(config: DistillConfig, place: str) -> Any:
    section, name = place.split(".")
    return getattr(getattr(config, section), name)


def with_value(place: str, value: Any) -> DistillConfig:
    """``place`` changed, beside sizes that fit any number of heads."""
    section, _, name = place.partition(".")
    beside = {f"{section}.hidden": value * 8} if name == "heads" and value > 0 else {}
    beside |= {f"{section}.heads": 1} if name == "hidden" else {}
    return DistillConfig().change({**beside, place: value})


# Bounds, defaults and help


def test_a_path_is_a_text():
    config = DistillConfig.from_dict({"task": {"name": Path("mine") / "films.csv", "knowledge": None}})
    assert config.task.name == str(Path("mine") / "films.csv")
    assert DistillConfig().change({"student.model": Path("half")}).student.model == "half"
    assert DistillConfig.from_yaml(config.to_yaml()) == config


def test_the_table_of_limits_has_every_number() -> None:
    assert {place for place, info in FIELDS.items() if numeric(info)} == set(LIMITS)


@pytest.mark.parametrize("place", LIMITS)
def test_the_ends_are_legal_and_what_is_beyond_is_not(place: str) -> None:
    low, high = LIMITS[place]
    whole = numeric(FIELDS[place]) is int
    for value in (low, 10**9 if high is None else high):
        assert value_of(with_value(place, value), place) == value
    below = low - 1 if whole else math.nextafter(low, -1)
    above = None if high is None else high + 1 if whole else math.nextafter(high, math.inf)
    for value in (below, above):
        if value is not None:
            with pytest.raises(ConfigError) as caught:
                with_value(place, value)
            (problem,) = caught.value.problems
            assert problem.startswith(f"{place} must be ")
            assert problem.endswith(f", got {value!r}")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, "nan", "inf", "", "ten", [1.0]])
@pytest.mark.parametrize("place", FLOATS)
def test_no_float_takes_what_is_not_a_number(place: str, value: Any) -> None:
    assert problem_with(place, value).endswith(f", got {value!r}")


@pytest.mark.parametrize(
    "place", [place for place in LIMITS if numeric(FIELDS[place]) is int and place != "task.transfer_texts"]
)
def test_no_fraction_of_a_whole_number(place: str) -> None:
    assert problem_with(place, 10.5).endswith(", got 10.5")


def test_the_defaults_are_legal() -> None:
    assert DistillConfig.from_dict(DistillConfig().model_dump()) == DistillConfig()


def test_defaults_that_people_are_told() -> None:
    config = DistillConfig()
    assert (config.task.name, config.teacher.model, config.student.model) == (
        "bbc-headlines",
        "auto",
        "cnn",
    )
    assert changed(LESSON.model_dump(mode="json")) == {
        "objective.alpha": 0.3,
        "objective.temperature": 4,
        "student.model": "tiny",
        "teacher.model": "minilm-l6",
        "teacher.pooling": "first",
    }
    assert (config.objective.temperature, config.objective.alpha) == ("auto", 0.6)
    assert (config.student.layers, config.student.hidden, config.training.seeds) == (2, 128, (0,))


@pytest.mark.parametrize("place", FIELDS)
def test_every_field_has_help(place: str) -> None:
    text = FIELDS[place].description
    assert text
    assert text[0].isupper()
    assert not text.endswith(".")


@pytest.mark.parametrize("place", FIELDS)
def test_sliders_lie_within_the_bounds_and_hold_the_default(place: str) -> None:
    extra = FIELDS[place].json_schema_extra
    assert isinstance(extra, dict)
    slider = extra["slider"]
    assert isinstance(slider, list)
    if slider:
        low, high, step = slider
        least, most = LIMITS[place]
        assert least <= low < high <= (math.inf if most is None else most)
        for position in (high, slider_start(place)):
            steps = (position - low) / step
            assert steps >= 0
            assert steps == pytest.approx(round(steps))


def test_the_range_of_a_slider() -> None:
    assert slider("objective.alpha") == (0, 1, 0.05)
    assert (slider_start("objective.alpha"), slider_start("objective.temperature")) == (0.3, 4)


def test_sections_are_those_of_the_tree() -> None:
    assert dict(sections()) == {name: type(section) for name, section in DistillConfig()}


@pytest.mark.parametrize("text", ["x" * 100_000, "," * 100_000, " " * 100_000, "x=1," * 20_000 + "y"])
def test_weights_of_100_000_letters_are_refused_at_once(text: str) -> None:
    began = time.process_time()
    problem = problem_with("objective.class_weights", text)
    assert problem.startswith(
        "objective.class_weights must have one weight for each class, got several for 'x'"
        if text.startswith("x=1")
        else "objective.class_weights must be none, balanced, or weights such as sport=3"
    )
    assert time.process_time() - began < 1, "minutes, where each letter looks at all that follow"


def test_weights_of_classes_with_commas_and_spaces() -> None:
    assert weights_by_hand(" a, b = 2,c d=0.5, ") == {"a, b": 2.0, "c d": 0.5}
    for text in ("=1", "a", "a=1,b", "a=1=2"):
        with pytest.raises(ValueError, match="must be "):
            weights_by_hand(text)
    with pytest.raises(ValueError, match="must have one weight for each class, got several for 'a'"):
        weights_by_hand("a=1,b=2,a=5")


# Settings that depend on others


@pytest.mark.parametrize("section", ["teacher", "student"])
def test_heads_divide_the_hidden_size(section: str) -> None:
    (problem,) = problems_of({section: {"hidden": 100, "heads": 3}})
    assert problem == f"{section}.heads must divide the hidden size 100, got 3"
    assert DistillConfig.from_dict({section: {"hidden": 99, "heads": 3}})


def test_a_hidden_size_that_the_default_heads_do_not_divide() -> None:
    (problem,) = problems_of({"student": {"hidden": 101}})
    assert problem == "student.heads must divide the hidden size 101, got 2"


def test_a_hidden_size_that_is_not_legal_says_nothing_about_heads() -> None:
    (problem,) = problems_of({"student": {"hidden": 7, "heads": 3}})
    assert problem == "student.hidden must be between 8 and 4,096, got 7"


def test_heads_that_are_not_legal_are_not_replaced_by_the_default() -> None:
    (problem,) = problems_of({"student": {"hidden": 101, "heads": 0}})
    assert problem == "student.heads must be between 1 and 64, got 0"


@pytest.mark.parametrize("name", ["hidden_weight", "cosine_weight", "attention_weight", "relation_weight"])
def test_intermediate_terms_need_the_teacher_online(name: str) -> None:
    assert not ObjectiveConfig().needs_teacher_online
    assert ObjectiveConfig(**{name: 0.1}).needs_teacher_online
    assert ObjectiveConfig(**{name: 0.1}, alpha=1).uses_teacher


def test_a_divergence_has_a_temperature_or_not_and_settings_of_its_own() -> None:
    assert [name for name in CARDS if not ObjectiveConfig(divergence=name).has_temperature] == [
        "logit_mse",
        "hard_answers",
    ]
    assert ObjectiveConfig().own_settings == {}
    own = ObjectiveConfig(divergence="dkd", dkd_target_weight=2).own_settings
    assert own == {"dkd_target_weight": 2.0, "dkd_other_weight": 8.0}


@pytest.mark.parametrize("name", CARDS)
def test_the_settings_of_a_divergence_are_fields(name: str) -> None:
    assert set(CARDS[name].settings) <= set(ObjectiveConfig.model_fields)


@pytest.mark.parametrize(("alpha", "uses"), [(0, True), (0.99, True), (1, False)])
def test_with_the_labels_alone_the_teacher_is_not_used(alpha: float, uses: bool) -> None:
    assert ObjectiveConfig(alpha=alpha).uses_teacher == uses


# Copies


def test_change_makes_a_copy_that_differs_there_alone() -> None:
    config = DistillConfig()
    changed = config.change({"objective.temperature": "2", "student.model": "mini"})
    assert (changed.objective.temperature, changed.student.model) == (2.0, "mini")
    assert config == DistillConfig()
    assert changed.change({"objective.temperature": "auto", "student.model": "cnn"}) == config


@pytest.mark.parametrize("place", ["objectives.alpha", "objectives"])
def test_change_refuses_unknown_sections(place: str) -> None:
    with pytest.raises(ConfigError, match=r"^objectives is not a setting; choose from task, teacher, "):
        DistillConfig().change({place: 1})


def test_configs_are_frozen() -> None:
    config = DistillConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.task = TaskConfig()
    for section, _ in config:
        part = getattr(config, section)
        for name in type(part).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, name, 1)
    assert config == DistillConfig()
    assert hash(config) == hash(DistillConfig())
