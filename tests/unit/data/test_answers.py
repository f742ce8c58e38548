"""A teacher that is a file: which columns are its answers, what they say, and which rows are labelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import load_task
from kd_core.data.answer_values import FLOOR
from kd_core.data.task import Task
from kd_core.errors import ConfigError, DataError
from tests.unit.data.films import case, texts_of

NAMES = ("new", "old")
LOGITS = ((2.5, -1.0), (-3.0, 0.5))
WHOLE = ((0.2, 0.7, 0.1), (0.6, 0.2, 0.2))
COLUMNS, GOLD = "text,new,old", "text,label,new,old"

Row = Callable[[int], Sequence[object]]


def said(i: int) -> str:
    return NAMES[i % 2]


def sure(i: int) -> tuple[float, float]:
    return ((0.9, 0.1), (0.2, 0.8))[i % 2]


def values(*rows: Sequence[float]) -> Row:
    return lambda i: rows[i % len(rows)]


def choice(i: int) -> list[str]:
    return [said(i)]


def both(i: int) -> list[str]:
    return [said(i), said(i)]


def gold(i: int) -> list[object]:
    return [said(i), *sure(i)]


def likes(i: int) -> list[object]:
    return [said(i), i % 7, 100 + i]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Task]:
    """``load(header, row)``: the task of a file with the texts 0 to 39 and what ``row`` gives for each.

    ``more`` are further lines; ``test`` gives the cells of six other texts, in a test file.
    """

    def make(
        header=COLUMNS, row: Row = sure, *, more=(), test: Row | None = None, count=40, **settings
    ) -> Task:
        lines = [[f"text {i}", *row(i)] for i in range(count)] + list(more)
        held_out = [[f"other {i}", *test(i)] for i in range(6)] if test else []
        for name, content in (("answers", lines), ("test", held_out)):
            text = "\n".join([header, *(",".join(map(str, line)) for line in content)])
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        files = {"test_file": str(tmp_path / "test.csv")} if test else {}
        values = {"knowledge": str(tmp_path / "answers.csv"), **files, **settings}
        return load_task(DistillConfig.from_dict({"task": values}).task)

    return make


def said_of(task: Task, texts: Sequence[str]) -> list[int]:
    return task.answers.of(texts).argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        case("labels none new old", header="text,label", row=choice),
        case("labels rows new old", header="text,label,llm_answer", row=both),
        case(
            "labels none new old", header="text,gpt5,confidence", row=lambda i: [said(i), (0.9, 0.8)[i % 2]]
        ),
        case("probabilities rows new old", header="text,label,prob_new,prob_old", row=gold),
        # A class may have the name of a number of rows, where it makes the row whole or is a gold label.
        case("probabilities none new old", header="text,number,new,old", row=lambda i: [i, *sure(i)]),
        case("probabilities none number new old", header="text,number,new,old", row=values(*WHOLE)),
        case("logits rows id x", header="text,gold,id,x", row=lambda i: [("id", "x")[i % 2], 2.5, -i]),
        case("logits none new old", header="text,time,new,old", row=lambda i: [9000 + i, *LOGITS[i % 2]]),
        # Numbers may be labels, or likes and views.
        case("labels rows 1 2 3", header="text,label,prediction", row=lambda i: [1 + i % 3, 1 + i % 2]),
        case("labels none new old", header="text,answer,likes,views", row=likes),
        case("labels none 0 1", header="text,prediction,likes,views", row=lambda i: [i % 2, *likes(i)[1:]]),
        case("probabilities none new old", header=GOLD, row=lambda i: [i % 3, *sure(i)], gold="none"),
        # Gold labels may be written as the columns are, with what their names share at the front.
        case(
            "probabilities rows L_a L_b",
            header="text,label,L_a,L_b",
            row=lambda i: [f"L_{'ab'[i % 2]}", *sure(i)],
        ),
        case("probabilities rows a b", header="text,label,L_a,L_b", row=lambda i: ["ab"[i % 2], *sure(i)]),
        # The kind of the numbers is guessed.
        case("logits none new old", row=values((3.5, 1.0), (0.2, 6.0))),
        case("probabilities none new old", row=values((0.91, 0.1), (0.2, 0.8))),
        case("logits none new old", answers="logits"),
    ],
)
def test_which_columns_are_answers_and_what_they_say(load, file, expected):
    task = load(**file)
    kind, where, *labels = expected.split()
    assert (task.answers.kind, task.answers.gold, list(task.labels)) == (kind, where, labels)
    guessed = f"read as {kind.replace('_', '-')} (guessed; --answers says otherwise)"
    assert (guessed in " ".join(task.notes)) == (kind != "labels" and "answers" not in file)


@pytest.mark.parametrize(
    ("file", "logits"),
    [
        case(LOGITS[0], row=values(*LOGITS)),
        case(np.log([0.9, 0.1]), row=values((-0.105, -2.303), (-1.609, -0.223))),
        case(np.log([0.9, 0.1])),
        case(np.log([1, FLOOR]), row=values((1, 0), (0.2, 0.8))),
        case(np.log([0.9, 0.1]), row=values((90, 10), (20, 80)), normalise=True),
        case(np.log([0.8, 0.1, 0.1]), header="text,answer", row=lambda i: ["abc"[i % 3]], smoothing=0.2),
        case(np.log([1, FLOOR, FLOOR]), header="text,answer", row=lambda i: ["abc"[i % 3]], smoothing=0),
    ],
)
def test_logits(load, file, logits):
    assert load(**file).answers.of(["TEXT  0"])[0] == pytest.approx(logits, abs=1e-3)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        case(r"look like percent \(line 2 sums to 100\).*--normalise", row=values((90, 10), (20, 80))),
        case(r"of 20 rows do not sum to 1 \(line 3: 0\.7, of 'new'", row=values((0.9, 0.1), (0.2, 0.5))),
        case(r"below 0 \(-0\.1 in line 2\)\. .* --answers", row=values((1.1, -0.1), (0.2, 0.8))),
        case("the answers in line 2 are all 0", row=values((0, 0), (0.2, 0.8)), normalise=True),
        case("1 row without a number .*; line 42 has '' for 'new'", more=[["x", "", 0.5]]),
        case("line 42 has '-1e39' for 'old'", more=[["x", 1, "-1e39"]], answers="logits"),
        case("1 text with two .* text of line 5 has another in line 42", more=[["TEXT 3", 0.201, 0.799]]),
        case("19 texts with an answer; give at least 20", count=19),
        case("no column 'neu'; choose --answer-columns from", answer_columns=["neu"]),
        case("--gold rows needs rows with a gold label", gold="rows"),
        case("all 40 texts the teacher says 'new'; .*-columns", row=values((0.9, 0.1), (0.5, 0.5))),
        case("--transfer-file has no answers of a teacher", transfer_file="more.csv"),
        case("--answers labels needs one column, got 2", answers="labels"),
        case("logits needs a column for each", header="text,answer", row=choice, answers="logits"),
        case("All answers .* are 'x'; a task needs", header="text,answer", row=lambda i: "x"),
        case("1 row without .* in line 42", header="text,answer", row=choice, more=[["x", ""]]),
        case("with --merge-labels", header="text,answer", row=choice, more=[["x", "New"]]),
        case("Which columns .* hold the teacher's answers.*--answer", header="text,a,b", row=lambda i: "xy"),
        case("the gold label 'x' has no column .*'new'", header=GOLD, row=lambda i: ["x", *sure(i)]),
        case("No text has the gold label 'old'", header=GOLD, row=lambda i: ["new", *sure(i)]),
        case("'NEW' .* with --merge-labels", header=GOLD, row=lambda i: [said(i).upper(), *sure(i)]),
        case("'x' is none of the classes", header=GOLD, row=gold, test=lambda i: ["x", *sure(i)]),
        case("test.csv has no gold labels, and ans", header=GOLD, row=gold, test=lambda i: ["", *sure(i)]),
        case(
            "No text has the gold label 'c', a class of the teacher's answers",
            header="text,label,answer",
            row=lambda i: ["b" if i < 2 else "ac"[i % 2], "ab"[i % 2]],
            drop_rare=True,
        ),
        case(
            "No validation text is left: ",
            header="text," + ",".join("abcdefghij"),
            row=lambda i: [0.91 if i % 10 == column else 0.01 for column in range(10)],
            count=20,
        ),
    ],
)
def test_files_are_refused_with_what_to_do(load, file, says):
    with pytest.raises((DataError, ConfigError), match=says) as refused:
        load(**file)
    if "with --merge-labels" in says:
        assert refused.value.settings == ("merge_labels",)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        case(r"^The column 'in' of answers\.jsonl holds nested values .* --text-column\.$", text_column="in"),
        case(r"^The column 'gold' .* with --label-column\.$", label_column="gold"),
        case(r"^The column 'scores' .* with --answer-columns\.$", answer_columns=["scores"]),
        case(
            "no column for a teacher's answers beside that of the texts, 'text'.*in place of 'in', 'gold', 's"
        ),
    ],
)
def test_columns_of_nested_values_are_refused(tmp_path, settings, says):
    row = {"in": {"en": "A text"}, "gold": ["a"], "scores": {"a": 1}} | ({"a": 1, "b": 0} if settings else {})
    lines = [json.dumps({"text": f"Text {i}", **row}) for i in range(40)]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=says):
        load_task(TaskConfig(knowledge=str(tmp_path / "answers.jsonl"), **settings))


@pytest.mark.parametrize("name", ["hub:ag_news", "bbc-headlines", ".", "nothing.csv"])
def test_what_is_no_file_of_answers(name):
    missing = r"^--knowledge: There is no file 'nothing.csv'"
    kind = rf"^--knowledge must be a file of texts and a teacher's answers \(.csv, .*got {name!r}. For a bund"
    with pytest.raises(DataError, match=missing if name.startswith("nothing") else kind):
        load_task(DistillConfig().change({"task.knowledge": name}).task)


def test_without_gold_labels_the_choices_are_the_labels(load):
    task = load(more=[["Text 0", 0.9, 0.1], ["'@you see", *sure(0)], ["'tis so", *sure(1)]])
    assert (len(task.train), len(task.validation), len(task.test), len(task.transfer)) == (26, 6, 10, 0)
    assert said_of(task, texts_of(task)) == [
        label for split in (task.train, task.validation, task.test) for label in split["label"]
    ]
    # An apostrophe keeps a spreadsheet from running a text as a formula.
    assert {"@you see", "'tis so"} <= {*task.answers.rows}
    assert any(note.startswith("answers.csv: 1 text read without the apostrophe") for note in task.notes)
    assert "answers.csv: 1 row that repeat another dropped." in task.notes
    assert task.notes[-1].endswith("what is measured is agreement with the teacher.")


def test_rows_with_gold_labels_are_the_labelled_ones(load):
    """Of 40 rows 20 have a gold label, which for a quarter of them is not the teacher's choice."""
    task = load(GOLD, lambda i: [NAMES[i % 2 if i % 4 else 1] if i < 20 else "", *sure(i)])
    assert sorted(task.transfer["text"]) == sorted(f"text {i}" for i in range(20, 40))
    assert "20 rows with a gold label; the other 20 are the transfer set." in task.notes
    everywhere = [*task.train, *task.validation, *task.test]
    assert len(everywhere) == 20
    assert sum(said_of(task, [row["text"]]) != [row["label"]] for row in everywhere) == 5
    all_gold = load(GOLD, gold)
    assert "40 rows with a gold label; no other is left as a transfer set." in all_gold.notes


