"""A teacher that is a file: which rows are labelled, which are transfer texts, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import load_task
from kd_core.errors import ConfigError, DataError
from kd_core.system.settings import Settings
from tests.unit.data.answered import CLASSES, SURE, notes, rows


def test_without_gold_labels_the_choices_are_the_labels(load):
    task = load("text,new,old", rows())
    assert task.labels == CLASSES
    assert (len(task.train), len(task.validation), len(task.test), len(task.transfer)) == (24, 6, 10, 0)
    assert (task.answers.kind, task.answers.gold) == ("probabilities", "none")
    for split in (task.train, task.validation, task.test):
        assert task.answers.of(split["text"]).argmax(axis=1).tolist() == split["label"][:]
    assert np.exp(task.answers.of(["TEXT  number 0"])[0]) == pytest.approx((0.9, 0.1))
    assert "read as probabilities (guessed; --answers says otherwise)" in notes(task)
    assert "what is measured is agreement with the teacher" in notes(task)


def test_rows_with_gold_labels_are_the_labelled_ones(load):
    """Of 40 rows 20 have a gold label, which for a quarter of them is not the teacher's choice."""
    given = rows("")
    for i, row in enumerate(given[:20]):
        row[1] = CLASSES[i % 2 if i % 4 else 1]
    task = load("text,label,prob_new,prob_old", given)
    assert task.labels == CLASSES
    assert task.answers.gold == "rows"
    assert len(task.train) + len(task.validation) + len(task.test) == 20
    assert sorted(task.transfer["text"]) == sorted(f"text number {i}" for i in range(20, 40))
    assert "20 rows with a gold label; the other 20 are the transfer set." in notes(task)
    everywhere = [*task.train, *task.validation, *task.test]
    wrong = sum(task.answers.of([row["text"]]).argmax() != row["label"] for row in everywhere)
    assert wrong == 5
    assert load("text,label,prob_new,prob_old", given, gold="none").answers.gold == "none"


def test_too_few_texts_for_a_validation_split_are_refused(load):
    """Of ten chosen classes of two texts each one is for the training, and one for the test."""
    names = [f"class {number}" for number in range(10)]
    given = [
        [f"text number {i}", *(0.91 if i % 10 == place else 0.01 for place in range(10))] for i in range(20)
    ]
    with pytest.raises(DataError, match="No validation text is left: "):
        load(",".join(["text", *names]), given)


def test_gold_labels_in_the_test_file_alone(load):
    test = [[f"other text {i}", CLASSES[i % 2], *SURE[0]] for i in range(6)]
    task = load("text,label,new,old", rows(""), test)
    assert task.answers.gold == "test"
    assert (len(task.train), len(task.validation), len(task.test)) == (32, 8, 6)
    assert sorted(task.test["label"]) == [0, 0, 0, 1, 1, 1]
    assert set(task.answers.of(task.test["text"]).argmax(axis=1)) == {0}
    both = load("text,label,new,old", rows("new"), test, gold="test")  # those of the other file are left out
    assert (both.answers.gold, len(both.train) + len(both.validation)) == ("test", 40)
    assert both.answers.of(both.train["text"]).argmax(axis=1).tolist() == both.train["label"][:]


@pytest.mark.parametrize("prefix", ["very_", "LABEL_"])
def test_gold_labels_may_be_written_as_the_columns_are(load, prefix):
    """What the names share at the front stays, or is left out in both."""
    header = f"text,label,{prefix}new,{prefix}old"
    given = rows("")
    for i, row in enumerate(given):
        row[1] = prefix + CLASSES[i % 2]
    task = load(header, given)
    assert task.labels == tuple(prefix + name for name in CLASSES)
    assert load(header, [[row[0], CLASSES[i % 2], *row[2:]] for i, row in enumerate(given)]).labels == CLASSES
    test = [[f"other text {i}", prefix + CLASSES[i % 2], *SURE[0]] for i in range(6)]
    task = load(header, rows(""), test)
    assert (task.answers.gold, task.labels) == ("test", CLASSES)
    assert sorted(task.test["label"]) == [0, 0, 0, 1, 1, 1]


