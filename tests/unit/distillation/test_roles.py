"""Who is trained in a run, and what each of them learns from."""

from typing import get_args

from kd_core.config import ControlsConfig, DistillConfig
from kd_core.distillation.roles import CORE, LISTED, ROLES, Role, student_variants


def test_each_role_has_its_entry_and_each_switch_its_field():
    assert set(ROLES) == set(LISTED) == set(get_args(Role))
    assert {entry.switch for entry in ROLES.values()} - {""} <= set(ControlsConfig.model_fields)
    assert not any(ROLES[who].switch for who in CORE)


def test_who_learns_from_what():
    def plan(transfer_texts: int, **changes) -> list[tuple[str, float, int]]:
        config = DistillConfig().change({key.replace("__", "."): value for key, value in changes.items()})
        return [
            (variant.who, variant.objective.alpha, variant.transfer)
            for variant in student_variants(config, transfer_texts)
        ]

    alone = ("alone", 1.0, 0)
    assert plan(9) == [("student", 0.6, 9), alone, ("labelled_only", 0.6, 0)]
    assert plan(0) == [("student", 0.6, 0), alone]
    assert plan(9, controls__labelled_only=False) == [("student", 0.6, 9), alone]
    assert plan(9, objective__alpha=1.0) == [("student", 1.0, 0), alone]
    # One that starts from random weights is there where that is another start than the run's.
    with_start = {"controls__plain_start": True, "student__init": "projected"}
    assert plan(0, **with_start) == [("student", 0.6, 0), alone, ("plain_start", 1.0, 0)]
    assert plan(0, **with_start | {"student__init": "random"}) == [("student", 0.6, 0), alone]
    variants = student_variants(
        DistillConfig().change({key.replace("__", "."): value for key, value in with_start.items()}), 0
    )
    assert [variant.init for variant in variants] == [None, None, "random"]
    # One on the teacher's hard answers sees all that the student sees.
    hard = {"controls__hard_answers": True}
    assert plan(9, **hard)[2:] == [("labelled_only", 0.6, 0), ("hard_answers", 0.6, 9)]
    assert plan(9, **hard, objective__alpha=1.0) == [("student", 1.0, 0), alone]
    assert plan(0, **hard, objective__divergence="hard_answers") == [("student", 0.6, 0), alone]
    # One that starts from the teacher before its fine-tuning, where the start has something of the teacher.
    untuned = {"controls__untuned_start": True}
    assert plan(0, **untuned, student__init="teacher_layers")[2:] == [("untuned_start", 1.0, 0)]
    for other in ({"student__init": "random"}, {"student__init": "projected", "teacher__model": "scratch"}):
        assert plan(0, **untuned, **other) == [("student", 0.6, 0), alone]
    # Of a teacher's choices alone there is no other student: its hard answers are all that is learned.
    file = {"task__knowledge": "answers.csv", "task__gold": "none"}
    assert plan(0, **file) == [("student", 0.6, 0), ("hard_answers", 0.6, 0)]
    assert plan(0, **file, objective__alpha=1.0) == [("student", 1.0, 0)]
    assert plan(0, **file, objective__divergence="hard_answers") == [("student", 0.6, 0)]
    # An intermediate term learns from the teacher whatever alpha is.
    assert plan(9, objective__alpha=1.0, objective__hidden_weight=1.0) == [
        ("student", 1.0, 9),
        alone,
        ("labelled_only", 1.0, 0),
    ]
