"""Labels in files: which are the same, which are none, and which are no classes."""

from __future__ import annotations

import json

import pytest

from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, parquet, table, task_of


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A"])
def test_07_na_words_stay_text(films, word):
    rows = "".join(f"{word} {i},{word}\nother {i},neg\n" for i in range(5)) + f"{word},{word}\n"
    task = task_of(films, HEADER + rows)
    assert set(task.labels) == {word, "neg"}
    texts = [*task.train["text"], *task.validation["text"], *task.test["text"]]
    assert word in texts
    assert len(texts) == 11


@pytest.mark.parametrize("name", ["films.csv", "films.jsonl", "films.parquet"])
def test_08_labels_keep_their_leading_zeros(tmp_path, name):
    rows = [{"text": f"text {i}", "label": f"0{i % 2 + 1}"} for i in range(12)]
    content = {
        "films.csv": HEADER + "".join(f"{row['text']},{row['label']}\n" for row in rows),
        "films.jsonl": "\n".join(map(json.dumps, rows)),
        "films.parquet": parquet({key: [row[key] for row in rows] for key in ("text", "label")}),
    }[name]
    assert task_of(tmp_path / name, content).labels == ("01", "02")


def test_09_equal_numbers_written_differently_are_noted(films):
    rows = "".join(f"a {i},1\nb {i},1.0\nc {i},2\n" for i in range(4))
    task = task_of(films, HEADER + rows)
    assert task.labels == ("1", "1.0", "2")
    assert "The labels 1 and 1.0 are the same number, but count as different classes." in task.notes


def test_10_true_and_false_stay_text(films):
    rows = "".join(f"a {i},true\nb {i},false\n" for i in range(4))
    assert task_of(films, HEADER + rows).labels == ("false", "true")
    assert table('[{"text": "a", "label": true}]', "a.jsonl").frame["label"].tolist() == ["true"]
    assert table(parquet({"label": [True, None]}), "a.parquet").frame["label"].tolist() == ["true", ""]


def test_11_blank_labels_are_listed_and_dropped_on_consent(films):
    content = HEADER + ROWS + "No label,\nNone either,  \n"
    with pytest.raises(
        DataError, match=r"films\.csv: 2 of 22 rows without a label \(line 22, 23\)\. .*--drop-empty"
    ):
        task_of(films, content)
    task = task_of(films, content, drop_empty=True)
    assert task.labels == ("neg", "pos")
    assert "films.csv: 2 rows without a label dropped." in task.notes
    assert len(task.transfer) == 0


def test_11_texts_without_a_label_are_transfer_texts_on_consent_but_not_those_of_the_test(films, tmp_path):
    content = HEADER + ROWS + "No label,\nNone either,  \n"
    task = task_of(films, content, label_empty=True)
    assert task.transfer["text"][:] == ["No label", "None either"]
    assert "films.csv: 2 rows without a label kept as transfer texts." in task.notes
    labelled = [text for split in (task.train, task.validation, task.test) for text in split["text"]]
    assert len(labelled) == 20
    assert not {"No label", "None either"} & set(labelled)

    more = tmp_path / "more.txt"
    more.write_text("Not seen before\nNo label\n")
    task = task_of(films, content, label_empty=True, transfer_file=str(more))
    assert task.transfer["text"][:] == ["No label", "None either", "Not seen before"]
    assert len(task_of(films, content, label_empty=True, transfer_texts=1).transfer) == 1

    test = tmp_path / "test.csv"
    test.write_text(HEADER + "Good one,pos\nBad one,neg\nNobody knows,\n")
    with pytest.raises(
        DataError, match=r"test\.csv: 1 of 3 rows .* Fill them in, or drop them \(--drop-empty\)"
    ):
        task_of(films, content, label_empty=True, test_file=str(test))


