"""Which columns of a file are a teacher's answers, and which are gold labels or something else."""

from __future__ import annotations

import json

import pytest

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.errors import DataError
from tests.unit.data.answered import CLASSES, SURE, rows


def test_a_column_named_label_is_the_answer_where_there_is_no_other(load):
    task = load("text,label", [[f"text {i}", CLASSES[i % 2]] for i in range(30)])
    assert (task.answers.kind, task.answers.gold) == ("labels", "none")


def test_of_a_label_and_an_answer_the_label_is_gold(load):
    given = [[f"text {i}", CLASSES[i % 2], CLASSES[i % 2]] for i in range(30)]
    assert load("text,label,llm_answer", given).answers.gold == "rows"


def test_a_class_may_be_named_like_what_is_no_class(load):
    """A "number" or an "id" is a class where it makes the row whole, or where it is a gold label."""
    numbered = [[f"text {i}", i, *SURE[i % 2]] for i in range(30)]
    assert load("text,number,new,old", numbered).labels == CLASSES
    whole = [
        [f"text {i}", *share] for i in range(30) for share in [((0.2, 0.7, 0.1), (0.6, 0.2, 0.2))[i % 2]]
    ]
    assert load("text,number,new,old", whole).labels == ("number", *CLASSES)
    logits = [[f"text {i}", ("number", "new", "old")[i % 3], 2.5, -i, i] for i in range(60)]
    assert load("text,gold,number,new,old", logits).labels == ("number", *CLASSES)
    timed = [[f"text {i}", 9000 + i, *((3, -3), (-3, 3))[i % 2]] for i in range(30)]
    assert load("text,time,new,old", timed).labels == CLASSES


@pytest.mark.parametrize(
    ("header", "gold"),
    [("text,gpt5,human", True), ("text,gpt5,confidence", False), ("text,gpt5,truth", True)],
)
def test_a_column_of_choices_is_found_beside_gold_labels_and_numbers(load, header, gold):
    last = ["0.9", "0.8"] if "confidence" in header else CLASSES
    task = load(header, [[f"text {i}", CLASSES[i % 2], last[i % 2]] for i in range(30)])
    assert (task.answers.kind, task.answers.gold) == ("labels", "rows" if gold else "none")
    assert task.labels == CLASSES


def test_columns_of_numbers_that_are_labels_or_something_else_are_no_classes(load):
    stars = [[f"text {i}", 1 + i % 5, 1 + (i + i % 2) % 5] for i in range(60)]
    task = load("text,label,prediction", stars)
    assert (task.answers.kind, task.answers.gold) == ("labels", "rows")
    assert task.labels == ("1", "2", "3", "4", "5")
    liked = [[f"text {i}", ("sport", "tech")[i % 2], i % 7, 100 + i] for i in range(40)]
    assert load("text,answer,upvotes,views", liked).labels == ("sport", "tech")
    rated = [[f"text {i}", 1 + i % 5, i % 7, 100 + i] for i in range(60)]
    assert load("text,prediction,upvotes,views", rated).labels == ("1", "2", "3", "4", "5")
    unsaid = [[f"text {i}", ("sport", "tech")[i % 2], i % 7, 100 + i] for i in range(40)]
    assert load("text,gpt5,upvotes,views", unsaid, answers="labels").labels == ("sport", "tech")
    with pytest.raises(DataError, match=r"Which columns .* hold the teacher's answers"):
        load("text,answer,prediction,upvotes,views", [[*row[:2], row[1], *row[2:]] for row in liked])


def test_columns_of_numbers_that_are_classes_stay_so_beside_others(load):
    """Beside a choice among them, a label that is a number, or with a name like that of a label."""
    logits = [(2.5, -1.0), (-3.0, 0.5)]
    chosen = [[f"text {i}", CLASSES[i % 2].upper(), *logits[i % 2]] for i in range(40)]
    assert load("text,answer,logit_new,logit_old", chosen).answers.kind == "logits"
    assert load("text,answer,human,machine", chosen, answers="logits").labels == ("human", "machine")
    assert load("text,human,machine", rows(values=logits)).labels == ("human", "machine")
    whole = [(30, 70), (100, 0)]
    assert load("text,human,machine", rows(values=whole), normalise=True).labels == ("human", "machine")
    marked = [[f"text {i}", int(i % 3 == 0), *SURE[i % 2]] for i in range(40)]
    with pytest.raises(DataError, match="the gold label '0' has no column of answers; they are for 'new'"):
        load("text,label,new,old", marked)
    assert load("text,label,new,old", marked, gold="none").labels == CLASSES


def test_columns_of_nested_values_are_refused_where_they_are_given(tmp_path):
    """A gold label in a list was left out in silence, and answers in an object were called empty."""
    file = tmp_path / "answers.jsonl"
    row = {"a": 1, "b": 0, "in": {"en": "A text"}, "gold": ["a"], "scores": {"a": 1}}
    file.write_text("".join(json.dumps({"text": f"Text {i}", **row}) + "\n" for i in range(40)))

    def refused(message: str, **columns) -> None:
        with pytest.raises(DataError, match=message):
            load_task(TaskConfig(knowledge=str(file), **columns))

    for flag, name in (("text-column", "in"), ("label-column", "gold"), ("answer-columns", "scores")):
        value = (name,) if flag == "answer-columns" else name
        says = (
            rf"^The column '{name}' of answers\.jsonl holds nested values .* choose another with --{flag}\.$"
        )
        refused(says, **{flag.replace("-", "_"): value})
    file.write_text(json.dumps({"text": "A text", "scores": {"a": 1}}) + "\n")
    refused(
        r"^answers\.jsonl has no column for a teacher's answers beside that of the texts, 'text'\. Give "
        r"one a class, or one with its choice, in place of 'scores'\.$"
    )