def test_test_texts_without_a_gold_label_are_dropped_and_the_others_keep_their_answers(load):
    test = [[f"other text {i}", "" if i == 1 else CLASSES[i % 2], *SURE[i % 2]] for i in range(6)]
    task = load("text,label,new,old", rows(""), test)
    assert sorted(task.test["text"]) == [f"other text {i}" for i in (0, 2, 3, 4, 5)]
    assert task.answers.of(task.test["text"]).argmax(axis=1).tolist() == task.test["label"][:]
    assert "test.csv: 1 row without a gold label dropped." in notes(task)


@pytest.mark.parametrize(
    ("header", "given"), [("text,label,new,old", None), ("text,checked,new,old", "checked")]
)
def test_gold_labels_of_a_column_that_the_test_file_alone_has(load, tmp_path, header, given):
    lines = [header, *(f"other text {i},{CLASSES[i % 2]},0.9,0.1" for i in range(6))]
    (tmp_path / "held.csv").write_text("\n".join(lines))
    task = load("text,new,old", rows(), test_file=str(tmp_path / "held.csv"), label_column=given)
    assert task.answers.gold == "test"
    assert sorted(task.test["label"]) == [0, 0, 0, 1, 1, 1]
    with pytest.raises(DataError, match=r"held.csv has no column 'x'; choose --label-column from 'text', "):
        load("text,new,old", rows(), test_file=str(tmp_path / "held.csv"), label_column="x")


def test_what_kd_ask_wrote_for_a_spreadsheet_is_read_as_it_was(load):
    """A tweet, say: "@you ..." is "'@you ..." in its CSV, and would be a new text to the next kd ask."""
    given = rows()
    given[0][0], given[1][0], given[2][0] = "'@you see this", "'tis another", "@me too"
    task = load("text,new,old", given)
    assert task.answers is not None
    assert {"@you see this", "'tis another", "@me too"} <= {*task.answers.rows}
    assert "answers.csv: 1 text read without the apostrophe that keeps a spreadsheet from" in notes(task)


def test_answers_that_differ_in_case_are_merged_on_request(load):
    given = [[f"text {i}", ("New", "new", "old")[i % 3]] for i in range(30)]
    with pytest.raises(DataError, match="--merge-labels"):
        load("text,answer", given)
    assert load("text,answer", given, merge_labels=True).labels == ("New", "old")


@pytest.mark.parametrize("gold", [False, True])
def test_choices_of_the_test_file_are_merged_with_the_classes_on_request(load, gold):
    """Nothing in one of the files alone differs from another label there."""
    header = "text,label,answer" if gold else "text,answer"
    given = [[f"text {i}", *[CLASSES[i % 2]] * (1 + gold)] for i in range(30)]
    held = [[f"other {i}", *[CLASSES[i % 2].title()] * (1 + gold)] for i in range(6)]
    says = r"test.csv: the answer 'New' is none of the classes 'new', 'old'\. It .* with --merge-labels"
    with pytest.raises(DataError, match=says) as caught:
        load(header, given, held)
    assert caught.value.settings == ("merge_labels",)
    task = load(header, given, held, merge_labels=True)
    assert (task.labels, task.test["label"][:]) == (CLASSES, [0, 1] * 3)
    assert task.answers.of(task.test["text"]).argmax(axis=1).tolist() == [0, 1] * 3
    assert "test.csv: 6 choices spelled as the class now." in notes(task)


def test_gold_labels_are_merged_with_the_columns_of_the_classes_on_request(load):
    given = [[f"text {i}", CLASSES[i % 2].upper(), *SURE[i % 2]] for i in range(30)]
    held = [[f"other {i}", CLASSES[i % 2].title(), *SURE[i % 2]] for i in range(6)]
    with pytest.raises(DataError, match=r"the gold label 'NEW' has no column .* with --merge-labels"):
        load("text,label,new,old", given, held)
    task = load("text,label,new,old", given, held, merge_labels=True)
    assert (task.labels, task.test["label"][:]) == (CLASSES, [0, 1] * 3)
    with pytest.raises(DataError, match=r"the gold label 'ancient' is none of the classes 'new', 'old'\.$"):
        load("text,label,new,old", given, [*held, ["one more", "ancient", 0.5, 0.5]], merge_labels=True)


