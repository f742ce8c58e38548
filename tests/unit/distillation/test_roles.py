"""Tests of who is trained in a run, and of what each of them learns from."""

from __future__ import annotations

from typing import get_args

import pytest

from kd_core.config import ControlsConfig, DistillConfig, ObjectiveConfig
from kd_core.distillation.roles import CORE, LISTED, ROLES, Role, metric_name, student_variants, verdict_name

STUDENT, ALONE = ("student", 0.6, 0), ("alone", 1.0, 0)
LABELLED, HARD = ("labelled_only", 0.6, 0), ("hard_answers", 0.6, 0)
PLAIN = {"controls.plain_start": True, "student.init": "projected"}
UNTUNED, ALL = {"controls.untuned_start": True}, {"controls.hard_answers": True}
FILE = {"task.knowledge": "answers.csv", "task.gold": "none"}


def test_each_role_has_its_entry_and_each_switch_its_field() -> None:
    assert set(ROLES) == set(LISTED) == set(get_args(Role))
    assert {entry.switch for entry in ROLES.values()} - {""} <= set(ControlsConfig.model_fields)
    assert not any(ROLES[who].switch for who in CORE)
    weighted = ObjectiveConfig(class_weights="balanced")
    assert {entry.objective(weighted).class_weights for entry in ROLES.values()} == {"balanced"}


@pytest.mark.parametrize(
    ("transfer", "changes", "plan"),
    [
        (9, {}, [("student", 0.6, 9), ALONE, LABELLED]),
        (0, {}, [STUDENT, ALONE]),
        (9, {"controls.labelled_only": False}, [("student", 0.6, 9), ALONE]),
        (9, {"objective.alpha": 1.0}, [("student", 1.0, 0), ALONE]),
        # The control with random weights needs a run that starts otherwise.
        (0, PLAIN, [STUDENT, ALONE, ("plain_start", 1.0, 0)]),
        (0, PLAIN | {"student.init": "random"}, [STUDENT, ALONE]),
        # The control of the teacher's hard answers sees all texts that the student sees.
        (9, ALL, [("student", 0.6, 9), ALONE, LABELLED, ("hard_answers", 0.6, 9)]),
        (9, ALL | {"objective.alpha": 1.0}, [("student", 1.0, 0), ALONE]),
        (0, ALL | {"objective.divergence": "hard_answers"}, [STUDENT, ALONE]),
        # The control before fine-tuning needs a start that has something of a fine-tuned teacher.
        (0, UNTUNED | {"student.init": "teacher_layers"}, [STUDENT, ALONE, ("untuned_start", 1.0, 0)]),
        (0, UNTUNED | {"student.init": "random"}, [STUDENT, ALONE]),
        (0, UNTUNED | {"student.init": "projected", "teacher.model": "scratch"}, [STUDENT, ALONE]),
        # A file without gold labels has no student alone.
        (0, FILE, [STUDENT, HARD]),
        (0, FILE | {"objective.alpha": 1.0}, [("student", 1.0, 0)]),
        (0, FILE | {"objective.divergence": "hard_answers"}, [STUDENT]),
        # An intermediate term learns from the teacher whatever alpha is.
        (
            9,
            {"objective.alpha": 1.0, "objective.hidden_weight": 1.0},
            [("student", 1.0, 9), ALONE, ("labelled_only", 1.0, 0)],
        ),
    ],
)
def test_students_of_a_run(transfer, changes, plan) -> None:
    variants = student_variants(DistillConfig().change(changes), transfer)
    assert [(variant.who, variant.objective.alpha, variant.transfer) for variant in variants] == plan
    starts = [variant.init for variant in variants if variant.who == "plain_start"]
    assert starts == ["random"] * len(starts)


@pytest.mark.parametrize(
    ("metric", "name"), [("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("f1:spam", "F1 of spam")]
)
def test_name_of_a_metric(metric, name) -> None:
    assert metric_name(metric) == name


def test_with_one_seed_a_badge_is_about_the_student() -> None:
    assert (verdict_name("helped", 2), verdict_name("helped", 1)) == ("Helped", "Better")
