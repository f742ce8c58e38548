"""Each rule of the config doctor: when it speaks, what it says, and that it is silent otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kd_core.jobs.advice import examine
from kd_core.jobs.plan import Plan
from tests.unit.jobs.planned import STUDENT, TEACHER, plan


def texts(made: Plan, seconds: float | None = None) -> list[str]:
    return [note.text for note in examine(made, seconds)]


def test_the_demo_is_healthy():
    assert examine(plan(), seconds=120) == []


def test_a_piece_that_is_lacking_in_a_long_text_does_not_matter():
    note = "hold a word piece that the student lacks"
    for tokens, found in ((64, 1), (65, 0)):
        made = plan({"task.max_length": 256}, unknown=0.9, tokens={"train": tokens, "transfer": tokens})
        assert sum(note in text for text in texts(made)) == found


@pytest.mark.parametrize(
    ("made", "level", "says"),
    [
        (plan({"objective.alpha": 1}), "warning", "Alpha is 1: the teacher is ignored"),
        (
            plan({"objective.alpha": 1, "objective.hidden_weight": 1}),
            "hint",
            "Alpha is 1: only the intermediate terms teach",
        ),
        (plan({"objective.alpha": 0}), "hint", "mistakes too. 0.3 to 0.6 corrects them where a label"),
        (plan({"objective.divergence": "logit_mse"}), "hint", "Temperature does nothing with logit_mse"),
        (plan({"objective.temperature": 15}), "hint", "At T = 15 the teacher's answers are nearly equal"),
        (plan(usual_temperature=1), "warning", "A class is rare here, and at T = 4 a student may forget it"),
        (
            plan({"objective.temperature": 2}),
            "hint",
            "77 classes, T = 4 was 0.4 and 1.3 points better than T = 2",
        ),
        (plan({"objective.t_squared": False}), "warning", "counts up to 16 times less at T = 4"),
        (plan({"objective.relation_weight": 1}), "hint", "Intermediate terms need the teacher at every step"),
        (plan(classes=2), "hint", "Two classes carry little dark knowledge"),
        (plan(classes=2), "hint", "says one number for each text. Expect a smaller gain."),
        (plan(classes=2, rows={"transfer": 0}), "hint", "Expect a smaller gain, and use a transfer set."),
        (
            plan(rows={"transfer": 0}),
            "hint",
            "There is no transfer set, and from the labelled texts and spans",
        ),
        (plan(rows={"train": 99}), "warning", "99 training texts for 5 classes are few"),
        (plan(rows={"validation": 99}), "hint", "Only 99 validation texts"),
        (plan(rows={"test": 99}), "hint", "Only 99 test texts decide"),
        (plan(too_long=0.11), "warning", "11 % of the training texts have more than 64 tokens and lose"),
        (
            plan(student=replace(STUDENT, params=30_000_000)),
            "warning",
            "The student is larger than the teacher (30.0 M against 22.7 M parameters)",
        ),
        (plan(student=replace(STUDENT, flops_per_token=21_400_000)), "warning", "it will be no faster"),
        (plan(unread=0.11), "warning", "The teacher cannot read 11 % of what the validation and test texts"),
        (plan(pieces_a_word=1.61), "warning", "cuts a word of these texts into 1.6 pieces on the mean"),
        (
            plan(unknown=0.41),
            "warning",
            "41 % of the validation and test texts hold a word piece that the student lacks",
        ),
        (
            plan({"student.init": "random"}, rows={"transfer": 0}),
            "warning",
            "The student starts from nothing and there is no transfer set",
        ),
        (plan({"student.init": "teacher_layers"}), "hint", "The student starts from trained layers"),
        (
            plan(student=replace(STUDENT, hidden=512)),
            "warning",
            "A learning rate of 0.0005 is high for a student 512 wide",
        ),
        (
            plan({"teacher.learning_rate": 5e-4}, teacher=replace(TEACHER, layers=12)),
            "warning",
            "A learning rate of 0.0005 is high for a teacher of 12 layers",
        ),
        (
            plan({"training.steps": 20}),
            "warning",
            "20 steps show the student only 640 of the 1,256 labelled texts.",
        ),
        # As a share, this would be all of them.
        (
            plan({"training.steps": 313, "training.batch_size": 4}),
            "warning",
            "313 steps show the student only 1,252 of the 1,256 labelled texts.",
        ),
        (plan({"teacher.model": "scratch"}), "hint", "A teacher from scratch knows only this task's texts"),
    ],
)
def test_a_doubtful_choice_gets_one_note_that_says_what_to_do(made, level, says):
    notes = [note for note in examine(made) if says in note.text]
    assert [note.level for note in notes] == [level]
    assert notes[0].text.count(". ") + notes[0].text.count("; ") >= 1, "what it means, then what to do"
    assert says not in " ".join(texts(plan()))


@pytest.mark.parametrize(
    ("beyond", "at", "says"),
    [
        ({"objective.alpha": 0}, {"objective.alpha": 0.05}, "Alpha is 0"),
        ({"objective.temperature": 10.5}, {"objective.temperature": 10}, "nearly equal for all classes"),
        (
            {"objective.temperature": 1.5, "objective.t_squared": False},
            {"objective.temperature": 1, "objective.t_squared": False},
            "Without the factor",
        ),
        ({"training.steps": 39}, {"training.steps": 40}, "show the student only"),  # 32 of 1,256 texts a step
        ({"teacher.model": "scratch"}, {}, "from scratch"),
    ],
)
def test_a_setting_at_the_limit_is_no_doubtful_one(beyond, at, says):
    assert [any(says in text for text in texts(plan(changes))) for changes in (beyond, at)] == [True, False]


@pytest.mark.parametrize(
    ("beyond", "at", "says"),
    [
        (plan(rows={"train": 99}), plan(rows={"train": 100}), "for 5 classes are few"),
        (plan(rows={"validation": 99}), plan(rows={"validation": 100}), "choose the best weights"),
        (plan(rows={"test": 99}), plan(rows={"test": 100}), "test texts decide"),
        (
            plan(usual_temperature=1),
            plan({"objective.temperature": 1}, usual_temperature=1),
            "a student may forget it",
        ),
        (
            plan(student=replace(STUDENT, params=22_700_001)),
            plan(student=replace(STUDENT, params=22_700_000)),
            "nothing is compressed",
        ),
        (
            plan({"student.init": "random"}, rows={"transfer": 0}),
            plan({"student.init": "random"}),
            "starts from nothing",
        ),
        (
            plan({"student.init": "teacher_layers"}),
            plan({"student.init": "teacher_layers", "objective.alpha": 1}),
            "starts from trained layers",
        ),
        (
            plan(student=replace(STUDENT, hidden=512)),
            plan({"training.learning_rate": 3e-4}, student=replace(STUDENT, hidden=512)),
            "may make its loss jump",
        ),
        (
            plan({"teacher.learning_rate": 2e-4}, teacher=replace(TEACHER, layers=12)),
            plan(teacher=replace(TEACHER, layers=12)),
            "may undo what it knows",
        ),
        (
            plan(rows={"transfer": 5_000, "spans": 5_000}),
            plan({"task.knowledge": "answers.csv"}, rows={"transfer": 0}),
            "There is no transfer set, and from the labelled texts and spans",
        ),
    ],
)
def test_a_run_at_the_limit_is_no_doubtful_one(beyond, at, says):
    assert [any(says in text for text in texts(made)) for made in (beyond, at)] == [True, False]


def test_of_a_teacher_that_is_a_file_neither_size_nor_training_is_doubted():
    """What is named as its model lends tokenizer and start, and is not trained."""
    changes = {"task.knowledge": "answers.csv", "task.gold": "rows", "teacher.learning_rate": 5e-4}
    large = {"student": replace(STUDENT, params=30_000_000), "teacher": replace(TEACHER, layers=12)}
    assert texts(plan(changes, **large)) == []
    assert texts(plan(changes, student=replace(STUDENT, flops_per_token=21_400_000))) == []
    (few,) = texts(plan(changes, rows={"train": 99}))
    assert few.startswith("99 training texts for 5 classes are few: the student may learn little. Aim for 20")


def test_where_the_labels_are_the_teachers_alpha_ignores_neither():
    """Of a file of answers without gold labels."""
    choices = {"task.knowledge": "answers.csv", "task.gold": "none"}
    assert texts(plan(choices | {"objective.alpha": 0})) == []
    (only,) = texts(plan(choices | {"objective.alpha": 1}))
    assert only.startswith(
        "Alpha is 1: the student learns the teacher's choices alone, as the one that it is"
    )


def test_alpha_one_silences_what_only_concerns_the_teacher():
    said = " ".join(texts(plan({"objective.alpha": 1, "objective.divergence": "logit_mse"}, classes=2)))
    assert "ignored" in said
    assert "logit_mse" not in said
    assert "dark knowledge" not in said


def test_a_student_that_learns_by_intermediate_terms_only_is_distilled_too():
    changes = {"objective.alpha": 1, "student.init": "random"}
    said = [
        " ".join(texts(plan(changes | more, rows={"transfer": 0})))
        for more in ({}, {"objective.hidden_weight": 1})
    ]
    assert ["starts from nothing" in each for each in said] == [False, True]


def test_a_long_run_is_announced_in_hours_and_minutes():
    assert texts(plan(), seconds=1800) == []
    assert texts(plan(), seconds=5400)[0].startswith("This takes about 1 h 30 min here. Fewer steps")


def test_warnings_come_first():
    notes = examine(plan({"objective.alpha": 1}, classes=5, rows={"test": 50}))
    assert [note.level for note in notes] == ["warning", "hint"]