@pytest.mark.parametrize(("gold_here", "asked"), [(True, "any"), (False, "any"), (True, "test")])
def test_gold_labels_in_the_test_file(load, gold_here, asked):
    """The teacher answers every test text in the same way; one has no gold label."""
    task = load(
        GOLD,
        gold if gold_here else lambda i: ["", *sure(i)],
        test=lambda i: [said(i) if i else "", *sure(0)],
        gold=asked,
    )
    assert task.answers.gold == ("rows" if gold_here and asked == "any" else "test")
    assert (len(task.train), len(task.validation), len(task.test)) == (32, 8, 5)
    assert (sorted(task.test["label"]), said_of(task, task.test["text"])) == ([0, 0, 1, 1, 1], [0] * 5)
    assert "test.csv: 1 row without a gold label dropped." in task.notes


@pytest.mark.parametrize(("column", "given"), [("label", None), ("checked", "checked")])
def test_a_column_of_gold_labels_that_only_the_test_file_has(load, tmp_path, column, given):
    lines = [f"text,{column},new,old", *(f"other {i},{said(i)},0.9,0.1" for i in range(6))]
    (tmp_path / "held.csv").write_text("\n".join(lines))
    files = {"test_file": str(tmp_path / "held.csv")}
    task = load(**files, label_column=given)
    assert (task.answers.gold, sorted(task.test["label"])) == ("test", [0, 0, 0, 1, 1, 1])
    with pytest.raises(DataError, match=r"held.csv has no column 'x'; choose --label-column from 'text', "):
        load(**files, label_column="x")
    (tmp_path / "held.csv").write_text("text,label\na text,new\n")
    with pytest.raises(
        DataError, match=r"held.csv has no columns 'new', 'old': the test file needs the teach"
    ):
        load(**files)


