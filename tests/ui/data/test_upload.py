"""Bringing a file: what it becomes, what is asked about it, and why it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from kd_core.data import uploads
from kd_core.errors import DataError
from pages.shared.text import plain_words
from tests import ROOT
from tests.ui.data.page import FILMS, PAGE, Open, keys, plain, run, send, sizes, values

SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"


def test_the_sample_becomes_a_task(app: Open) -> None:
    test = send(app(PAGE), SAMPLE.read_bytes(), SAMPLE.name)
    assert sizes(test, 1) == {
        "Training texts": "36",
        "Validation texts": "9",
        "Test texts": "15",
        "Transfer texts": "0",
        "Classes": "3",
    }
    assert "The first 8 of 60 rows" in values(test.caption)
    assert uploads.saved() == []  # not before it is asked for
    test = run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert values(test.success) == ["Saved. **Use this task** opens Distill with it."]
    assert test.selectbox(key="data.task").value == saved.id
    assert sizes(test, 0)["Training texts"] == "36"
    assert test.tabs[0].code[0].value == saved.config.name
    assert (saved.config.text_column, saved.config.label_column) == ("text", "label")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("", "films.csv"),
        ("My films", "My-films.csv"),
        ("films 2.csv", "films-2.csv"),
        ("../фільми", "фільми.csv"),
    ],
)
def test_an_upload_is_called_as_its_owner_likes(app: Open, typed: str, name: str) -> None:
    test = send(app(PAGE), FILMS.encode(), "films.csv")
    box = next(box for box in test.text_input if box.label == "Name of the task")
    assert box.value == "films"  # the file's
    run(box.set_value(typed))
    test = run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert (saved.name, Path(saved.config.name).name) == (name, name)
    assert test.selectbox(key="data.task").options[-1] == name


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("films.txt", "".join(f"__label__{'pos' if i % 2 else 'neg'} Film {i}\n" for i in range(20)), None),
        (
            "films.csv",
            "".join(f"{'pos' if i % 2 else 'neg'};'Film; {i}'\n" for i in range(20)),
            "texts are in single quotes.",
        ),
    ],
)
def test_a_file_as_other_programs_write_it_becomes_a_task(
    name: str, content: str, said: str | None, app: Open
) -> None:
    test = send(app(PAGE), content, name)
    assert sizes(test, 1)["Training texts"] == "12"
    assert said is None or any(said in caption for caption in values(test.caption))


def test_a_test_file_and_a_transfer_file_count(app: Open) -> None:
    test = send(app(PAGE), FILMS)
    test = send(test, "text,label\nA very good one,pos\nA very bad one,neg\n", "held.csv", "test_file")
    test = send(test, "Some text\nAnother text\nA third text\n", "more.txt", "transfer_file")
    assert sizes(test, 1) == {
        "Training texts": "16",
        "Validation texts": "4",
        "Test texts": "2",
        "Transfer texts": "3",
        "Classes": "2",
    }


def test_an_encoding_is_asked_for_with_a_preview(app: Open) -> None:
    test = send(app(PAGE), f"{FILMS}Un café crème,pos\n".encode("latin-1"))
    assert "in line 22. Which of these lines reads right?" in plain(test.warning[0].value)
    readings = test.tabs[1].dataframe[0].value
    assert readings.to_dict("list") == {
        "Encoding": ["latin-1"],
        "The line would read": ["Un café crème,pos"],
    }
    assert "data.save" not in keys(test)
    encoding = next(box for box in test.selectbox if box.label == "Encoding")
    test = run(encoding.set_value("latin-1"))
    run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert "café crème" in Path(saved.config.name).read_text(encoding="utf-8")


def test_columns_are_asked_for_where_they_cannot_be_told(app: Open) -> None:
    rows = "".join(f"one text {i},another text {i},x{i % 2}\n" for i in range(12))
    test = send(app(PAGE), f"first,second,third\n{rows}")
    assert plain(test.info[0].value).startswith(
        "Which column of films.csv holds the texts? Give the text column:"
    )
    boxes = {box.label: box for box in test.selectbox}
    assert boxes["Text column"].value is None
    test = run(boxes["Text column"].set_value("second"))
    assert test.info[0].value == "Choose the label column too."
    boxes = {box.label: box for box in test.selectbox}
    test = run(boxes["Label column"].set_value("third"))
    assert sizes(test, 1)["Classes"] == "2"
    (near,) = (frame.value for frame in test.tabs[1].dataframe if "Alike" in frame.value)
    assert near["Test text"].str.startswith("another text").all()  # all are, but for a number
    (examples,) = (frame.value for frame in test.tabs[1].dataframe if "text" in frame.value)
    assert examples["text"].str.startswith("another text").all()


def test_the_text_column_is_found_though_the_labels_are_asked_for(app: Open) -> None:
    rows = "".join(f"d{i % 3},c{i % 4},some words of review {i},{i % 2}\n" for i in range(24))
    test = send(app(PAGE), f"drug,condition,review,useful\n{rows}")
    boxes = {box.label: box for box in test.selectbox}
    assert (boxes["Text column"].value, boxes["Label column"].value) == ("review", None)
    assert plain(test.info[0].value) == (
        "Which column of films.csv holds the labels? Give the label column: "
        "'drug' (3 values), 'condition' (4 values), 'useful' (2 values)."
    )
    test = run(boxes["Label column"].set_value("condition"))
    assert sizes(test, 1)["Classes"] == "4"


def test_another_separator_is_found_said_and_can_be_changed(app: Open) -> None:
    test = send(app(PAGE), FILMS.replace(",", ";"))
    assert "columns are separated by semicolons, not commas" in "".join(map(plain, values(test.caption)))
    assert "data.save" in keys(test)
    separator = next(box for box in test.selectbox if box.label == "Columns are separated by")
    test = run(separator.set_value("|"))
    assert "data.save" not in keys(test)
    assert plain(test.info[0].value) == (
        "films.csv has only the column 'column 1'; a task needs texts and labels. "
        "If the columns are separated in another way, give the separator."
    )


def test_a_file_of_one_row_is_not_all_of_several(app: Open) -> None:
    assert "The only row" in values(send(app(PAGE), "text,label\na,pos\n").caption)


@pytest.mark.parametrize(
    ("engine", "page"),
    [
        ("--encoding must be an encoding, got 'x'.", "The encoding must be an encoding, got 'x'."),
        ("a.csv is not gbk text. Give another --encoding.", "a.csv is not gbk text. Give another encoding."),
        ("read as logits (guessed; --answers says otherwise).", "read as logits (guessed)."),
        ("--delimiter must be one character.", "The separator must be one character."),
        ("Is it right? Choose another with --label-column.", "Is it right? Choose another label column."),
        ("No column 'x'; choose --text-column from 'a'.", "No column 'x'; choose the text column from 'a'."),
    ],
)
def test_flags_of_the_command_become_words_of_the_page(engine: str, page: str) -> None:
    assert plain_words(DataError(engine)) == page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "films.csv is not a CSV file: its content is a PNG image."),
        (b"", "films.csv is empty: it has no rows."),
        (b"text,label\n", "films.csv has no rows: give one for each text."),
        (b"text,label\nGood, but long,pos\n", "line 2 has 3 columns, but line 1 has 2."),
        (b'text,label\n"Good,pos\n', "a quoted text that begins in line 2 is not closed properly"),
        (b"text,label\na,pos\nb,pos\nc,pos\n", "All 3 rows have the label 'pos'"),
        (b"text,label\na,pos\nb,neg\n", "There are only 2 labelled rows; at least 6 are needed"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(app: Open, content: bytes, said: str) -> None:
    test = send(app(PAGE), content)
    assert said in plain(test.error[0].value)
    assert "--" not in plain(test.error[0].value)
    assert "data.save" not in keys(test)