def test_a_class_that_is_chosen_once_is_kept(load):
    """Of labels that people gave a class would need a text for each split."""
    given = rows(values=[SURE[0], SURE[0]])
    given[7][1:] = SURE[1]
    task = load("text,new,old", given)
    assert task.labels == CLASSES
    labels = [*task.train["label"], *task.validation["label"], *task.test["label"]]
    assert (len(labels), labels.count(1)) == (40, 1)


def test_a_class_that_is_never_chosen_stays_one(load):
    values = [(0.8, 0.1, 0.1), (0.1, 0.8, 0.1)]
    task = load("text,new,old,ancient", rows(values=values))
    assert task.labels == ("new", "old", "ancient")
    assert task.answers.logits.shape == (40, 3)


def test_what_repeats_is_dropped(load):
    task = load("text,new,old", [*rows(), *rows()[:3]])
    assert "3 rows that repeat another dropped." in notes(task)
    assert len(task.train) + len(task.validation) + len(task.test) == 40


@pytest.mark.parametrize(
    ("header", "given", "settings", "says"),
    [
        (
            "text,new,old",
            rows(values=[(90, 10), (20, 80)]),
            {},
            r"the answers look like percent \(line 2 sums to 100\). .* --normalise",
        ),
        (
            "text,new,old",
            rows(values=[(0.9, 0.1), (0.2, 0.5)]),
            {},
            r"the probabilities of 20 rows do not sum to 1 \(line 3: 0.7, of 'new', 'old'\). .* --normalise",
        ),
        (
            "text,new,old",
            rows(values=[(1.1, -0.1), (0.2, 0.8)]),
            {},
            r"below 0 \(-0.1 in line 2\). .* --answers",
        ),
        (
            "text,new,old",
            [*rows(), ["one more", "", 0.5]],
            {},
            "1 row without a number for each class; line 42 has '' for 'new'",
        ),
        ("text,new,old", [*rows(), ["one more", "nan", 1]], {}, "line 42 has 'nan' for 'new'"),
        ("text,new,old", [*rows(), ["one more", 1, "-1e39"]], {"answers": "logits"}, "has '-1e39' for 'old'"),
        (
            "text,new,old",
            [*rows(), ["TEXT number 3", 0.201, 0.799]],
            {},
            "1 text with two answers; the text of line 5 has another in line 42. Keep one",
        ),
        ("text,new,old", rows(count=19), {}, "19 texts with an answer; give at least 20"),
        (
            "text,label,new,old",
            rows("ancient"),
            {},
            "the gold label 'ancient' has no column of answers; .*'new'",
        ),
        ("text,label,new,old", rows("new"), {}, "No text has the gold label 'old', .* --gold none"),
        (
            "text,new,old",
            rows(),
            {"answer_columns": ["neu"]},
            "no column 'neu'; choose --answer-columns from",
        ),
        ("text,new,old", rows(), {"gold": "rows"}, "--gold rows needs rows with a gold label"),
        (
            "text,answer",
            [[f"text {i}", "new"] for i in range(30)],
            {},
            "All answers .* are 'new'; a task needs",
        ),
        (
            "text,answer",
            [[f"text {i}", CLASSES[i % 2] if i else ""] for i in range(30)],
            {},
            "1 row without an answer",
        ),
        ("text,a,b", [[f"text {i}", "x", "y"] for i in range(30)], {}, "Which columns .* --answer-columns"),
        (
            "text,new,old",
            rows(values=[(0.9, 0.1), (0.5, 0.5)]),
            {},
            r"^answers\.csv: of all 40 texts the teacher says 'new'; .* with --answer-columns\.$",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(load, header, given, settings, says):
    with pytest.raises(DataError, match=says):
        load(header, given, **settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"transfer_file": "more.csv"}, "--transfer-file has no answers of a teacher"),
        ({"answers": "labels"}, "--answers labels needs one column, got 2"),
    ],
)
def test_settings_that_do_not_go_with_answers(load, settings, says):
    with pytest.raises(ConfigError, match=says):
        load("text,new,old", rows(), **settings)


