"""Each rule of the config doctor: when it speaks, what it says, and that it is silent at its limit."""

from dataclasses import replace

import pytest

from kd_core.jobs.advice import examine
from tests.unit.jobs.planned import STUDENT, TEACHER, plan


def settings(**values):
    """Make a plan of changed settings, written with ``__`` for the point."""
    return plan({name.replace("__", "."): value for name, value in values.items()})


def rows(changes=None, **numbers):
    return plan(changes, rows=numbers)


def student(changes=None, **sizes):
    return plan(changes, student=replace(STUDENT, **sizes))


def texts(made, seconds=None) -> str:
    return " ".join(note.text for note in examine(made, seconds))


LARGE = {"teacher": replace(TEACHER, layers=12)}
ONE, RANDOM, FILE = {"objective.alpha": 1}, {"student.init": "random"}, {"task.knowledge": "a.csv"}
MSE, HIDDEN = {"objective.divergence": "logit_mse"}, {"objective.hidden_weight": 1}
TWO, CHOICES, HIGH = {"classes": 2}, {"task.gold": "none"}, {"teacher.learning_rate": 2e-4}


@pytest.mark.parametrize(
    ("level", "says", "beyond", "at"),
    [
        ("warning", "Alpha is 1: the teacher is ignored", plan(ONE), plan(ONE | HIDDEN)),
        ("hint", "only the intermediate terms teach", plan(ONE | HIDDEN), plan(ONE)),
        ("warning", "learns the teacher's choices alone", plan(ONE | FILE | CHOICES), plan(ONE)),
        ("hint", "Alpha is 0", settings(objective__alpha=0), settings(objective__alpha=0.05)),
        (
            "hint",
            "mistakes too. 0.3",
            settings(objective__alpha=0),
            plan({"objective.alpha": 0} | FILE | CHOICES),
        ),
        ("hint", "nothing with logit_mse", plan(MSE), plan(MSE | ONE)),
        ("hint", "At T = 10.5", settings(objective__temperature=10.5), settings(objective__temperature=10)),
        ("hint", "At T = 15", settings(objective__temperature=15), plan({"objective.temperature": 15} | ONE)),
        (
            "warning",
            "may forget it",
            plan(usual_temperature=1),
            plan({"objective.temperature": 1}, usual_temperature=1),
        ),
        (
            "hint",
            "0.4 and 1.3 points better",
            settings(objective__temperature=2),
            settings(objective__temperature=3),
        ),
        ("warning", "up to 16 times less at T = 4", settings(objective__t_squared=False), plan()),
        (
            "warning",
            "Without the factor",
            settings(objective__t_squared=False, objective__temperature=1.5),
            settings(objective__t_squared=False, objective__temperature=1),
        ),
        ("hint", "Intermediate terms need the teacher", settings(objective__relation_weight=1), plan()),
        ("hint", "a smaller gain.", plan(**TWO), plan(classes=3)),
        ("hint", "a smaller gain, and use a transfer set.", plan(rows={"transfer": 0}, **TWO), plan(**TWO)),
        ("hint", "Two classes", plan(**TWO), plan(ONE, **TWO)),
        ("hint", "There is no transfer set", rows(transfer=0), rows(FILE, transfer=0)),
        ("hint", "There is no transfer set", rows(transfer=9, spans=9), rows(transfer=9, spans=8)),
        ("warning", "99 training texts for 5 classes are few", rows(train=99), rows(train=100)),
        ("hint", "Only 99 validation texts", rows(validation=99), rows(validation=100)),
        ("hint", "Only 99 test texts decide", rows(test=99), rows(test=100)),
        ("warning", "11 % of the training texts have more than 64", plan(too_long=0.11), plan()),
        ("warning", "(30.0 M against 22.7 M parameters)", student(params=30_000_000), plan()),
        ("warning", "nothing is compressed", student(params=22_700_001), student(params=22_700_000)),
        ("warning", "no faster", student(flops_per_token=21_400_000), student(flops_per_token=21_399_999)),
        ("warning", "The teacher cannot read 11 %", plan(unread=0.11), plan()),
        ("warning", "a word of these texts into 1.7 pieces", plan(pieces_a_word=1.7), plan()),
        ("warning", "41 % of the validation and test texts hold", plan(unknown=0.41), plan()),
        ("warning", "hold a", plan(unknown=1, tokens={"train": 64}), plan(unknown=1, tokens={"train": 65})),
        ("warning", "starts from nothing", rows(RANDOM, transfer=0), plan(RANDOM)),
        ("warning", "from nothing", rows(RANDOM | ONE | HIDDEN, transfer=0), rows(RANDOM | ONE, transfer=0)),
        ("hint", "from trained layers", settings(student__init="teacher_layers"), plan()),
        (
            "warning",
            "student 512 wide",
            student(hidden=512),
            student({"training.learning_rate": 3e-4}, hidden=512),
        ),
        ("warning", "high for a student", student(hidden=512), student(hidden=511)),
        ("warning", "high for a teacher of 12 layers", plan(HIGH, **LARGE), plan(**LARGE)),
        (
            "warning",
            "39 steps show the student only 1,248",
            settings(training__steps=39),
            settings(training__steps=40),
        ),
        ("hint", "A teacher from scratch", settings(teacher__model="scratch"), plan()),
    ],
)
def test_rule_speaks_beyond_its_limit_only(level, says, beyond, at):
    assert [note.level for note in examine(beyond) if says in note.text] == [level]
    assert says not in texts(at)


def test_healthy_long_and_fixable_runs():
    assert examine(plan(), seconds=1800) == []
    assert texts(plan(), seconds=5400).startswith("This takes about 1 h 30 min here. Fewer steps")
    assert [note.level for note in examine(rows(ONE, test=50))] == ["warning", "hint"], "warnings come first"
    assert [note.change for note in examine(plan(usual_temperature=1))] == [("objective.temperature", 1)]


def test_teacher_that_is_a_file_is_doubted_neither_for_size_nor_training():
    changes = FILE | HIGH | {"task.gold": "rows"}
    assert texts(plan(changes, student=replace(STUDENT, params=30_000_000), **LARGE)) == ""
    assert texts(student(changes, flops_per_token=21_400_000)) == ""
    few = "99 training texts for 5 classes are few: the student may learn little. Aim for 20"
    assert texts(rows(changes, train=99)).startswith(few)
