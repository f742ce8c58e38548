from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, TEXTS, cells, table

GOOD = [["Good, really", "pos"], ["Bad", "neg"]]


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ('text,label\n"Good, really",pos\nBad,neg\n', ","),
        ("text;label\nGood, really;pos\nBad;neg\n", ";"),
        ("text\tlabel\nGood, really\tpos\nBad\tneg\n", "\t"),
    ],
)
def test_05_separators_are_found_and_noted(content, separator):
    read = table(content)
    assert (read.frame.to_numpy().tolist(), read.delimiter) == (GOOD, separator)
    word = {";": "semicolons", "\t": "tabs"}.get(separator)
    assert read.notes == (f"films.csv: columns are separated by {word}, not commas.",) * bool(word)


@pytest.mark.parametrize("first", ["sep=;\r\n", '"SEP=;" \r'])
def test_05_a_line_that_names_the_separator_for_excel(first):
    read = table(f"{first}text;label\nGood, really;pos\nBad;neg\n")
    assert (read.frame.to_numpy().tolist(), read.delimiter) == (GOOD, ";")
    assert read.frame.index.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("content", "name", "delimiter", "expected"),
    [
        ("text:label\nGood:pos\n", "a.csv", ":", [["Good", "pos"]]),
        ("text\tlabel\na,b\tpos\n", "a.csv", "tab", [["a,b", "pos"]]),
        ("text\tlabel\na,b\tpos\n", "a.tsv", "\\t", [["a,b", "pos"]]),
        # Single quotes, as the German news of 10kGNAD have them
        ("text,label\n'Good, really',pos\n\"Bad\",neg\n", "a.csv", ",", [GOOD[0], ['"Bad"', "neg"]]),
        (
            "Web;'So; \"gut\"'\nWeb;'Mir geht''s'\n",
            "a.csv",
            None,
            [["Web", 'So; "gut"'], ["Web", "Mir geht's"]],
        ),
        # Quotation marks in files that do not quote, as in GLUE
        ('text\tlabel\n"Good he\tpos\nBad "\tneg\n', "a.tsv", None, [['"Good he', "pos"], ['Bad "', "neg"]]),
        ('text\tlabel\n"So" so\tpos\nBad\tneg\n', "a.tsv", None, [['"So" so', "pos"], ["Bad", "neg"]]),
        (
            'text\tlabel\n"Good ""he"""\tpos\n"a\nb"\tx\n',
            "a.tsv",
            None,
            [['Good "he"', "pos"], ["a\nb", "x"]],
        ),
        (
            'text\tlabel\r"Good ""he"""\tpos\rBad\tneg\r',
            "a.tsv",
            None,
            [['Good "he"', "pos"], ["Bad", "neg"]],
        ),
        ('"text"\t"label"\n"A tab\there\nand"\t"pos"\n', "a.tsv", None, [["A tab\there\nand", "pos"]]),
    ],
)
def test_05_separators_and_quotes(content, name, delimiter, expected):
    assert cells(content, name, delimiter=delimiter) == expected


def test_05_quotes_are_noted():
    assert table("Web;'So; gut'\nWeb;'Gut'\n").notes[1] == "films.csv: texts are in single quotes."
    assert table('text\tlabel\n"Good\tpos\n', "a.tsv").notes == (
        "a.tsv: texts are not quoted, so that a quotation mark is part of its text.",
    )
    for delimiter in ("::", '"', "\n", ""):
        with pytest.raises(DataError, match=r"^--delimiter must be one character or 'tab', got '"):
            table(HEADER, delimiter=delimiter)


def test_14_a_missing_header_is_noted():
    read = table(ROWS)
    assert (read.header, len(read.frame)) == (False, 20)
    assert list(read.frame.columns) == ["column 1", "column 2"]
    assert read.notes == ("films.csv: no header found, so the columns are called column 1, column 2.",)


QUESTION = "In a few words: what could we do better next time?"


@pytest.mark.parametrize(
    ("content", "columns", "header"),
    [
        ("text,label\nx,pos\ny,neg\n", (), True),
        (",text\nx,pos\ny,neg\n", (), True),
        (f"{'b' * 40},kind\nx,pos\ny,neg\n", (), True),
        (f"{'b' * 41},kind\nx,pos\ny,neg\n", (), False),
        ("12,bodies\nx,pos\ny,neg\n", (), False),
        ("message,spam\nbuy now,spam\nsee you,ham\n", (), True),
        ("Good film,review\nBad film,review\nNo film,news\n", (), False),  # a label named like a column
        ("question_text\nWhy so?\nWhat is it?\n", (), True),
        ("What now\nWhy so?\nWhat is it?\n", (), False),
        ("2020,label2\nx,pos\n", (), False),
        ("2020,label2\nx,pos\n", ("2020",), True),
        ("words,spam\nbuy now,spam\nsee you,ham\n", ("spam",), True),
        (f"{QUESTION},How satisfied are you?\nx,good\ny,bad\n", (), True),
    ],
)
def test_14_what_counts_as_a_header(content, columns, header):
    assert table(content, columns=columns).header is header


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_quoted_cells_come_back_as_they_were(rows, delimiter):
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    assert cells(sink.getvalue(), delimiter=delimiter) == [list(row) for row in rows]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS.filter(str.strip)), min_size=1, max_size=8))
def test_cells_of_tab_files_without_quotes_come_back_as_they_were(rows):
    rows = [*rows, ('"open', "pos")]
    content = "\n".join("\t".join(row) for row in [("text", "label"), *rows])
    assert cells(content, "films.tsv") == [list(row) for row in rows]
