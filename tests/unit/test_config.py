"""The config tree: bounds, defaults, help, YAML, and what is said about mistakes."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from kd_core.config import (
    DEMO,
    MOST_SEEDS,
    VERSION,
    ControlsConfig,
    DistillConfig,
    Initialisation,
    ObjectiveConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
    changed,
    of_today,
    sections,
    slider,
    slider_start,
    weights_by_hand,
)
from kd_core.errors import ConfigError
from kd_core.learn.lab_results import LabConfig
from kd_core.objectives import CARDS
from kd_core.search.config import SearchConfig
from kd_core.system.settings import bounds, choices, fixed

FIELDS: dict[str, FieldInfo] = {
    f"{section}.{name}": info for section, cls in sections() for name, info in cls.model_fields.items()
}

# Every number: the lowest and the highest that are legal (None: no end), as decided once, by hand.
TEMPERATURES = "objective.temperature must be between 0.01 and 100, or auto"
LIMITS: dict[str, tuple[float, float | None]] = {
    "task.train_texts": (0, None),
    "task.transfer_texts": (0, None),
    "task.augment": (0, 100),
    "task.split_seed": (0, 2**32 - 1),
    "task.max_length": (8, 8192),
    "teacher.layers": (1, 48),
    "teacher.hidden": (8, 4096),
    "teacher.heads": (1, 64),
    "teacher.intermediate": (8, 16_384),
    "teacher.epochs": (1, 200),
    "teacher.batch_size": (1, 4096),
    "teacher.learning_rate": (1e-8, 1),
    "teacher.seed": (0, 2**32 - 1),
    "student.layers": (1, 48),
    "student.hidden": (8, 4096),
    "student.heads": (1, 64),
    "student.intermediate": (8, 16_384),
    "objective.temperature": (0.01, 100),
    "objective.alpha": (0, 1),
    "objective.dkd_target_weight": (0, 100),
    "objective.dkd_other_weight": (0, 100),
    "objective.hidden_weight": (0, 1000),
    "objective.cosine_weight": (0, 1000),
    "objective.attention_weight": (0, 1000),
    "objective.relation_weight": (0, 1000),
    "student.fill_vocabulary": (0, 1_000_000),
    "task.smoothing": (0, 0.5),
    "training.steps": (1, 10_000_000),
    "training.batch_size": (1, 4096),
    "training.transfer_batch_size": (1, 4096),
    "training.learning_rate": (1e-8, 1),
    "training.warmup": (0, math.nextafter(1, 0)),
    "training.weight_decay": (0, 1),
    "training.max_grad_norm": (0.001, 1000),
    "training.evaluate_every": (1, None),
    "controls.resamples": (100, 1_000_000),
    "controls.latency_repeats": (5, 100_000),
}


def numeric(info: FieldInfo) -> type | None:
    """int or float, for fields that are such a number or ``auto``."""
    if get_origin(info.annotation) is tuple:
        return None
    parts = (info.annotation, *get_args(info.annotation))
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    return next((kind for kind in kinds if kind in (int, float)), None)


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


def problems_of(values: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        DistillConfig.from_dict(values)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


def problem_with(place: str, value: Any) -> str:
    section, name = place.split(".")
    (problem,) = problems_of({section: {name: value}})
    return problem


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
        "minilm-l6",
        "cnn",
    )
    assert changed(DEMO.model_dump(mode="json")) == {
        "objective.alpha": 0.3,
        "objective.temperature": 4,
        "student.model": "tiny",
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


def test_sections_are_those_of_the_tree() -> None:
    assert dict(sections()) == {name: type(section) for name, section in DistillConfig()}


# Mistakes


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
            "training.steps must be between 1 and 10,000,000, or auto, got '1,200'",
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
def test_a_problem_names_the_field_what_is_legal_and_the_value(place: str, value: Any, problem: str) -> None:
    assert problem_with(place, value) == problem


@pytest.mark.parametrize("value", ["0,x,-1", "0,x", "", ",", None, 1.5, -1, [], ["a", -1], {"a": 1}])
def test_bad_seeds_are_one_problem_with_the_value_as_typed(value: Any) -> None:
    assert (
        problem_with("training.seeds", value)
        == f"training.seeds must be a list of whole numbers from 0 up, got {value!r}"
    )


@pytest.mark.parametrize(
    ("value", "seeds"),
    [("0,1,2", (0, 1, 2)), (" 3 , 4 ", (3, 4)), ("5,", (5,)), (6, (6,)), ([7, 8], (7, 8)), ((9,), (9,))],
)
def test_ways_to_give_seeds(value: Any, seeds: tuple[int, ...]) -> None:
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


def test_a_long_value_is_not_repeated_as_a_whole() -> None:
    problem = problem_with("training.seeds", "x" * 5_000)
    assert problem.startswith("training.seeds must be a list of whole numbers from 0 up, got 'xxxx")
    assert "..." in problem
    assert len(problem) < 400


@pytest.mark.parametrize("place", ["training", "task: {name", "training: {seeds"])
def test_a_few_lines_that_stand_for_more_than_memory_holds(place: str) -> None:
    lines = ["x: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"x{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 12)]
    lines += [f"{place}: *a11" + "}" * place.count("{")]
    with pytest.raises(ConfigError) as caught:
        DistillConfig.from_yaml("\n".join(lines))
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize("text", ["x" * 100_000, "," * 100_000, " " * 100_000, "x=1," * 20_000 + "y"])
def test_weights_of_100_000_letters_are_refused_at_once(text: str) -> None:
    began = time.process_time()
    problem = problem_with("objective.class_weights", text)
    assert problem.startswith("objective.class_weights must be none, balanced, or weights such as sport=3")
    assert time.process_time() - began < 1, "minutes, where each letter looks at all that follow"


def test_weights_of_classes_with_commas_and_spaces() -> None:
    assert weights_by_hand(" a, b = 2,c d=0.5, ") == {"a, b": 2.0, "c d": 0.5}
    for text in ("=1", "a", "a=1,b", "a=1=2"):
        with pytest.raises(ValueError, match="must be "):
            weights_by_hand(text)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such device")
def test_a_device_without_an_end_is_no_config() -> None:
    with pytest.raises(ConfigError, match="'/dev/zero' is no config: it has more than 1,000,000 characters"):
        DistillConfig.from_file("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_for_which_nobody_writes_is_no_config(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match=r"run\.yaml' is a named pipe; write the settings into a file"):
        DistillConfig.from_file(pipe)


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


def test_unknown_names_list_the_choices() -> None:
    sections_text = "task, teacher, student, objective, training, controls"
    assert problems_of({"objectives": {}, 1: 2}) == (  # type: ignore[dict-item]
        f"objectives is not a setting; choose from {sections_text}",
        f"1 is not a setting; choose from {sections_text}",
    )
    assert problem_with("controls.sample", 1) == (
        f"controls.sample is not a setting; choose from {', '.join(ControlsConfig.model_fields)}"
    )


@pytest.mark.parametrize("value", [3, None, "text", [1]])
def test_a_section_is_a_mapping(value: Any) -> None:
    assert problems_of({"training": value}) == (f"training must be a mapping of settings, got {value!r}",)


def test_all_problems_at_once_in_the_order_of_the_fields() -> None:
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
        "trim_vocabulary, fill_vocabulary, pooling, positions, freeze_embeddings",
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


def test_fixed() -> None:
    assert fixed(3) == 3
    assert fixed("bf16") == "bf16"
    with pytest.raises(ConfigError, match=r"^this config still has 'auto' values; resolve it first$"):
        fixed("auto")


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


# YAML


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


@given(changes=legal_changes)
@example(changes={"task.name": "a\x85b\u2028c\u2029 \n"})
def test_yaml_round_trip(changes: dict[str, Any]) -> None:
    config = DistillConfig().change(changes)
    text = config.to_yaml()
    assert DistillConfig.from_yaml(text) == config
    assert DistillConfig.from_yaml(text).to_yaml() == text


def test_yaml_is_in_the_order_of_the_fields() -> None:
    version, *lines = DistillConfig().to_yaml().splitlines()
    assert version == f"version: {VERSION}"
    assert [line[:-1] for line in lines if not line.startswith((" ", "-"))] == [n for n, _ in sections()]
    names = [line.strip().split(":")[0] for line in lines if line.startswith("  ") and "- " not in line]
    assert names == [place.split(".")[1] for place in FIELDS]


NEWER = {"training.warmup": 0.0, "objective.alpha": 1.0}  # what 0.1 would have done without these settings


def older() -> dict[str, Any]:
    stored = DistillConfig().change({"training.steps": 7}).model_dump(mode="json")
    for place in NEWER:
        section, _, name = place.partition(".")
        del stored[section][name]
    return stored


def test_a_setting_that_a_stored_config_lacks_is_what_was_done_then(monkeypatch: pytest.MonkeyPatch) -> None:
    then = DistillConfig().change({"training.steps": 7, **NEWER})
    monkeypatch.setattr("kd_core.config.LEGACY", NEWER)
    assert of_today(older()) == then.model_dump(mode="json")
    assert of_today({"version": 1, **older()}) == then.model_dump(mode="json")
    assert DistillConfig.from_dict({"version": 1, **older()}) == then
    assert DistillConfig.from_yaml("version: 2\ntraining: {steps: 7}") == then
    # What is there counts, and what somebody types today has the defaults of today.
    assert of_today(DistillConfig().model_dump(mode="json")) == DistillConfig().model_dump(mode="json")
    assert DistillConfig.from_dict(older()) == DistillConfig().change({"training.steps": 7})
    assert DistillConfig.from_yaml("training: {steps: 7}") == DistillConfig().change({"training.steps": 7})


@pytest.mark.parametrize("wrap", ["config", "distill", "distil"])
def test_also_inside_of_a_report_a_search_and_a_lab(monkeypatch: pytest.MonkeyPatch, wrap: str) -> None:
    monkeypatch.setattr("kd_core.config.LEGACY", NEWER)
    assert of_today({"study": "x", "teacher": {"a": 1}, wrap: older()}) == {
        "study": "x",
        "teacher": {"a": 1},
        wrap: of_today(older()),
    }
    assert of_today({"run": "x", "config": "fast"}) == {"run": "x", "config": "fast"}  # an export's, say


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
def test_a_config_of_a_newer_version_says_so(version: int | str, message: str) -> None:
    stored = {"version": version, "objective": {"power": 3}}
    for read in (DistillConfig.from_dict, lambda values: DistillConfig.from_yaml(yaml.safe_dump(values))):
        with pytest.raises(ConfigError) as caught:
            read(stored)
        assert caught.value.problems == (message,)
    if version == VERSION + 1:
        assert of_today(stored) == stored


def test_part_of_a_config_and_numbers_as_people_write_them() -> None:
    config = DistillConfig.from_yaml(
        "training: {learning_rate: 1e-4, seeds: '0,1'}\ntask: {encoding: latin-1}"
    )
    assert (config.training.learning_rate, config.training.seeds) == (1e-4, (0, 1))
    assert config.task.encoding == "latin-1"


@pytest.mark.parametrize("text", ["", "\n# nothing yet\n", "{}"])
def test_an_empty_file_is_the_demo(text: str) -> None:
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
def test_yaml_that_is_not_a_config(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DistillConfig.from_yaml(text)
    assert str(caught.value).startswith(problem)


def test_a_config_from_something_else_than_a_mapping() -> None:
    for values, kind in ((None, "NoneType"), ("run.yaml", "str"), ([1], "list")):
        with pytest.raises(ConfigError, match=f"^a config is a mapping of sections, got {kind}$"):
            DistillConfig.from_dict(values)


def test_yaml_may_say_again_what_it_merges() -> None:
    config = DistillConfig.from_yaml(
        "teacher: &sizes {layers: 3, hidden: 64}\nstudent: {<<: *sizes, layers: 1}"
    )
    assert (config.teacher.layers, config.student.layers, config.student.hidden) == (3, 1, 64)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("\ufeffobjective: {alpha: 0.5}  # ½\n", encoding="utf-8")
    assert DistillConfig.from_file(str(file)).objective.alpha == 0.5


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
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
