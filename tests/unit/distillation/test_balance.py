"""Rare classes: weights and metrics by hand, and that all models of a run have them."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.config import DistillConfig, ObjectiveConfig
from kd_core.distillation.balance import (
    auto_metric,
    auto_temperature,
    class_weights,
    never_answered,
    notes,
    rarest,
    score,
)
from kd_core.distillation.reproduce import command
from kd_core.distillation.roles import LISTED, ROLES, student_variants
from kd_core.errors import ConfigError

NAMES = ("ham", "news, local", "spam")
LABELS = [0] * 6 + [1] * 3 + [2]


def test_a_class_that_is_never_answered_is_named_with_what_to_try() -> None:
    """Over both seeds; a class without a test text is no loss."""
    seeds = [[[5, 0, 0], [2, 0, 0], [0, 0, 0]], [[4, 1, 0], [2, 0, 0], [0, 0, 0]]]
    names, train = ("a", "b", "c"), [0] * 5 + [1] * 2 + [2] * 2
    assert never_answered("It", seeds, names, train, balanced=False) == []
    [said] = never_answered("It", seeds[:1], names, train, balanced=False)
    assert said == (
        "It answers no test text with 'b', though there are some: bring more of them, or try --class-weights "
        "balanced."
    )
    assert never_answered("It", seeds[:1], names, train, balanced=True)[0].endswith("more of them.")
    alike = never_answered("It", seeds[:1], names, [0, 1, 2] * 3, balanced=False)
    assert alike[0].endswith("more of them."), "weights of classes that have as many texts are all one"


def test_balanced_weights_make_the_classes_count_alike():
    weights = class_weights("balanced", NAMES, LABELS)
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    assert weights[LABELS].mean() == pytest.approx(1)
    assert class_weights("balanced", ("ham", "eggs"), [0, 0, 0, 0]).tolist() == [0.5, 2.0], (
        "none of one is one"
    )


def test_weights_by_hand_are_by_name_and_else_1():
    assert class_weights("spam=4, news, local=0.5", NAMES, LABELS).tolist() == [1, 0.5, 4]
    assert class_weights("none", NAMES, LABELS) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ballanced", "must be none, balanced, or weights such as sport=3,tech=0.5, got 'ballanced'"),
        ("spam=4,ham", "weights such as sport=3,tech=0.5, got 'spam=4,ham'"),
        ("spam=0", "must be between 0.001 and 1,000 for each class, got '0' for 'spam'"),
        ("spam=nan", "got 'nan' for 'spam'"),
        ("spam=many", "got 'many' for 'spam'"),
    ],
)
def test_weights_that_cannot_be_are_refused(text, says):
    with pytest.raises(ConfigError, match=says):
        DistillConfig().change({"objective.class_weights": text})


@pytest.mark.parametrize("metric", ["f1", "f1:", "recall", "macro-f1"])
def test_an_unknown_metric_is_refused(metric):
    with pytest.raises(ConfigError, match=f"training.metric must be auto, accuracy, .* got {metric!r}"):
        DistillConfig().change({"training.metric": metric})


def test_a_class_that_is_not_there_is_named():
    says = "--class-weights names 'eggs', not a class of this task; its classes are 'ham', 'news, local'"
    with pytest.raises(ConfigError, match=says):
        class_weights("eggs=2", NAMES, LABELS)


def test_the_metric_is_macro_f1_below_half_of_a_fair_share():
    """Of three classes, the fair share of 60 texts is 20: 9 are less than half of it, and 10 are not."""
    assert auto_metric(NAMES, [0] * 25 + [1] * 26 + [2] * 9) == "macro_f1"
    assert auto_metric(NAMES, [0] * 25 + [1] * 25 + [2] * 10) == "accuracy"
    assert rarest(NAMES, LABELS) == ("spam", pytest.approx(0.3))
    assert auto_metric(NAMES, [0, 1]) == "macro_f1"  # one has no text at all


def test_the_temperature_is_low_below_a_quarter_of_a_fair_share():
    """Of three classes, the fair share of 60 texts is 20: 4 are less than a quarter of it, and 5 are not."""
    assert auto_temperature(NAMES, [0] * 28 + [1] * 28 + [2] * 4) == 1
    assert auto_temperature(NAMES, [0] * 28 + [1] * 27 + [2] * 5) == 2


def test_the_temperature_is_high_from_twenty_classes_on():
    names = [f"class {i}" for i in range(20)]
    assert auto_temperature(names, list(range(20))) == 4
    assert auto_temperature(names[:19], list(range(19))) == 2
    assert auto_temperature(names, [*range(19), *range(19), *range(19), *range(19), *range(19), 19]) == 1


def test_scores_by_hand():
    """Ham: 5 of 6, with one wrong answer more; news: 2 of 3 and one more; spam never."""
    answers = [0] * 5 + [1] + [1, 1, 0] + [0]
    assert score("accuracy", answers, LABELS, NAMES) == 0.7
    f1 = [2 * 5 / (6 + 7), 2 * 2 / (3 + 3), 0]
    assert score("macro_f1", answers, LABELS, NAMES) == pytest.approx(np.mean(f1))
    for name, value in zip(NAMES, f1, strict=True):
        assert score(f"f1:{name}", answers, LABELS, NAMES) == pytest.approx(value)


def test_what_a_person_is_told():
    three = [0, 1, 2] * 3
    assert notes("accuracy", NAMES, [0, 1, 2], [0, 1, 2], [0, 1, 2]) == []
    # By choice, not because a class is rare.
    assert notes("macro_f1", NAMES, [0, 1, 2], three, [0, 1, 2]) == []
    why, missing = notes("macro_f1", NAMES, LABELS, three, [0, 1])
    assert why.startswith(
        "The class 'spam' has 1 of the 10 training texts, less than half of a fair share (3), so"
    )
    assert missing.startswith("The class 'spam' has no test text: how well it is recognised is not known.")
    assert "The classes 'ham', 'spam' have no test text" in notes("accuracy", NAMES, [0], three, [1])[0]
    [chance] = notes("macro_f1", NAMES, [0, 1, 2], [0, 0, 0, 1, 1, 1, 2], [0, 1, 2])
    assert chance.startswith(
        "The class 'spam' has 1 validation text: one can move the validation macro-F1 by about 33 points, so"
    )


@pytest.mark.parametrize("who", LISTED)
def test_all_models_minimise_the_weighted_loss(who):
    assert ROLES[who].objective(ObjectiveConfig(class_weights="balanced")).class_weights == "balanced"


def test_controls_keep_the_weights():
    config = DistillConfig().change({"objective.class_weights": "sport=3", "controls.plain_start": True})
    assert {variant.objective.class_weights for variant in student_variants(config, 100)} == {"sport=3"}


def test_settings_round_trip():
    config = DistillConfig().change(
        {"objective.class_weights": "sport=3,tech=2", "training.metric": "f1:tech"}
    )
    assert DistillConfig.from_yaml(config.to_yaml()) == config
    assert "--class-weights sport=3,tech=2" in command(config.model_dump(mode="json"))
    assert "--metric f1:tech" in command(config.model_dump(mode="json"))
