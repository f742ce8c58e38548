"""What is checked once rows are read: items 26 to 33 of the list of bad inputs."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data.assemble import build_task, clean_rows, sort_labels
from kd_core.data.task import Task
from kd_core.errors import DataError

Pairs = list[tuple[str, str]]
FILMS = [(f"{word} film {i}", label) for i in range(10) for word, label in (("Good", "pos"), ("Bad", "neg"))]


def task_of(train: Pairs, test: Pairs = (), validation: Pairs = (), order=(), **options) -> Task:
    config, notes = TaskConfig(**options), []
    parts = {}
    for name, pairs in (("train", train), ("validation", validation), ("test", test)):
        if pairs:
            frame = pd.DataFrame(pairs, columns=["text", "label"], dtype="str")
            parts[name], _ = clean_rows(frame, f"{name}.csv", config, notes)
    return build_task("films", parts, [], config, notes, order)


def texts_of(task: Task) -> list[str]:
    return [*task.train["text"], *task.validation["text"], *task.test["text"]]


# Items 26 to 33


def test_26_one_class_is_blocked():
    with pytest.raises(
        DataError, match=r"All 9 rows have the label 'pos'; a task needs at least two classes"
    ):
        task_of([(f"text {i}", "pos") for i in range(9)])
    with pytest.raises(DataError, match=r"^The only row has the label 'pos'; a task needs at least two"):
        task_of([("text", "pos")])


@pytest.mark.parametrize(
    ("rare", "found"),
    [(["one"], "'meh' has 1"), (["one", "two"], "'meh' has 2"), (["one", "ONE ", "two"], "'meh' has 2")],
)
def test_27_a_class_with_too_few_examples_is_named(rare, found):
    with pytest.raises(DataError, match=rf"needs at least 3 different texts, to be in all splits; {found}\."):
        task_of(FILMS + [(text, "meh") for text in rare])


def test_27_three_texts_are_enough_for_all_splits():
    task = task_of(FILMS + [(text, "meh") for text in ("one", "two", "three")])
    for split in (task.train, task.validation, task.test):
        assert set(split["label"]) == {0, 1, 2}


def test_27_rare_classes_are_dropped_on_consent():
    rare = [("one", "meh"), ("ONE ", "meh"), (" One", "meh"), ("two", "odd")]  # one text, in three spellings
    with pytest.raises(DataError, match=r"'odd' has 1\. Add texts, .*--drop-rare") as refused:
        task_of([*FILMS, rare[-1]])
    assert refused.value.settings == ("drop_rare",)
    with pytest.raises(DataError, match="Is it the right column") as refused:  # of 4 classes 2 are rare
        task_of([*FILMS, *rare[1:]])
    assert refused.value.settings == ()
    task = task_of(FILMS + rare, drop_rare=True)
    assert task.labels == ("neg", "pos")
    assert sorted(texts_of(task)) == sorted(text for text, _ in FILMS)
    assert "Classes with fewer than 3 training texts dropped: 'meh', 'odd' (4 rows)." in task.notes


def test_27_test_texts_of_a_class_that_nothing_was_learned_of_are_dropped_on_consent():
    test = [("new", "pos"), ("newer", "meh")]
    with pytest.raises(DataError, match=r"never occur in training: 'meh'\. .*--drop-rare"):
        task_of(FILMS, test)
    task = task_of(FILMS, test, drop_rare=True)
    assert (task.labels, task.test["text"]) == (("neg", "pos"), ["new"])
    assert "Classes with fewer than 2 training texts dropped: 'meh' (1 row)." in task.notes
    assert task.notes[-1].startswith("1 of 2 test texts have such a class: they are not counted, and would")


def test_27_where_all_classes_are_rare_none_is_left():
    with pytest.raises(DataError, match=r"No training rows are left"):
        task_of([(f"text {i}", f"label {i}") for i in range(9)], drop_rare=True)


def test_31_where_all_training_texts_are_tested_on_none_is_left():
    """Nor would it help to drop the classes of the test that have none now."""
    with pytest.raises(DataError, match=r"^No training rows are left: all were dropped\. Add ") as refused:
        task_of(FILMS, FILMS, drop_overlap=True)
    assert refused.value.settings == ()
    with pytest.raises(DataError, match=r"^All 20 train texts occur in another part .*leave --test-file out"):
        task_of(FILMS, FILMS)


def test_27_fewer_are_needed_where_splits_are_given():
    test = [("new", "pos")]
    with pytest.raises(DataError, match=r"needs at least 2 different texts, .*; 'meh' has 1\."):
        task_of([*FILMS, ("one", "meh")], test)
    assert task_of([*FILMS, ("one", "meh")], test, [("newer", "neg")]).labels == ("meh", "neg", "pos")


def test_28_two_rows_are_blocked():
    with pytest.raises(DataError, match=r"only 2 labelled rows; at least 6 are needed: 3 different texts"):
        task_of(FILMS[:2])
    with pytest.raises(DataError, match=r"only 2 labelled rows; at least 4 are needed: 2 different texts"):
        task_of(FILMS[:2], test=FILMS[2:4])


def test_29_empty_texts_are_dropped_and_counted():
    task = task_of([("", "pos"), (" \t\n", "neg"), ("", ""), *FILMS])
    assert sorted(texts_of(task)) == sorted(text for text, _ in FILMS)
    assert "train.csv: 3 rows without a text dropped." in task.notes
    with pytest.raises(DataError, match=r"train\.csv has no rows with both a text and a label"):
        task_of([("", "pos"), ("", "neg")])


def test_30_very_long_texts_are_cut_and_counted():
    task = task_of([*FILMS, ("é" * 1_000_000, "pos"), ("x" * 20_000, "pos")])
    assert sorted(map(len, texts_of(task)))[-2:] == [20_000, 20_000]
    assert "train.csv: 1 text longer than 20,000 characters cut there." in task.notes


def test_entities_of_html_are_told_where_they_are_many():
    texts = [f"it&#039;s the {i} one & fine" if i % 4 else f"plain {i} Q&A; fine" for i in range(40)]
    pairs = [(text, ("pos", "neg")[place % 2]) for place, text in enumerate(texts)]
    told = "train.csv: 30 texts with HTML entities such as &#039;, which models read as several pieces; "
    assert [note for note in task_of(pairs).notes if note.startswith(told)]
    plain = task_of([(text.replace("&#039;", "'"), label) for text, label in pairs])
    assert not [note for note in plain.notes if "HTML" in note]


def test_31_texts_of_the_test_file_in_training_are_removed_on_consent():
    test = [("GOOD  film 3", "pos"), ("Bad film 1", "neg"), ("new", "neg")]
    with pytest.raises(DataError, match=r"2 of 20 train texts occur in test too\. .*--drop-overlap"):
        task_of(FILMS, test)
    task = task_of(FILMS, test, drop_overlap=True)
    assert task.test["text"] == [text for text, _ in test]
    learned = {*task.train["text"], *task.validation["text"]}
    assert learned == {text for text, _ in FILMS} - {"Good film 3", "Bad film 1"}
    assert "2 of 20 train texts that occur in test too were dropped." in task.notes


def test_31_validation_is_kept_apart_too():
    validation = [("Good film 3", "pos"), ("new", "neg")]
    with pytest.raises(DataError, match=r"2 of 20 train texts occur in validation or test too"):
        task_of(FILMS, [("Bad film 1", "neg"), ("new", "neg")], validation)
    task = task_of(FILMS, [("Bad film 1", "neg"), ("new", "neg")], validation, drop_overlap=True)
    assert (len(task.train), task.validation["text"]) == (18, ["Good film 3"])
    assert "1 of 2 validation texts that occur in test too were dropped." in task.notes


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["pos", "neg"])), max_size=40),
    st.integers(0, 9),
)
def test_31_our_own_split_never_separates_equal_texts(rows, seed):
    task = task_of(FILMS + [(f" {text.upper()} ", label) for text, label in rows] + rows, split_seed=seed)
    splits = [
        {text.casefold() for text in split["text"]} for split in (task.train, task.validation, task.test)
    ]
    assert sum(map(len, splits)) == len(set.union(*splits))
    assert len(texts_of(task)) == 20 + 2 * len(rows)


def test_31_the_seed_decides_what_is_split_off():
    first, again, other = (task_of(FILMS, split_seed=seed) for seed in (0, 0, 1))
    assert first.test["text"] == again.test["text"] != other.test["text"]


def test_32_contradicting_labels_are_counted():
    task = task_of([*FILMS, ("good film 1", "neg"), ("Good film 1", "neg"), ("Bad film 1", "pos")])
    assert "2 texts with more than one label, all kept." in task.notes
    other = task_of([*FILMS, ("a film", "neg")], [("A film", "pos"), ("new", "neg")], drop_overlap=True)
    assert other.notes == ("1 of 21 train texts that occur in test too were dropped.",)  # and so not kept
    assert len(texts_of(task)) == 23


def test_33_a_test_label_that_training_lacks_is_named():
    with pytest.raises(
        DataError, match=r"The test part has labels that never occur in training: 'meh', 'odd'\."
    ):
        task_of(FILMS, [("a", "odd"), ("b", "pos"), ("c", "meh")])


def test_of_too_many_transfer_texts_the_seed_draws_some_in_their_order():
    config, frame = TaskConfig(transfer_texts=5), pd.DataFrame(FILMS, columns=["text", "label"], dtype="str")
    texts = pd.Series([f"text {i:02}" for i in range(40)], dtype="str")
    drawn = []
    for seed in (0, 0, 1):
        notes: list[str] = []
        own = config.model_copy(update={"split_seed": seed})
        drawn.append(build_task("films", {"train": frame}, [texts], own, notes).transfer["text"][:])
        assert drawn[-1] == sorted(drawn[-1])
        assert "5 of 40 transfer texts are used." in notes
    assert drawn[0] == drawn[1] != drawn[2]


# Labels


def test_nothing_of_note_gives_no_notes():
    assert task_of(FILMS).notes == ()


def test_labels_are_sorted_by_value_if_they_are_numbers():
    assert sort_labels(["10", "9", "-1", "9.5"]) == ["-1", "9", "9.5", "10"]
    assert sort_labels(["10", "9", "a"]) == ["10", "9", "a"]
    assert sort_labels(["2", "inf", "10"]) == ["10", "2", "inf"]


def test_a_given_order_of_labels_is_kept():
    padded = [(text, f"{label} ") for text, label in FILMS]
    assert task_of(padded, order=["pos ", "neg "]).labels == ("pos", "neg")
    task = task_of(FILMS, order=["pos", "unused", "neg"])
    assert task.labels == ("pos", "neg")
    assert {
        (text.split()[0], label) for text, label in zip(task.train["text"], task.train["label"], strict=True)
    } == {
        ("Good", 0),
        ("Bad", 1),
    }


def test_a_label_column_of_texts_is_refused():
    with pytest.raises(DataError, match=r"has 1,001 different values, more than 1,000: .*--label-column"):
        task_of([(f"text {i}", f"label {i}") for i in range(1001)])
    with pytest.raises(DataError, match="Every class needs at least 3 different texts"):
        task_of([(f"text {i}", f"label {i}") for i in range(1000)])


def test_labels_merge_to_the_most_frequent_spelling_across_files():
    train = [*FILMS, ("a", "Pos "), ("b", "Pos ")]
    task = task_of(train, [("c", "POS"), ("d", "neg")], merge_labels=True)
    assert task.labels == ("neg", "pos")
    assert task.test["label"] == [1, 0]
    assert (
        "Labels that differ only in case, spaces or what cannot be seen were merged: "
        "'pos' (10), 'Pos ' (2), 'POS' (1)." in task.notes
    )