def test_a_test_file_needs_answers_too(load, tmp_path):
    (tmp_path / "plain.csv").write_text("text,label\na text,new\n")
    with pytest.raises(
        DataError, match=r"plain.csv has no columns 'new', 'old': the test file needs the teacher's"
    ):
        load("text,label,new,old", rows(""), test_file=str(tmp_path / "plain.csv"))


def test_the_file_is_the_task_and_all_settings_round_trip():
    config = DistillConfig().change(
        {
            "task.knowledge": "answers.csv",
            "task.answer_columns": ["new", "old"],
            "task.answers": "logits",
            "task.gold": "none",
            "task.normalise": True,
            "task.smoothing": 0.2,
        }
    )
    assert config.task.name == "answers.csv"
    assert DistillConfig.from_yaml(config.to_yaml()) == config
    assert isinstance(config.task, Settings)
    assert TaskConfig.model_validate(config.task.model_dump(mode="json")) == config.task


def test_the_home_folder_may_be_written_as_people_do(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    load("text,new,old", rows())
    task = load_task(DistillConfig().change({"task.knowledge": "~/answers.csv"}).task)
    assert len(task.train) == 24


def test_a_row_all_gold_has_no_transfer_set(load):
    task = load("text,label,new,old", [[f"text {i}", CLASSES[i % 2], *SURE[i % 2]] for i in range(30)])
    assert "30 rows with a gold label; no other is left as a transfer set." in notes(task)


@pytest.mark.parametrize("name", ["hub:ag_news", "bbc-headlines", "."])
def test_what_is_no_file_of_answers_is_told_apart(name):
    config = DistillConfig().change({"task.knowledge": name})
    says = (
        rf"--knowledge must be a file of texts and a teacher's answers \(.csv, .*got {name!r}. For a bundled"
    )
    with pytest.raises(DataError, match=says):
        load_task(config.task)
    with pytest.raises(DataError, match=r"--knowledge: There is no file 'nothing.csv'"):
        load_task(DistillConfig().change({"task.knowledge": "nothing.csv"}).task)


@pytest.mark.parametrize("choices", [False, True])
def test_the_answers_are_for_the_classes_that_are_left(load, choices):
    """Class b has two gold labels; that it is the teacher's choice for others too is told by the note."""
    given = []
    for i in range(60):
        label, choice = "b" if i < 2 else "ac"[i % 2], "b" if i % 10 == 3 else "ac"[i % 2]
        second = "ac"[i % 2]  # where the choice is b
        shares = [0.8 if name == choice else 0.15 if name == second else 0.05 for name in "abc"]
        shares = [share / sum(shares) for share in shares]
        given.append([f"text {i}", label if i < 40 else "", *([choice] if choices else shares)])
    task = load("text,label,answer" if choices else "text,label,a,b,c", given, drop_rare=True)
    assert task.labels == ("a", "c")
    assert task.answers.logits.shape == (60, 2)
    assert sorted(task.transfer["text"]) == sorted(f"text {i}" for i in range(40, 60) if i % 10 != 3)
    labelled = [text for split in (task.train, task.validation, task.test) for text in split["text"]]
    assert len(labelled) == (34 if choices else 38)  # where the other classes have shares, these are answers
    for text in (*labelled, *task.transfer["text"]):
        i = int(text.split()[1])
        assert task.answers.of([text])[0].argmax() == i % 2
    lost = 6 if choices else 2
    assert f"{lost} texts for which the teacher chooses a dropped class dropped too." in notes(task)


def test_a_class_without_a_training_text_that_has_an_answer_is_refused(load):
    given = [[f"text {i}", "b" if i < 2 else "ac"[i % 2], "b" if i % 2 else "a"] for i in range(40)]
    with pytest.raises(DataError, match="No text has the gold label 'c', a class of the teacher's answers"):
        load("text,label,answer", given, drop_rare=True)
