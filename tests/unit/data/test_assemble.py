"""What is checked and noted once rows are read; numbers are items of the list of bad inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data.assemble import build_task, clean_rows, sort_labels
from kd_core.errors import DataError
from tests.unit.data.films import case, texts_of

Pairs = list[tuple[str, str]]
FILMS = [(f"{word} film {i}", label) for i in range(10) for word, label in (("Good", "pos"), ("Bad", "neg"))]
NEW = [("new", "pos"), ("newer", "neg")]
HALVES = [str(n / 2) for n in range(11)]
BELOW = [*(str(-n / 2) for n in range(1, 11)), "0"]
CONSENTS = ("label_empty", "drop_empty", "merge_labels", "drop_overlap", "drop_rare")


def of(label: str, *texts: str) -> Pairs:
    return [(text, label) for text in texts]


def each(labels: Iterable[str], times: int = 1) -> Pairs:
    return [(f"text {i} {label}", label) for label in labels for i in range(times)]


def entities(count: int) -> Pairs:
    """Return 100 texts, of which ``count`` have an HTML entity."""
    return [(f"{i} Q&A; {('&#39;', '&lt;')[i % 2] * (i < count)}", ("pos", "neg")[i % 2]) for i in range(100)]


def task_of(
    train: Pairs = FILMS, test=(), validation=(), more=(), order=(), transfer=(), chosen=None, **options
):
    """Make a task of the pairs in ``train`` and ``more``, and of those to validate and test on."""
    config, notes = TaskConfig(**options), []
    parts, unlabelled = {}, []
    for name, pairs in (("train", [*train, *more]), ("validation", validation), ("test", test)):
        if pairs:
            index = pd.RangeIndex(1, len(pairs) + 1, name="line")
            frame = pd.DataFrame(pairs, index=index, columns=["text", "label"], dtype="str")
            held_out = {} if name == "train" else {"held_out": True}
            parts[name], texts = clean_rows(frame, f"{name}.csv", config, notes, **held_out)
            unlabelled.append(texts)
    unlabelled.append(pd.Series(transfer, dtype="str"))
    how = {} if chosen is None else {"chosen": chosen}
    return build_task("films", parts, unlabelled, config, notes, order, **how)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        # 26: one class
        case(
            r"^All 9 rows have the label 'x'; .* two classes\. .* --label-column", train=of("x", *"abcdefghi")
        ),
        case("^The only row has the label 'x'; a task needs at least two", train=of("x", "a")),
        # 27: classes with few texts
        case("3 different texts, .*; 'x' has 1. Add texts, or drop it with --drop-rare", more=of("x", "a")),
        case(r"; 'x' has 2\. .* --drop-rare", more=of("x", "a", "A ", "b")),
        case("at least 2 different texts.*'x' has 1", more=of("x", "a"), test=NEW),
        case("'1' has 1, 'b' has 1. Add texts, or drop them", more=of("x", *"abc") + each("b1")),
        case("'0' has 1, 'b' has 1. Is it the right column", more=each("0b")),
        case(r"'4' has 1, '5' has 1\. Is it", more=each("12345")),
        case(r"'5' has 1, and 1 more\. Is it", more=each("123456")),
        case("^No training rows are left: all were dropped", train=each("abc"), drop_rare=True),
        # 28: few rows
        case("only 2 labelled rows; at least 6 are needed: 3 different texts", train=FILMS[:2]),
        case("only 5 labelled rows; at least 6", train=FILMS[:5]),
        case("only 3 labelled rows; at least 4 are needed: 2", train=FILMS[:3], test=NEW),
        # 29: no texts
        case(r"^train\.csv has no rows with both a text and a label", train=of("x", "", "\u200b \ufeff")),
        case(r"^test\.csv has no rows with both", test=[(" ", " ")]),
        # 11: blank labels
        case(
            r"^train\.csv: 2 of 22 rows .* \(line 21, 22\).*--label-empty.*--drop",
            more=[("a", ""), ("b", " ")],
        ),
        case(r"\(line 21, 22, 23, 24, 25\)\. ", more=of("\u2060", *"abcde")),
        case(r"\(line 21, 22, 23, 24, 25, \.\.\.\)\. ", more=of("", *"abcdef")),
        case(r"^test\.csv: 1 of 3 rows .*in, or drop them", test=[*NEW, ("a", "")], label_empty=True),
        # 12: labels that look alike
        case(
            r"case, .*: 'pos' \(10\), 'pos ' \(2\), 'POS' \(1\)\. Merge", more=each(["pos ", "POS", "pos "])
        ),
        case(r": 'cafe\\u0301' \(1\), 'café' \(1\)\.", train=each(["café", "cafe\u0301"])),
        case(r": 'café' \(1\), 'caf\\xe9\\u200b' \(1\)", train=each(["café", "café\u200b"])),
        case(r"'E' \(1\), 'e' \(1\)\. Merge", train=each("abcdeABCDE")),
        case(r"'E' \(1\), 'e' \(1\); \.\.\.\. Merge", train=each("abcdefABCDEF")),
        # columns of something else
        case(
            "has 1,001 different values, more than 1,000: .*--label-column", train=each(map(str, range(1001)))
        ),
        case("^Every class needs", train=each(map(str, range(1000)))),
        case(r"^The 11 labels are numbers, from 0\.0 to 5\.0, .* a few ranges", train=each(HALVES)),
        case(r"^Every class .*right column\?", train=each(HALVES[:10])),
        # 31: texts in two parts
        case("^2 of 20 train texts occur in test too. Drop them from train", test=FILMS[:2] + NEW),
        case("^2 of 20 train texts occur in validation or test", test=FILMS[:1] + NEW, validation=FILMS[1:2]),
        case("^2 of 2 validation texts occur in test too", test=NEW, validation=NEW),
        case("^All 20 train texts occur in another part.*leave --test-file out", test=FILMS),
        case("^No training rows are left: all were dropped", test=FILMS, drop_overlap=True),
        # 33: labels that training lacks
        case("^The test part has labels .* in training: 'm', 'o'. Add", test=NEW + each("om")),
        case(
            "^The validation and test part has .*: 'm', 'o'",
            test=NEW + each("o"),
            validation=each(["m", "pos"]),
        ),
        case(r"'1', '2', '3', '4', '5'\. ", test=NEW + each("12345")),
        case(r"'4', '5', \.\.\.\. ", test=NEW + each("123456")),
        case("^No label of the test part .* has 'a', where training has 'neg', 'pos'. Write", test=each("a")),
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
        case("20"),
        case("6", train=FILMS[:6]),
        case("6", train=FILMS[:4], test=NEW),
        # 27: rare classes
        case("23", more=of("x", "a", "b", "c")),
        case("24", more=of("x", "a"), test=NEW, validation=of("pos", "b")),
        case("6", train=FILMS[:6], drop_rare=True),
        case("20; fewer than 3 training texts dropped: 'x' (3 rows)", more=of("x", *"aAb"), drop_rare=True),
        case(
            "21; fewer than 2 training texts dropped: 'x' (1 row); 1 of 2 test texts have such a class",
            test=[NEW[0], ("a", "x")],
            drop_rare=True,
        ),
        case(
            "23; fewer than 1 training text dropped: 'x', 'y' (2 rows); 2 of 3 validation texts have such",
            test=NEW,
            validation=each("xy") + of("pos", "b"),
            drop_rare=True,
        ),
        # 29 and 11: what is missing
        case("20; train.csv: 3 rows without a text dropped", more=of("pos", "", " \t\n", "\u200b\ufeff")),
        case("20; train.csv: 1 row without a label dropped", more=of(" ", "a"), drop_empty=True),
        case("20; 2 rows without a label kept as transfer texts", more=of("", "a", "b"), label_empty=True),
        # 30: long texts, and entities in more than 1 % of the texts
        case(
            "22; 1 text longer than 20,000 characters cut", more=of("pos", "ax" * 10_000, "a" + "xx" * 10_000)
        ),
        case("21", more=of("pos", "ax" * 10_000)),
        case("100; 2 texts with HTML entities such as &#39;, ", train=entities(2)),
        case("100", train=entities(1)),
        # 12: labels that look alike
        case(
            "24; were merged: 'pos' (10), 'Pos ' (2), 'POS' (1).",
            more=each(["Pos "], 2),
            test=of("POS", "c") + of("neg", "d"),
            merge_labels=True,
        ),
        case("20", train=[(text, f" {label} ") for text, label in FILMS]),
        # 9: numbers
        case("26; The labels 1 and 1.0 are the same number, but count", more=each(["1", "1.0"], 3)),
        case("33; The 11 labels are numbers, from 0.0 to 5.0.", train=each(HALVES, 3)),
        case("33; The 11 labels are numbers, from -5.0 to 0.", train=each(BELOW, 3)),
        case("33; labels are numbers, from 0,5 to 10,5.", train=each([f"{n},5" for n in range(11)], 3)),
        case("30", train=each(HALVES[:10], 3)),
        case("33", train=each(map(str, range(11)), 3)),
        case("53", more=each(HALVES, 3)),
        # 31 and 32: texts in two parts, or with two labels
        case(
            "22; 1 of 20 train texts that occur in test",
            test=of("neg", *"ab", "GOOD  film 3"),
            drop_overlap=True,
        ),
        case(
            "21; 2 of 20 train texts that occur in validation or test too were; 1 of 2 validation texts",
            test=[FILMS[1], NEW[0]],
            validation=[NEW[0], FILMS[6]],
            drop_overlap=True,
        ),
        case("22; 1 text with more than one label, all kept", more=of("neg", "good film 1", "Good film 1")),
        case("22; 2 texts with more than one", more=of("neg", "good film 1") + of("pos", "Bad film 1")),
        # transfer texts
        case(
            "22; 1 transfer text dropped that occurs in validation; 1 transfer text dropped that another",
            test=NEW,
            transfer=["NEW", "a", "A "],
        ),
        case("22; 3 transfer texts dropped that occur in", test=NEW, transfer=["new", "newer", "newer"]),
        case("20", transfer=list("abc"), transfer_texts=3),
        case("20; 3 of 4 transfer texts are used.", transfer=list("abcd"), transfer_texts=3),
    ],
)
def test_how_many_rows_are_kept_and_what_is_noted(rows, kept_and_notes):
    task = task_of(**rows)
    kept, *notes = kept_and_notes.split("; ")
    assert len(task.notes) == len(notes)
    assert all(says in note for note, says in zip(task.notes, notes, strict=True))
    texts = texts_of(task)
    assert len(texts) == int(kept)
    assert all(len(text) < 20_000 or (len(text), text[0]) == (20_000, "a") for text in texts)


def test_given_parts_keep_their_rows_and_what_is_missing_is_split_off():
    def sizes(**parts: Pairs) -> list[int]:
        task = task_of(**parts)
        return [len(split) for split in (task.train, task.validation, task.test)]

    assert sizes() == [12, 4, 4]
    assert sizes(test=NEW) == [16, 4, 2]
    assert sizes(test=NEW, validation=[("newest", "pos")]) == [20, 1, 2]
    task = task_of(FILMS, NEW, [("e", "pos")], order=["pos", "unused", "neg "])
    assert task.labels == ("pos", "neg")
    assert (task.test["text"], task.test["label"]) == (["new", "newer"], [0, 1])
    assert [(row["text"], task.labels[row["label"]]) for row in task.train] == FILMS
    task = task_of(more=of("x", "one", "two", "three"))
    for split in (task.train, task.validation, task.test):
        assert {*split["label"]} == {0, 1, 2}


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
    more = of("", "Not labelled")
    task = task_of(more=more, label_empty=True, transfer=["New", "not  labelled", "new "])
    assert task.transfer["text"] == ["Not labelled", "New"]
    assert task_of(more=more, drop_empty=True).transfer["text"] == []


@pytest.mark.parametrize(
    ("labels", "in_order"),
    [
        (["10", "9", "-1", "9.5"], ["-1", "9", "9.5", "10"]),
        (["0.5", "0", "-0.5"], ["-0.5", "0", "0.5"]),
        (["10", "9", "a"], ["10", "9", "a"]),
        (["2", "inf", "10"], ["10", "2", "inf"]),
        (["1.0", "1", "01"], ["01", "1", "1.0"]),
    ],
)
def test_labels_are_sorted_by_value_if_all_are_numbers(labels, in_order):
    assert sort_labels(labels) == in_order


def test_of_labels_that_are_merged_the_most_frequent_spelling_stays():
    task = task_of(more=of("POS", *"abc") + of("Neg", *"de"), test=each(["Pos", "NEG"]), merge_labels=True)
    assert (task.labels, task.test["label"]) == (("neg", "pos"), [1, 0])
    assert Counter(task.train["label"][:] + task.validation["label"][:]) == {0: 12, 1: 13}
    assert task_of(more=each("Bb", 3), merge_labels=True).labels == ("B", "neg", "pos")


def test_labels_that_a_teacher_chose_are_all_kept():
    """A class may be rare, in the test only, or in no row; of labels of people it would be refused."""
    order = ["pos", "neg", "meh", "unused", "odd"]
    task = task_of(more=[("one", "meh")], test=[("new", "odd")], order=order, chosen=True, drop_rare=True)
    assert (task.labels, task.test["label"], len(texts_of(task))) == (tuple(order), [4], 22)
    assert len(texts_of(task_of(FILMS[:2], order=order, chosen=True))) == 2
