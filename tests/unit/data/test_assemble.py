"""What is checked and noted once rows are read; numbers are items of the list of bad inputs."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data.assemble import build_task, clean_rows, sort_labels
from kd_core.data.task import Task
from kd_core.errors import DataError
from tests.unit.data.films import texts_of

Pairs = list[tuple[str, str]]


def of(label: str, *texts: str) -> Pairs:
    return [(text, label) for text in texts]


FILMS = [(f"{word} film {i}", label) for i in range(10) for word, label in (("Good", "pos"), ("Bad", "neg"))]
NEW = [("new", "pos"), ("newer", "neg")]
CONSENTS = ("label_empty", "drop_empty", "merge_labels", "drop_overlap", "drop_rare")


def task_of(
    train: Pairs = FILMS, test=(), validation=(), *, more=(), order=(), chosen=False, transfer=(), **options
) -> Task:
    """Make a task of the pairs in ``train`` and ``more``, and of those to validate and test on."""
    config, notes = TaskConfig(**options), []
    parts, unlabelled = {}, []
    for name, pairs in (("train", [*train, *more]), ("validation", validation), ("test", test)):
        if pairs:
            index = pd.RangeIndex(1, len(pairs) + 1, name="line")
            frame = pd.DataFrame(pairs, index=index, columns=["text", "label"], dtype="str")
            held_out = name != "train"
            parts[name], texts = clean_rows(frame, f"{name}.csv", config, notes, held_out=held_out)
            unlabelled.append(texts)
    unlabelled.append(pd.Series(transfer, dtype="str"))
    return build_task("films", parts, unlabelled, config, notes, order, chosen=chosen)


def one_each(count: int) -> Pairs:
    return [(f"text {i}", f"r{i}") for i in range(count)]


def letters(labels: str) -> Pairs:
    return [(label, label) for label in labels]


def numbers(count: int, form: str, each: int = 3) -> Pairs:
    return [(f"text {i} {n}", form.format(n)) for n in range(count) for i in range(each)]


def entities(count: int, total: int) -> Pairs:
    """``count`` of the texts have an HTML entity."""
    return [(f"it{'&#39;' * (i < count)}s {i} Q&A; x", ("pos", "neg")[i % 2]) for i in range(total)]


def case(name: str, expected: object, **rows: object):
    return pytest.param(rows, expected, id=name)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        case("26 class", r"^All 9 rows have the label 'x'; .* --label-column", train=of("x", *"abcdefghi")),
        case("26 row", "^The only row has the label 'x'; a task needs at least two", train=of("x", "a")),
        case("27 text", "3 different texts, .*; 'x' has 1. Add texts, or drop it with", more=of("x", "a")),
        case("27 two", r"; 'x' has 2\. .* --drop-rare", more=of("x", "a", "A ", "b")),
        case("27 with a test", "at least 2 different texts.*'x' has 1", more=of("x", "a"), test=NEW),
        case("27 few", "has 1, 'r1' has 1. Add texts, or drop them", more=of("x", *"abc") + one_each(2)),
        case("27 half", "'r0' has 1, 'r1' has 1. Is it the right column", more=one_each(2)),
        case("27 five", r"'r3' has 1, 'r4' has 1\. Is it", more=one_each(5)),
        case("27 six", r"'r4' has 1, and 1 more\. Is it", more=one_each(6)),
        case("27 all", "^No training rows are left", train=one_each(6), drop_rare=True),
        case("28 rows", "only 2 labelled rows; at least 6 are needed: 3 different", train=FILMS[:2]),
        case("28 five", "only 5 labelled rows; at least 6", train=FILMS[:5]),
        case("28 with a test", "only 3 labelled rows; .* 4 are needed: 2", train=FILMS[:3], test=NEW),
        case("29", r"^train\.csv has no rows with both", train=[("", "pos"), ("\u200b \ufeff", "neg")]),
        case("29 in the test", r"^test\.csv has no rows with both a text and a label", test=[(" ", " ")]),
        case(
            "11",
            r"^train\.csv: 2 of 22 rows without a label \(line 21, 22\)\. .* \(--label-empty\), or drop them",
            more=[("a", ""), ("b", " \u2060")],
        ),
        case("11 five", r"\(line 21, 22, 23, 24, 25\)\. ", more=of("", *"abcde")),
        case("11 six", r"\(line 21, 22, 23, 24, 25, \.\.\.\)\. ", more=of("", *"abcdef")),
        case(
            "11 in the test",
            r"^test\.csv: 1 of 3 rows .*\. Fill them in, or drop them \(--drop-empty\)\.$",
            test=[*NEW, ("a", "")],
            label_empty=True,
        ),
        case(
            "12",
            r"^Some labels differ only in case, .*: 'pos' \(10\), 'pos ' \(2\), 'POS' \(1\)\. Merge them",
            more=[("a", "pos "), ("b", "POS"), ("c", "pos ")],
        ),
        case("12 accent", r": 'cafe\\u0301' \(1\), 'café' \(1\)\.", train=letters(["café", "cafe\u0301"])),
        case("12 unseen", r"'caf\\xe9\\u200b' \(1\)", train=letters(["café", "café\u200b"])),
        case("12 five", r"'E' \(1\), 'e' \(1\)\. Merge", train=letters("abcdeABCDE")),
        case("12 six", r"'E' \(1\), 'e' \(1\); \.\.\.\. Merge", train=letters("abcdefABCDEF")),
        case("texts", "has 1,001 different values, more than 1,000: ", train=numbers(1001, "x{}", 1)),
        case("not quite texts", "^Every class needs", train=numbers(1000, "x{}", 1)),
        case("scale", r"^The 11 labels are numbers, from 0\.5 .* few ranges", train=numbers(11, "{}.5", 1)),
        case("no scale", r"^Every class .*right column\?", train=numbers(10, "{}.5", 1)),
        case("31", "^2 of 20 train texts occur in test too. Drop them from train", test=FILMS[:2] + NEW),
        case("31 parts", "^2 of .* in validation or test too", test=[FILMS[1], NEW[0]], validation=FILMS[:1]),
        case("31 held out", "^2 of 2 validation texts occur in test too", test=NEW, validation=NEW),
        case("31 all", "^All 20 train texts occur in another part.*leave --test-file out", test=FILMS),
        case("31 all dropped", "^No training rows are left: all", test=FILMS, drop_overlap=True),
        case("33", "^The test part has labels .* in training: 'm', 'o'. Add", test=NEW + letters("om")),
        case(
            "33 in both",
            r"^The validation and test part has .*: 'm', 'o'\.",
            test=[*NEW, ("a", "o")],
            validation=[("b", "m"), ("c", "pos")],
        ),
        case("33 five", r"'r0', 'r1', 'r2', 'r3', 'r4'\. ", test=NEW + one_each(5)),
        case("33 six", r"'r3', 'r4', \.\.\.\. ", test=NEW + one_each(6)),
        case("33 none", "^No label of the test part .* it has 'a', where training has 'n", test=letters("a")),
    ],
)
def test_rows_are_refused_with_what_helps(rows, says):
    with pytest.raises(DataError, match=says) as refused:
        task_of(**rows)
    offered = [consent for consent in CONSENTS if f"--{consent.replace('_', '-')}" in str(refused.value)]
    assert list(refused.value.settings) == offered


@pytest.mark.parametrize(
    ("rows", "kept_and_notes"),
    [
        case("nothing", [20]),
        case("27 three texts", [23], more=of("x", "a", "b", "c")),
        case("27 one text besides both parts", [24], more=of("x", "a"), test=NEW, validation=of("pos", "b")),
        case("27 none", [6], train=FILMS[:6], drop_rare=True),
        case(
            "27 rare classes",
            [20, "Classes with fewer than 3 training texts dropped: 'x', 'y' (4 rows)."],
            more=of("x", "one", "ONE ", " One") + of("y", "two"),
            drop_rare=True,
        ),
        case(
            "27 in the test",
            [
                21,
                "Classes with fewer than 2 training texts dropped: 'x' (1 row).",
                "1 of 2 test texts have such a class: they are not counted, and would all be answered",
            ],
            test=[NEW[0], ("a", "x")],
            drop_rare=True,
        ),
        case(
            "27 in validation",
            [23, "Classes with fewer than 1 training text dropped: 'x' (1 row).", "1 of 2 validation texts "],
            test=NEW,
            validation=[("a", "x"), ("b", "pos")],
            drop_rare=True,
        ),
        case("28 six rows", [6], train=FILMS[:6]),
        case("28 four rows", [6], train=FILMS[:4], test=NEW),
        case(
            "29",
            [20, "train.csv: 3 rows without a text dropped."],
            more=[("", "pos"), (" \t\n", "neg"), ("\u200b\u200d\ufeff", "pos")],
        ),
        case("11", [20, "train.csv: 1 row without a label dropped."], more=of("", "a"), drop_empty=True),
        case(
            "11 kept", [20, "train.csv: 2 rows without a label kept "], more=of("", *"ab"), label_empty=True
        ),
        case(
            "30",
            [23, "train.csv: 2 texts longer than 20,000 characters cut there."],
            more=[("é" * 1_000_000, "pos"), ("x" * 20_001, "pos"), ("y" * 20_000, "pos")],
        ),
        case("30 not cut", [21], more=[("x" * 20_000, "pos")]),
        case(
            "entities", [100, "train.csv: 2 texts with HTML entities such as &#39;, "], train=entities(2, 100)
        ),
        case("1 % of entities", [100], train=entities(1, 100)),
        case(
            "12",
            [24, "Labels that differ only in case, .* were merged: 'pos' (10), 'Pos ' (2), 'POS' (1)."],
            more=[("a", "Pos "), ("b", "Pos ")],
            test=[("c", "POS"), ("d", "neg")],
            merge_labels=True,
        ),
        case("12 all padded", [20], train=[(text, f" {label} ") for text, label in FILMS]),
        case(
            "09",
            [26, "The labels 1 and 1.0 are the same number, but count as different classes."],
            more=of("1", *"abc") + of("1.0", *"def"),
        ),
        case(
            "scale",
            [33, "The 11 labels are numbers, from 0.5 to 10.5. .* Better make a few ranges of them."],
            train=numbers(11, "{}.5"),
        ),
        case("scale with commas", [33, "The 11 labels are numbers, from 0,5 to"], train=numbers(11, "{},5")),
        case("short scale", [30], train=numbers(10, "{}.5")),
        case("whole numbers", [33], train=numbers(11, "{}")),
        case("numbers and words", [53], more=numbers(11, "{}.5")),
        case(
            "31",
            [22, "2 of 20 train texts that occur in test too were dropped."],
            test=[("GOOD  film 3", "pos"), ("Bad film 1", "neg"), *NEW],
            drop_overlap=True,
        ),
        case(
            "31 parts",
            [
                21,
                "2 of 20 train texts that occur in validation or test too were dropped.",
                "1 of 2 validation texts that occur in test too were dropped.",
            ],
            test=[FILMS[1], NEW[0]],
            validation=[NEW[0], FILMS[6]],
            drop_overlap=True,
        ),
        case(
            "32",
            [23, "2 texts with more than one label, all kept."],
            more=[("good film 1", "neg"), ("Good film 1", "neg"), ("Bad film 1", "pos")],
        ),
        case(
            "32 in two parts",
            [22, "1 of 21 train texts that occur in test too were dropped."],
            more=[("a film", "neg")],
            test=[("A film", "pos"), ("new", "neg")],
            drop_overlap=True,
        ),
        case(
            "transfer texts",
            [
                22,
                "1 transfer text dropped that occurs in validation or test.",
                "1 transfer text dropped that another repeats, but for case and white space.",
            ],
            test=NEW,
            transfer=["NEW", "a", "A ", "Good film 1"],
        ),
        case(
            "known",
            [22, "3 transfer texts dropped that occur in"],
            test=NEW,
            transfer=["new", *["newer"] * 2],
        ),
        case("as many as asked for", [20], transfer=list("abc"), transfer_texts=3),
        case("one more", [20, "3 of 4 transfer texts are used."], transfer=list("abcd"), transfer_texts=3),
    ],
)
def test_notes_and_how_many_rows_are_kept(rows, kept_and_notes):
    task = task_of(**rows)
    kept, *notes = kept_and_notes
    assert len(task.notes) == len(notes)
    for note, says in zip(task.notes, notes, strict=True):
        assert re.match(re.escape(says).replace(r"\.\*", ".*"), note)
    assert len(texts_of(task)) == kept
    assert max(map(len, texts_of(task))) <= 20_000


def test_given_parts_keep_their_rows_and_what_is_missing_is_split_off():
    def sizes(**parts: Pairs) -> list[int]:
        task = task_of(FILMS, **parts)
        return [len(split) for split in (task.train, task.validation, task.test)]

    assert sizes() == [12, 4, 4]
    assert sizes(test=NEW) == [16, 4, 2]
    assert sizes(test=NEW, validation=[("newest", "pos")]) == [20, 1, 2]
    task = task_of(FILMS, [("c", "pos"), ("d", "neg")], [("e", "pos")])
    assert (task.test["text"], task.test["label"], task.validation["text"]) == (["c", "d"], [1, 0], ["e"])
    assert Counter(task.train["text"]) == Counter(text for text, _ in FILMS)
    for split in (s := task_of(FILMS + of("meh", "one", "two", "three"))).train, s.validation, s.test:
        assert {*split["label"]} == {0, 1, 2}


def test_texts_that_are_dropped_for_the_test():
    test = [("GOOD  film 3", "pos"), ("Bad film 1", "neg"), ("new", "neg")]
    task = task_of(FILMS, test, drop_overlap=True)
    assert task.test["text"] == [text for text, _ in test]
    learned = {*task.train["text"], *task.validation["text"]}
    assert learned == {text for text, _ in FILMS} - {"Good film 3", "Bad film 1"}


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["pos", "neg"])), max_size=40),
    st.integers(0, 9),
)
def test_equal_texts_are_in_one_split(rows, seed):
    task = task_of(FILMS + [(f" {text.upper()} ", label) for text, label in rows] + rows, split_seed=seed)
    splits = [
        {text.casefold() for text in split["text"]} for split in (task.train, task.validation, task.test)
    ]
    assert sum(map(len, splits)) == len(set.union(*splits))
    assert len(texts_of(task)) == 20 + 2 * len(rows)


def test_the_seed_decides_what_is_held_out_and_which_transfer_texts_are_drawn():
    many = [f"text {i:02}" for i in range(40)]
    first, again, other = (task_of(transfer=many, transfer_texts=5, split_seed=seed) for seed in (0, 0, 1))
    for split in ("test", "transfer"):
        drawn = [getattr(task, split)["text"][:] for task in (first, again, other)]
        assert drawn[0] == drawn[1] != drawn[2]
    assert first.transfer["text"] == sorted(first.transfer["text"])


def test_transfer_texts_are_those_without_a_label_and_those_given():
    task = task_of(
        [*FILMS, ("Not labelled", "")], label_empty=True, transfer=["New", "not  labelled", "new "]
    )
    assert task.transfer["text"] == ["Not labelled", "New"]
    assert task_of([*FILMS, ("Not labelled", "")], drop_empty=True).transfer["text"] == []


@pytest.mark.parametrize(
    ("labels", "sorted_labels"),
    [
        (["10", "9", "-1", "9.5"], ["-1", "9", "9.5", "10"]),
        (["10", "9", "a"], ["10", "9", "a"]),
        (["2", "inf", "10"], ["10", "2", "inf"]),
        (["1.0", "1", "0", "01"], ["0", "01", "1", "1.0"]),
    ],
)
def test_labels_are_sorted_by_value_if_all_are_numbers(labels, sorted_labels):
    assert sort_labels(labels) == sorted_labels


def test_a_given_order_of_labels_is_kept():
    padded = [(text, f"{label} ") for text, label in FILMS]
    assert task_of(padded, order=["pos ", "neg "]).labels == ("pos", "neg")
    task = task_of(FILMS, order=["pos", "unused", "neg"])
    assert task.labels == ("pos", "neg")
    for text, label in zip(task.train["text"], task.train["label"], strict=True):
        assert label == ("Good", "Bad").index(text.split()[0])


def test_of_labels_that_are_merged_the_most_frequent_spelling_stays():
    task = task_of([*FILMS, *of("POS", *"abc"), *of("Neg", *"de")], merge_labels=True)
    assert task.labels == ("neg", "pos")
    assert Counter(task.train["label"][:] + task.validation["label"][:] + task.test["label"][:]) == {
        0: 12,
        1: 13,
    }
    assert task_of(of("B", *"abc") + of("b", *"def") + FILMS, merge_labels=True).labels == ("B", "neg", "pos")


def test_labels_that_a_teacher_chose_are_all_kept():
    """A class may be rare, in the test only, or in no row; of labels of people it would be refused."""
    rare = [*FILMS, ("one", "meh")]
    order = ["pos", "neg", "meh", "unused", "odd"]
    task = task_of(rare, [("new", "odd")], order=order, chosen=True, drop_rare=True)
    assert (task.labels, task.test["label"]) == (tuple(order), [4])
    assert len(texts_of(task)) == 22
    with pytest.raises(DataError, match=r"only 1 labelled row|The only row has the label"):
        task_of(FILMS[:1], order=order, chosen=True)
    assert len(texts_of(task_of(FILMS[:2], order=order, chosen=True))) == 2
