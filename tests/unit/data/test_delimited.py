"""Tables of lines: separators, quotes, headers, and lines that have their label in front."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.columns import choose_columns
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, TEXTS, cells, table, task_of


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_05_other_separators_are_found_and_said(delimiter, word):
    read = table(f"text{delimiter}label\nGood, really{delimiter}pos\nBad{delimiter}neg\n")
    assert read.frame["text"].tolist() == ["Good, really", "Bad"]
    assert read.delimiter == delimiter
    assert read.notes == (f"films.csv: columns are separated by {word}, not commas.",)


@pytest.mark.parametrize("first", ["sep=;\r\n", "sep=;\n", '"sep=;"\r', "SEP=; \n"])
def test_05_a_line_that_names_the_separator_for_excel(first):
    read = table(f"{first}text;label\nGood, really;pos\nBad;neg\n")
    assert read.frame["text"].tolist() == ["Good, really", "Bad"]
    assert read.frame["label"].tolist() == ["pos", "neg"]
    assert read.delimiter == ";"
    assert read.frame.index.tolist() == [3, 4]


def test_05_a_given_separator_is_used():
    assert cells("text:label\nGood:pos\n", delimiter=":") == [["Good", "pos"]]
    assert cells("text\tlabel\na,b\tpos\n", delimiter="tab") == [["a,b", "pos"]]
    assert cells("text\tlabel\na,b\tpos\n", "films.tsv", delimiter="\\t") == [["a,b", "pos"]]
    with pytest.raises(DataError, match=r"--delimiter must be one character or 'tab', got '::'"):
        table(HEADER, delimiter="::")


def test_05_single_quotes_are_found_and_said():
    """As the German news of 10kGNAD have them."""
    read = table("""Web;'Gut; wirklich "gut"'\nWeb;'Mir geht''s'\nSport;Tor\n""")
    assert read.frame.to_numpy().tolist() == [
        ["Web", 'Gut; wirklich "gut"'],
        ["Web", "Mir geht's"],
        ["Sport", "Tor"],
    ]
    assert read.notes[:2] == (
        "films.csv: columns are separated by semicolons, not commas.",
        "films.csv: texts are in single quotes.",
    )
    assert cells("""text,label\n'Good, really',pos\n"Bad",neg\n""", delimiter=",") == [
        ["Good, really", "pos"],
        ['"Bad"', "neg"],
    ]


def test_05_a_tab_file_without_quotes_keeps_its_quotation_marks():
    """As the files of GLUE: read as quoted, a text that begins with a mark swallowed the rows below."""
    read = table('text\tlabel\n"Good he said\tpos\nBad\tneg\nFine "\tpos\n"So" so\tneg\n', "films.tsv")
    assert read.frame["text"].tolist() == ['"Good he said', "Bad", 'Fine "', '"So" so']
    assert read.notes == ("films.tsv: texts are not quoted, so that a quotation mark is part of its text.",)
    quoted = table('text\tlabel\n"Good ""he"" said"\tpos\n"Two\nlines"\tneg\n', "films.tsv")
    assert quoted.frame["text"].tolist() == ['Good "he" said', "Two\nlines"]
    assert quoted.notes == ()
    all_quoted = table('"text"\t"label"\n"A tab\there\nand a line"\t"pos"\n', "films.tsv")
    assert all_quoted.frame.to_numpy().tolist() == [["A tab\there\nand a line", "pos"]]
    of_a_mac = table('text\tlabel\r"Good ""he"" said"\tpos\rBad\tneg\r', "films.tsv")
    assert of_a_mac.frame["text"].tolist() == ['Good "he" said', "Bad"]


def test_lines_of_fasttext_have_their_label_in_front(tmp_path):
    read = table("__label__pos Good,  really \n\n __label__neg\tBad\nnone\n__label__pos\n", "films.txt")
    assert read.frame.to_numpy().tolist() == [
        ["pos", "Good,  really"],
        ["neg", "Bad"],
        ["", "none"],
        ["pos", ""],
    ]
    assert read.frame.index.tolist() == [1, 3, 4, 5]
    with pytest.raises(DataError, match="line 2 has the labels 'a', 'b'; a text has one here"):
        table("__label__a one\n__label__a __label__b two\n", "films.txt")
    rows = [line.rsplit(",", 1) for line in ROWS.splitlines()]
    file = tmp_path / "films.txt"
    file.write_text("".join(f"__label__{label} {text}\n" for text, label in rows))
    assert sorted(load_task(TaskConfig(name=str(file))).labels) == ["neg", "pos"]


def test_lines_with_a_tab_in_each_are_a_table(tmp_path):
    """As many data sets have them: the text, a tab, the number of its class."""
    read = table('Good,  "really\t1\n\nBad\t0\nFine\t1\n', "films.txt")
    assert read.frame.to_numpy().tolist() == [['Good,  "really', "1"], ["Bad", "0"], ["Fine", "1"]]
    assert cells("Good\t1\nBad\n", "films.txt") == [["Good\t1"], ["Bad"]]
    assert cells("Good\tand bad\n", "films.txt") == [["Good\tand bad"]]
    rows = [line.rsplit(",", 1) for line in ROWS.splitlines()]
    file = tmp_path / "films.txt"
    file.write_text("".join(f"{label}\t{text}\n" for text, label in rows))
    assert sorted(load_task(TaskConfig(name=str(file))).labels) == ["neg", "pos"]


def test_lines_end_at_no_other_separator_than_those_of_files():
    """As pages that were copied into a text have them."""
    texts = ["Good\u2028really", "Bad\x85so", "Fine\x0ctoo"]
    read = table("\r\n".join(f"__label__pos {text}" for text in texts) + "\n", "films.txt")
    assert read.frame["text"].tolist() == texts
    assert cells("\r".join(texts) + "\n\n", "films.txt") == [[text] for text in (*texts, "")]


@pytest.mark.parametrize(("row", "found"), [("Good, but long,pos", "3 columns"), ("Good", "1 column")])
def test_06_an_unquoted_comma_blocks_with_its_line(row, found):
    with pytest.raises(
        DataError, match=rf"line 4 has {found}, but line 1 has 2\. Put texts that contain ','"
    ):
        table(f'{HEADER}"Two\nlines",pos\n{row}\n')


def test_06_a_space_before_a_quoted_text_is_named():
    """Quotes are none where something stands before them."""
    with pytest.raises(DataError, match=r"contain ',' in double quotes, without a space before them\.$"):
        table('label, text\npos, "Good, really"\n')


def test_14_a_missing_header_is_detected(films):
    read = table(ROWS)
    assert not read.header
    assert len(read.frame) == 20
    assert read.notes == ("films.csv: no header found, so the columns are called column 1, column 2.",)
    assert choose_columns(read, None, None) == ("column 1", "column 2")
    assert task_of(films, ROWS).labels == ("neg", "pos")


@pytest.mark.parametrize(
    ("first", "header"),
    [
        ("text,label", True),
        ("Label,whatever", True),
        ("bodies,kinds", True),
        (",text", True),
        ("A new film that I have not seen yet and will not,kind", False),
        ("12,bodies", False),
        ("something,pos", False),  # pos comes again below
    ],
)
def test_14_what_counts_as_a_header(first, header):
    assert table(f"{first}\nx,pos\ny,neg\n").header is header


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("message,spam\nbuy now,spam\nsee you,ham\n", True),
        ("text,0,1\nx,0.4,0.6\ny,0,1\n", True),
        ("Good film,review\nBad film,review\nNo film,news\n", False),  # a label with the name of a column
        ("a word,spam\nbuy now,spam\nsee you,ham\n", False),
    ],
)
def test_14_a_name_that_is_a_value_too(content, header):
    assert table(content).header is header


def test_14_the_only_column_has_a_header_where_that_names_texts():
    """Otherwise it would be one of the texts that a teacher labels."""
    assert table("question_text\nWhy so?\nWhat is it?\n").header
    assert not table("What now\nWhy so?\nWhat is it?\n").header


def test_14_a_column_asked_for_is_a_header():
    assert not table("2020,label2\nx,pos\n").header
    assert table("2020,label2\nx,pos\n", columns=("2020",)).header
    assert table("words,spam\nbuy now,spam\nsee you,ham\n", columns=("spam",)).header


@pytest.mark.parametrize("tail", ['"Never closed,pos\nNext,neg\n', '"Closed" too early,pos\n'])
def test_17_an_unclosed_quote_has_its_line(tail):
    with pytest.raises(DataError, match="a quoted text that begins in line 5 is not closed properly"):
        table(f'{HEADER}"Two\nlines",pos\n\n{tail}')


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_quoted_cells_come_back_as_they_were(rows, delimiter):
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    assert cells(sink.getvalue(), delimiter=delimiter) == [list(row) for row in rows]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS.filter(str.strip)), min_size=1, max_size=8))
def test_cells_of_tab_files_without_quotes_come_back_as_they_were(rows):
    rows = [*rows, ('"open', "pos")]
    content = "\n".join("\t".join(row) for row in [("text", "label"), *rows])
    assert cells(content, "films.tsv") == [list(row) for row in rows]


def test_the_questions_of_a_survey_are_a_header():
    questions = ["In a few words: what could we do better next time?", "How satisfied are you?"]
    rows = "".join(f"Text {i},{'good' if i % 2 else 'bad'}\n" for i in range(6))
    assert list(table(",".join(questions) + "\n" + rows).frame.columns) == questions
    assert not table(f"{questions[0]},good\n{rows}").header