def test_12_labels_that_differ_in_case_or_spaces_are_merged_on_consent(films):
    content = HEADER + ROWS + "One more,pos \nAnd one,POS\nAnd,pos \n"
    with pytest.raises(DataError, match=r"'pos' \(10\), 'pos ' \(2\), 'POS' \(1\)\. .*--merge-labels"):
        task_of(films, content)
    task = task_of(films, content, merge_labels=True)
    assert task.labels == ("neg", "pos")
    assert sum(split["label"].count(1) for split in (task.train, task.validation, task.test)) == 13


def test_12_spaces_around_all_labels_are_no_problem(films):
    assert task_of(films, HEADER + ROWS.replace(",", ", ")).labels == ("neg", "pos")


@pytest.mark.parametrize("name", ["numbers.parquet", "numbers.jsonl"])
def test_a_number_that_is_none_is_no_label(tmp_path, name):
    values = [1.0, 2.0, float("nan")] * 5
    content: str | bytes = "\n".join(
        json.dumps({"text": f"text {i}", "label": value}) for i, value in enumerate(values)
    )
    if name.endswith("parquet"):
        content = parquet({"text": [f"text {i}" for i in range(15)], "label": values})
    with pytest.raises(DataError, match=r"5 of 15 rows without a label \((line|row) 3, 6, 9, 12, 15\)"):
        task_of(tmp_path / name, content)
    kept = task_of(tmp_path / name, content, drop_empty=True)
    assert [float(label) for label in kept.labels] == [1, 2]


@pytest.mark.parametrize(
    ("twin", "spelled"),
    [
        ("cafe\u0301", r"'cafe\\u0301'"),  # the accent as a character of its own
        ("caf\u00e9\u200b", r"'caf\\xe9\\u200b'"),
        ("\u202acaf\u00e9\u202c", r"'\\u202acaf\\xe9\\u202c'"),
    ],
)
def test_labels_that_look_the_same_are_merged_on_consent(films, twin, spelled):
    rows = "".join(f"Good {i},caf\u00e9\nFine {i},{twin}\nBad {i},bar\n" for i in range(6))
    with pytest.raises(DataError, match=rf"what cannot be seen: .*{spelled} \(6\).*--merge-labels") as caught:
        task_of(films, HEADER + rows)
    assert caught.value.settings == ("merge_labels",)
    assert len(task_of(films, HEADER + rows, merge_labels=True).labels) == 2


def test_texts_in_which_nothing_can_be_seen_are_no_texts(films):
    task = task_of(
        films, HEADER + ROWS + "\u200b\u200d\ufeff,pos\n\u00ad,neg\nseen,\u2060\n", drop_empty=True
    )
    assert task.notes == (
        "films.csv: 2 rows without a text dropped.",
        "films.csv: 1 row without a label dropped.",
    )


def test_a_scale_is_no_list_of_classes(films):
    rows = [f"text {i} {n},{n / 10}\n" for n in range(11) for i in range(3)]
    said = [note for note in task_of(films, HEADER + "".join(rows)).notes if "are numbers" in note]
    assert said == [
        "The 11 labels are numbers, from 0.0 to 1.0. Each counts as a class of its own: that some are near "
        "each other is not learned. Better make a few ranges of them."
    ]
    commas = "text;label\n" + "".join(f"text {i} {n};{n},5\n" for n in range(13) for i in range(3))
    assert any("from 0,5 to 12,5" in note for note in task_of(films, commas).notes)
    for few in ("".join(rows[:-3]), "".join(rows).replace("0.", "").replace("1.0", "10")):
        assert not any("are numbers" in note for note in task_of(films, HEADER + few).notes)


def test_a_scale_of_which_most_values_are_rare_is_called_one(films):
    rows = "".join(f"text {n},{n / 8}\n" for n in range(20))
    with pytest.raises(DataError, match=r"The 20 labels are numbers, from 0.0 to 2.375, .* a few ranges"):
        task_of(films, HEADER + rows)


def test_a_column_of_which_most_values_are_rare_is_doubted(films):
    rows = "".join(f"text {i},2024-01-{i + 1:02}\n" for i in range(20))
    with pytest.raises(DataError, match=r"Is it the right column\? Choose another with --label-column"):
        task_of(films, HEADER + rows)
