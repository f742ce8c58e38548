"""``field``: each kind of widget changes the value, takes it from the URL, and refuses what is not legal."""

from __future__ import annotations

import html

import pytest
from streamlit.testing.v1 import AppTest

from kd_core import config
from kd_core.config import DistillConfig


def show(section: str, name: str, /, *, overrides: str = "", **parameters: str) -> AppTest:
    """A page with one field, whose value stands in the last ``st.code``."""
    section = section if "." in section else f"config.{section}"
    test = AppTest.from_string(
        "import streamlit as st\n"
        "from kd_core import config\n"
        "from kd_core.search import ladder\n"
        "from pages.shared.fields import field\n"
        f"value = field({section}, {name!r}, key='test.{name}'{overrides})\n"
        "st.code(repr(value))\n",
        default_timeout=20,
    )
    test.query_params.update({f"test.{key}": value for key, value in parameters.items()})
    return run(test)


def run(test: AppTest) -> AppTest:
    test.run()
    assert not test.exception
    return test


def value(test: AppTest) -> str:
    return str(test.code[0].value)


def test_a_field_with_a_slider_range_is_a_slider() -> None:
    test = show("ObjectiveConfig", "temperature")
    slider = test.slider(key="test.temperature")
    declared = config.slider("objective.temperature")
    assert (slider.label, slider.min, slider.max, slider.step) == ("Temperature", *declared)
    assert slider.help.startswith("Divides the logits of both models in the soft loss")
    assert value(test) == "2.0"
    slider.set_value(7.5)
    assert value(run(test)) == "7.5"


def test_whole_numbers_stay_whole() -> None:
    test = show("StudentConfig", "hidden", hidden="256")
    assert value(test) == "256"
    test.slider(key="test.hidden").set_value(320)
    assert value(run(test)) == "320"


def test_a_name_is_chosen_from_a_list() -> None:
    test = show("ObjectiveConfig", "divergence")
    box = test.selectbox(key="test.divergence")
    assert box.options[:3] == ["forward_kl", "reverse_kl", "js"]
    assert value(test) == "'forward_kl'"
    box.select("dkd")
    assert value(run(test)) == "'dkd'"


def test_auto_leads_the_names_of_a_field_that_has_it() -> None:
    test = show("TrainingConfig", "precision")
    assert test.selectbox(key="test.precision").options == ["auto", "fp32", "bf16", "fp16"]
    assert value(test) == "'auto'"


def test_a_switch_is_a_toggle() -> None:
    test = show("StudentConfig", "trim_vocabulary")
    assert value(test) == "True"
    test.toggle(key="test.trim_vocabulary").set_value(False)
    assert value(run(test)) == "False"


def test_a_number_that_may_be_none_is_empty_then() -> None:
    test = show("ladder.LadderConfig", "within_mb", overrides=", step=1.0")
    assert value(test) == "None"
    test.number_input(key="test.within_mb").set_value(5.0)
    assert value(run(test)) == "5.0"
    assert value(show("ladder.LadderConfig", "within_mb", overrides=", step=1.0", within_mb="2.5")) == "2.5"


def test_a_number_that_may_be_auto_is_empty_then() -> None:
    test = show("TrainingConfig", "learning_rate")
    number = test.number_input(key="test.learning_rate")
    assert (number.placeholder, number.min, number.max) == ("auto", 1e-8, 1)
    assert value(test) == "'auto'"
    number.set_value(3e-4)
    assert value(run(test)) == "0.0003"


@pytest.mark.parametrize(
    ("section", "name", "step"),
    [
        ("TrainingConfig", "batch_size", 1),
        ("TrainingConfig", "warmup", 0.01),
        ("TrainingConfig", "max_grad_norm", 0.1),
        ("ObjectiveConfig", "dkd_other_weight", 0.1),
    ],
)
def test_a_number_moves_by_a_step_of_its_size(section: str, name: str, step: float) -> None:
    assert show(section, name).number_input(key=f"test.{name}").step == pytest.approx(step)


def test_an_empty_text_is_none() -> None:
    test = show("TaskConfig", "text_column")
    assert value(test) == "None"
    test.text_input(key="test.text_column").input("review")
    assert value(run(test)) == "'review'"


def test_seeds_are_a_text_that_the_config_reads() -> None:
    test = show("TrainingConfig", "seeds")
    assert value(test) == "'0'"
    test.text_input(key="test.seeds").input("0, 1, 2")
    seeds = value(run(test)).strip("'")
    assert DistillConfig.from_dict({"training": {"seeds": seeds}}).training.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("section", "name", "text", "expected"),
    [
        ("ObjectiveConfig", "temperature", "7.5", "7.5"),
        ("ObjectiveConfig", "divergence", "js", "'js'"),
        ("StudentConfig", "trim_vocabulary", "false", "False"),
        ("TrainingConfig", "steps", "400", "400"),
        ("TaskConfig", "name", "bbc-articles", "'bbc-articles'"),
        ("ObjectiveConfig", "temperature", "2", "2.0"),  # the default: nothing to say
    ],
)
def test_the_url_sets_the_value(section: str, name: str, text: str, expected: str) -> None:
    test = show(section, name, **{name: text})
    assert value(test) == expected
    assert not test.caption


@pytest.mark.parametrize(
    ("section", "name", "text", "expected"),
    [
        ("ObjectiveConfig", "temperature", "999", "2.0"),
        ("ObjectiveConfig", "temperature", "nan", "2.0"),
        ("ObjectiveConfig", "temperature", "![](http://127.0.0.1:9/x)", "2.0"),
        ("ObjectiveConfig", "divergence", "magic", "'forward_kl'"),
        ("StudentConfig", "trim_vocabulary", "perhaps", "True"),
        ("TrainingConfig", "steps", "0", "'auto'"),
        ("TrainingConfig", "batch_size", "many", "32"),
    ],
)
def test_what_is_not_legal_in_the_url_gives_way_and_is_named(
    section: str, name: str, text: str, expected: str
) -> None:
    test = show(section, name, **{name: text})
    assert value(test) == expected
    shown = html.unescape(test.caption[0].value).replace("\u2060", "")
    assert shown == (
        f":material/warning: The link has test.{name}={text}, which is not possible here; "
        f"{expected.strip(chr(39))} is used."
    )
    assert "![](" not in test.caption[0].value


def test_a_page_narrows_the_choice_and_changes_the_default() -> None:
    test = show("StudentConfig", "heads", overrides=", options=[1, 2, 4], value=4, label='Attention heads'")
    box = test.selectbox(key="test.heads")
    assert (box.label, box.options) == ("Attention heads", ["1", "2", "4"])
    assert value(test) == "4"
    assert value(show("StudentConfig", "heads", overrides=", options=[1, 2, 4], value=4", heads="2")) == "2"
    assert value(show("StudentConfig", "heads", overrides=", options=[1, 2, 4], value=4", heads="3")) == "4"
