"""Each rule of the config doctor: when it speaks, what it says, and that it is silent at its limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kd_core.jobs.advice import examine
from kd_core.jobs.plan import Plan
from tests.unit.jobs.planned import STUDENT, TEACHER, plan


def texts(made: Plan, seconds: float | None = None) -> list[str]:
    return [note.text for note in examine(made, seconds)]


def student(**sizes) -> dict:
    return {"student": replace(STUDENT, **sizes)}


LARGE = {"teacher": replace(TEACHER, layers=12)}
RANDOM, LAYERS, IGNORED = (
    {"student.init": "random"},
    {"student.init": "teacher_layers"},
    {"objective.alpha": 1},
)
NO_TRANSFER = {"transfer": 0}
HIDDEN = {"objective.hidden_weight": 1}
FILE = {"task.knowledge": "answers.csv"}
# What a plan is beyond a limit, and at it, as arguments of plan(); what is said beyond it, and only there.
RULES = [
    ("warning", "the teacher is ignored", (IGNORED,), (IGNORED | HIDDEN,)),
    ("hint", "only the intermediate terms teach", (IGNORED | HIDDEN,), (IGNORED,)),
    ("warning", "learns the teacher's choices alone", (IGNORED | FILE | {"task.gold": "none"},), (IGNORED,)),
    ("hint", "mistakes too. 0.3 to 0.6", ({"objective.alpha": 0},), ({"objective.alpha": 0.05},)),
    (
        "hint",
        "mistakes too",
        ({"objective.alpha": 0},),
        ({"objective.alpha": 0, "task.gold": "none"} | FILE,),
    ),
    ("hint", "does nothing with logit_mse", ({"objective.divergence": "logit_mse"},), ()),
    ("hint", "At T = 10.5", ({"objective.temperature": 10.5},), ({"objective.temperature": 10},)),
    ("hint", "nearly equal", ({"objective.temperature": 15},), (IGNORED | {"objective.temperature": 15},)),
    ("warning", "may forget it", ({}, 1), ({"objective.temperature": 1}, 1)),
    (
        "hint",
        "was 0.4 and 1.3 points better",
        ({"objective.temperature": 2},),
        ({"objective.temperature": 3},),
    ),
    ("warning", "up to 16 times less at T = 4", ({"objective.t_squared": False},), ()),
    (
        "warning",
        "Without the factor",
        ({"objective.t_squared": False, "objective.temperature": 1.5},),
        ({"objective.t_squared": False, "objective.temperature": 1},),
    ),
    ("hint", "Intermediate terms need the teacher", ({"objective.relation_weight": 1},), ()),
    ("hint", "Expect a smaller gain.", ({}, {"classes": 2}), ({}, {"classes": 3})),
    ("hint", "and use a transfer set.", ({}, NO_TRANSFER, {"classes": 2}), ({}, {"classes": 2})),
    ("hint", "Two classes", ({}, {"classes": 2}), (IGNORED, {"classes": 2})),
    ("hint", "There is no transfer set", ({}, NO_TRANSFER), (FILE, NO_TRANSFER)),
    (
        "hint",
        "There is no transfer set",
        ({}, {"transfer": 9, "spans": 9}),
        ({}, {"transfer": 9, "spans": 8}),
    ),
    ("warning", "99 training texts for 5 classes are few", ({}, {"train": 99}), ({}, {"train": 100})),
    ("hint", "Only 99 validation texts", ({}, {"validation": 99}), ({}, {"validation": 100})),
    ("hint", "Only 99 test texts decide", ({}, {"test": 99}), ({}, {"test": 100})),
    ("warning", "11 % of the training texts have more than 64 tokens", ({}, {"too_long": 0.11}), ()),
    ("warning", "(30.0 M against 22.7 M parameters)", ({}, student(params=30_000_000)), ()),
    ("warning", "nothing is compressed", ({}, student(params=22_700_001)), ({}, student(params=22_700_000))),
    (
        "warning",
        "no faster",
        ({}, student(flops_per_token=21_400_000)),
        ({}, student(flops_per_token=21_399_999)),
    ),
    ("warning", "The teacher cannot read 11 %", ({}, {"unread": 0.11}), ()),
    ("warning", "cuts a word of these texts into 1.7 pieces", ({}, {"pieces_a_word": 1.7}), ()),
    ("warning", "41 % of the validation and test texts hold a word piece", ({}, {"unknown": 0.41}), ()),
    (
        "warning",
        "hold a word piece",
        ({}, {"unknown": 0.9, "tokens": {"train": 64}}),
        ({}, {"unknown": 0.9, "tokens": {"train": 65}}),
    ),
    ("warning", "starts from nothing", (RANDOM, NO_TRANSFER), (RANDOM,)),
    (
        "warning",
        "starts from nothing",
        (RANDOM | IGNORED | HIDDEN, NO_TRANSFER),
        (RANDOM | IGNORED, NO_TRANSFER),
    ),
    ("hint", "starts from trained layers", (LAYERS,), (LAYERS | IGNORED,)),
    (
        "warning",
        "high for a student 512 wide",
        ({}, student(hidden=512)),
        ({"training.learning_rate": 3e-4}, student(hidden=512)),
    ),
    ("warning", "high for a student", ({}, student(hidden=512)), ({}, student(hidden=511))),
    ("warning", "high for a teacher of 12 layers", ({"teacher.learning_rate": 2e-4}, LARGE), ({}, LARGE)),
    (
        "warning",
        "39 steps show the student only 1,248 of",
        ({"training.steps": 39},),
        ({"training.steps": 40},),
    ),
    ("hint", "A teacher from scratch", ({"teacher.model": "scratch"},), ()),
]


def planned(changes=None, *more) -> Plan:
    """Make a plan of settings, numbers of texts and other parts; a number is the usual temperature."""
    parts = {}
    for given in more:
        given = {"usual_temperature": given} if isinstance(given, int) else given
        rows = given.keys() <= {"train", "validation", "test", "transfer", "spans"}
        parts |= {"rows": given} if rows else given
    return plan(changes, **parts)


@pytest.mark.parametrize(("level", "says", "beyond", "at"), RULES)
def test_rule_speaks_beyond_its_limit_only(level, says, beyond, at):
    assert [note.level for note in examine(planned(*beyond)) if says in note.text] == [level]
    assert says not in " ".join(texts(planned(*at)))


def test_healthy_and_long_runs():
    assert examine(plan(), seconds=1800) == []
    assert texts(plan(), seconds=5400)[0].startswith("This takes about 1 h 30 min here. Fewer steps")


def test_warnings_come_first_and_some_can_be_applied():
    notes = examine(plan(IGNORED, rows={"test": 50}))
    assert [note.level for note in notes] == ["warning", "hint"]
    assert [note.change for note in examine(plan(usual_temperature=1))] == [("objective.temperature", 1)]
    assert [note.change for note in examine(plan({"objective.temperature": 2}))] == [
        ("objective.temperature", 4)
    ]


def test_teacher_that_is_a_file_is_doubted_neither_for_size_nor_training():
    changes = FILE | {"task.gold": "rows", "teacher.learning_rate": 5e-4}
    assert texts(plan(changes, **student(params=30_000_000), **LARGE)) == []
    assert texts(plan(changes, **student(flops_per_token=21_400_000))) == []
    (few,) = texts(plan(changes, rows={"train": 99}))
    assert few.startswith("99 training texts for 5 classes are few: the student may learn little. Aim for 20")