@pytest.mark.parametrize(
    ("header", "row", "test"),
    [
        ("text,answer", choice, lambda i: [said(i).title()]),
        ("text,label,answer", both, lambda i: [said(i).title()] * 2),
        (GOLD, lambda i: [said(i).upper(), *sure(i)], lambda i: [said(i).title(), *sure(i)]),
    ],
)
def test_labels_are_merged_with_the_classes_on_request(load, header, row, test):
    with pytest.raises(DataError, match=r"(answer 'New'|gold label 'NEW') .* --merge-labels") as refused:
        load(header, row, test=test)
    assert refused.value.settings == ("merge_labels",)
    task = load(header, row, test=test, merge_labels=True)
    assert (task.labels, task.test["label"][:]) == (NAMES, [0, 1] * 3)
    assert said_of(task, task.test["text"]) == [0, 1] * 3
    assert ("test.csv: 6 choices spelled as the class now." in task.notes) == ("answer" in header)


def test_classes_that_are_chosen_once_or_never_stay(load):
    task = load("text,new,old,ancient", lambda i: (0.1, 0.8, 0.1) if i == 7 else (0.8, 0.1, 0.1))
    assert (task.labels, task.answers.logits.shape) == (("new", "old", "ancient"), (40, 3))


@pytest.mark.parametrize("choices", [False, True])
def test_answers_are_for_the_classes_that_are_left(load, choices):
    """Class b has two gold labels, and is the teacher's choice for six of the 60 texts."""

    def row(i: int) -> list[object]:
        label, second = "b" if i < 2 else "ac"[i % 2], "ac"[i % 2]
        choice = "b" if i % 10 == 3 else second
        shares = [0.8 if name == choice else 0.15 if name == second else 0.05 for name in "abc"]
        return [
            label if i < 40 else "",
            *([choice] if choices else [share / sum(shares) for share in shares]),
        ]

    task = load("text,label,answer" if choices else "text,label,a,b,c", row, count=60, drop_rare=True)
    assert (task.labels, task.answers.logits.shape) == (("a", "c"), (60, 2))
    assert sorted(task.transfer["text"]) == sorted(f"text {i}" for i in range(40, 60) if i % 10 != 3)
    # Where the other classes have shares, these are answers; of a choice nothing is left.
    assert len(texts_of(task)) == (34 if choices else 38)
    texts = [*texts_of(task), *task.transfer["text"]]
    assert said_of(task, texts) == [int(text.split()[1]) % 2 for text in texts]
    lost = 6 if choices else 2
    assert f"{lost} texts for which the teacher chooses a dropped class dropped too." in task.notes
