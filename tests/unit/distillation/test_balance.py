"""Tests of rare classes: the weights of the hard loss, the metric that judges, and what a person is told."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.config import DistillConfig
from kd_core.distillation.balance import (
    auto_metric,
    auto_temperature,
    class_weights,
    fixed_metric,
    never_answered,
    notes,
    rarest,
    score,
)
from kd_core.distillation.reproduce import command
from kd_core.distillation.roles import student_variants
from kd_core.errors import ConfigError

NAMES = ("ham", "news, local", "spam")
LABELS = [0] * 6 + [1] * 3 + [2]
THREE = [0, 1, 2] * 3


@pytest.mark.parametrize(
    ("choice", "names", "labels", "expected"),
    [
        ("balanced", NAMES, LABELS, [10 / 18, 10 / 9, 10 / 3]),
        ("balanced", ("ham", "eggs"), [0] * 4, [0.5, 2.0]),  # without a text it counts as one
        ("spam=4, news, local=0.5", NAMES, LABELS, [1, 0.5, 4]),
    ],
)
def test_class_weights_by_hand(choice, names, labels, expected) -> None:
    assert class_weights(choice, names, labels) == pytest.approx(np.array(expected))
    assert class_weights("none", names, labels) is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        (
            "objective.class_weights",
            "ballanced",
            "must be none, balanced, or weights such as sport=3,tech=0.5",
        ),
        ("objective.class_weights", "spam=4,ham", "weights such as sport=3,tech=0.5, got 'spam=4,ham'"),
        ("objective.class_weights", "spam=0", "between 0.001 and 1,000 for each class, got '0' for 'spam'"),
        ("objective.class_weights", "spam=nan", "got 'nan' for 'spam'"),
        ("objective.class_weights", "spam=many", "got 'many' for 'spam'"),
        *(
            ("training.metric", metric, f"must be auto, accuracy, .* got '{metric}'")
            for metric in ("f1", "f1:", "recall", "macro-f1")
        ),
    ],
)
def test_weights_and_metrics_that_are_refused(setting, value, message) -> None:
    with pytest.raises(ConfigError, match=f"{setting}.*{message}"):
        DistillConfig().change({setting: value})


def test_class_that_a_task_does_not_have_is_refused() -> None:
    says = "names 'eggs', not a class of this task; its classes are 'ham', 'news, local'"
    with pytest.raises(ConfigError, match=f"--class-weights {says}"):
        class_weights("eggs=2", NAMES, LABELS)
    with pytest.raises(ConfigError, match=f"--metric {says}"):
        fixed_metric("f1:eggs", NAMES, LABELS, LABELS)


def test_scores_by_hand() -> None:
    # Ham: 5 of 6 and one wrong answer more; news: 2 of 3 and one more; spam never.
    answers = [0] * 5 + [1] + [1, 1, 0] + [0]
    f1 = [2 * 5 / (6 + 7), 2 * 2 / (3 + 3), 0]
    assert score("accuracy", answers, LABELS, NAMES) == 0.7
    assert score("macro_f1", answers, LABELS, NAMES) == pytest.approx(np.mean(f1))
    for name, value in zip(NAMES, f1, strict=True):
        assert score(f"f1:{name}", answers, LABELS, NAMES) == pytest.approx(value)


RARE = "The class 'spam' has 1 of the 10 training texts, less than half of a fair share (3), so"
CHANCE = "The class 'spam' has 1 validation text: one can move the validation macro-F1 by about 33 points, so"
UNKNOWN = "The class 'spam' has no test text: how well it is recognised is not known."


@pytest.mark.parametrize(
    ("metric", "train", "validation", "test", "said"),
    [
        ("accuracy", [0, 1, 2], [0, 1, 2], [0, 1, 2], []),
        ("macro_f1", [0, 1, 2], THREE, [0, 1, 2], []),  # by choice, not because a class is rare
        ("macro_f1", LABELS, THREE, [0, 1], [RARE, UNKNOWN]),
        ("accuracy", [0], THREE, [1], ["The classes 'ham', 'spam' have no test text"]),
        ("macro_f1", [0, 1, 2], [0, 0, 0, 1, 1, 1, 2], [0, 1, 2], [CHANCE]),
    ],
)
def test_notes_about_classes(metric, train, validation, test, said) -> None:
    found = notes(metric, NAMES, train, validation, test)
    assert len(found) == len(said)
    assert all(note.startswith(begin) for note, begin in zip(found, said, strict=True))


# Rows of a confusion are the truth. Of a, b and c there are 5, 2 and no test texts.
NEVER, ONCE = [[5, 0, 0], [2, 0, 0], [0, 0, 0]], [[4, 1, 0], [2, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("seeds", "train", "balanced", "ends"),
    [
        ([NEVER, ONCE], [0] * 5 + [1] * 2 + [2] * 2, False, None),
        ([NEVER], [0] * 5 + [1] * 2 + [2] * 2, False, "more of them, or try --class-weights balanced."),
        ([NEVER], [0] * 5 + [1] * 2 + [2] * 2, True, "bring more of them."),
        ([NEVER], THREE, False, "bring more of them."),  # weights of classes of one size are all 1
    ],
)
def test_class_that_a_model_never_answers(seeds, train, balanced, ends) -> None:
    said = never_answered("It", seeds, ("a", "b", "c"), train, balanced=balanced)
    assert len(said) == (ends is not None)
    for note in said:
        assert note.startswith("It answers no test text with 'b', though there are some: bring more of")
        assert note.endswith(ends)


def test_weights_and_metric_in_controls_and_commands() -> None:
    asked = {"objective.class_weights": "sport=3", "training.metric": "f1:tech"}
    config = DistillConfig().change(asked | {"controls.plain_start": True})
    assert {variant.objective.class_weights for variant in student_variants(config, 100)} == {"sport=3"}
    said = command(config.model_dump(mode="json"))
    assert "--class-weights sport=3" in said
    assert "--metric f1:tech" in said


# The fair share of 60 texts of three classes is 20; half of it is 10, and a quarter 5.
@pytest.mark.parametrize(
    ("counts", "metric", "temperature"),
    [
        ([25, 25, 10], "accuracy", 2),
        ([25, 26, 9], "macro_f1", 2),
        ([28, 27, 5], "macro_f1", 2),
        ([28, 28, 4], "macro_f1", 1),
        ([30, 30, 0], "macro_f1", 1),
        ([1] * 19, "accuracy", 2),
        ([1] * 20, "accuracy", 4),
        ([5] * 19 + [1], "macro_f1", 1),
    ],
)
def test_automatic_metric_and_temperature(counts, metric, temperature) -> None:
    names, labels = [f"class {i}" for i in range(len(counts))], np.repeat(np.arange(len(counts)), counts)
    assert (auto_metric(names, labels), auto_temperature(names, labels)) == (metric, temperature)
    assert fixed_metric("auto", names, labels, []) == metric
    assert rarest(NAMES, LABELS) == ("spam", pytest.approx(0.3))
