"""Each rule of the config doctor: when it speaks, what it says, and that it is silent at its limit."""

from dataclasses import replace

import pytest

from kd_core.jobs.advice import examine
from tests.unit.jobs.planned import STUDENT, TEACHER, plan


def of(more=None, **objective):
    """Make a plan with settings of the objective."""
    return plan((more or {}) | {f"objective.{name}": value for name, value in objective.items()})


def rows(changes=None, **numbers):
    return plan(changes, rows=numbers)


def student(changes=None, **sizes):
    return plan(changes, student=replace(STUDENT, **sizes))


def texts(made, seconds=None) -> str:
    return " ".join(note.text for note in examine(made, seconds))


LARGE = {"teacher": replace(TEACHER, layers=12)}
RANDOM, FILE, HIGH = {"student.init": "random"}, {"task.knowledge": "a.csv"}, {"teacher.learning_rate": 2e-4}
CHOICES, LEARNS = FILE | {"task.gold": "none"}, {"objective.alpha": 1, "objective.hidden_weight": 1}
LOW, LAYERS = {"training.learning_rate": 3e-4}, {"student.init": "teacher_layers"}
# What is said beyond a limit, and not at it.
WARNINGS = [
    ("Alpha is 1: the teacher is ignored", of(alpha=1), plan(LEARNS)),
    ("learns the teacher's choices alone", of(CHOICES, alpha=1), of(alpha=1)),
    ("may forget it", plan(usual_temperature=1), plan({"objective.temperature": 1}, usual_temperature=1)),
    ("up to 16 times less at T = 4", of(t_squared=False), plan()),
    ("Without the factor", of(t_squared=False, temperature=1.5), of(t_squared=False, temperature=1)),
    ("99 training texts for 5 classes are few", rows(train=99), rows(train=100)),
    ("11 % of the training texts have more than 64", plan(too_long=0.11), plan()),
    ("(30.0 M against 22.7 M parameters)", student(params=30_000_000), plan()),
    ("nothing is compressed", student(params=22_700_001), student(params=22_700_000)),
    ("no faster", student(flops_per_token=21_400_000), student(flops_per_token=21_399_999)),
    ("The teacher cannot read 11 %", plan(unread=0.11), plan()),
    ("a word of these texts into 1.7 pieces", plan(pieces_a_word=1.7), plan()),
    ("41 % of the validation and test texts hold", plan(unknown=0.41), plan()),
    ("hold a word piece", plan(unknown=1, tokens={"train": 64}), plan(unknown=1, tokens={"train": 65})),
    ("starts from nothing", rows(RANDOM, transfer=0), plan(RANDOM)),
    ("from nothing", rows(RANDOM | LEARNS, transfer=0), rows(RANDOM | {"objective.alpha": 1}, transfer=0)),
    ("high for a student 512 wide", student(hidden=512), student(LOW, hidden=512)),
    ("high for a student", student(hidden=512), student(hidden=511)),
    ("high for a teacher of 12 layers", plan(HIGH, **LARGE), plan(**LARGE)),
    ("39 steps show the student only 1,248", plan({"training.steps": 39}), plan({"training.steps": 40})),
]
HINTS = [
    ("only the intermediate terms teach", plan(LEARNS), of(alpha=1)),
    ("Alpha is 0", of(alpha=0), of(alpha=0.05)),
    ("mistakes too. 0.3 to 0.6", of(alpha=0), of(CHOICES, alpha=0)),
    ("nothing with logit_mse", of(divergence="logit_mse"), of(divergence="logit_mse", alpha=1)),
    ("At T = 10.5", of(temperature=10.5), of(temperature=10)),
    ("At T = 15", of(temperature=15), of(temperature=15, alpha=1)),
    ("was 0.4 and 1.3 points better", of(temperature=2), of(temperature=3)),
    ("Intermediate terms need the teacher", of(relation_weight=1), plan()),
    ("a smaller gain.", plan(classes=2), plan(classes=3)),
    ("a smaller gain, and use a transfer set.", plan(rows={"transfer": 0}, classes=2), plan(classes=2)),
    ("Two classes", plan(classes=2), plan({"objective.alpha": 1}, classes=2)),
    ("There is no transfer set", rows(transfer=0), rows(FILE, transfer=0)),
    ("There is no transfer set", rows(transfer=9, spans=9), rows(transfer=9, spans=8)),
    ("Only 99 validation texts", rows(validation=99), rows(validation=100)),
    ("Only 99 test texts decide", rows(test=99), rows(test=100)),
    ("from trained layers", plan(LAYERS), of(LAYERS, alpha=1)),
    ("A teacher from scratch", plan({"teacher.model": "scratch"}), plan()),
]


@pytest.mark.parametrize(("level", "rules"), [("warning", WARNINGS), ("hint", HINTS)])
def test_rules_speak_beyond_their_limits_only(level, rules):
    for says, beyond, at in rules:
        assert [note.level for note in examine(beyond) if says in note.text] == [level], says
        assert says not in texts(at)


def test_healthy_long_and_fixable_runs():
    assert examine(plan(), seconds=1800) == []
    assert texts(plan(), seconds=5400).startswith("This takes about 1 h 30 min here. Fewer steps")
    ignored = plan({"objective.alpha": 1}, rows={"test": 50})
    assert [note.level for note in examine(ignored)] == ["warning", "hint"], "warnings come first"
    assert [note.change for note in examine(plan(usual_temperature=1))] == [("objective.temperature", 1)]


def test_teacher_that_is_a_file_is_doubted_neither_for_size_nor_training():
    changes = FILE | HIGH | {"task.gold": "rows"}
    assert texts(plan(changes, student=replace(STUDENT, params=30_000_000), **LARGE)) == ""
    assert texts(student(changes, flops_per_token=21_400_000)) == ""
    few = "99 training texts for 5 classes are few: the student may learn little. Aim for 20"
    assert texts(rows(changes, train=99)).startswith(few)
