"""Reading files: items 1 to 25 of the list of bad inputs, and how the columns are found."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task, read
from kd_core.data.columns import choose_columns
from kd_core.data.decode import encoding_previews
from kd_core.data.parquet_pages import pages
from kd_core.data.read import read_table
from kd_core.errors import DataError

HEADER = "text,label\n"
ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))


def table(content: str | bytes, name: str = "films.csv", **options):
    return read_table(content if isinstance(content, bytes) else content.encode(), name, **options)


def cells(content: str | bytes, name: str = "films.csv", **options) -> list[list[str]]:
    return table(content, name, **options).frame.to_numpy().tolist()


def task_of(path: Path, content: str | bytes, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_task(TaskConfig(name=str(path), **options))


@pytest.fixture
def films(tmp_path):
    return tmp_path / "films.csv"


def parquet(columns: dict) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


# Items 1 to 25


def test_01_utf8_with_a_byte_order_mark_works():
    read = table(b"\xef\xbb\xbf" + f"{HEADER}Café,pos\n".encode())
    assert list(read.frame.columns) == ["text", "label"]
    assert read.frame.to_numpy().tolist() == [["Café", "pos"]]


def test_02_latin1_is_offered_with_a_preview_and_never_guessed():
    content = f"{HEADER}Nice,pos\nUn café crème,pos\n".encode("latin-1")
    with pytest.raises(
        DataError, match=r"not utf-8 text: byte 0xe9 in line 3\. Give its --encoding: as latin-1"
    ):
        table(content)
    assert encoding_previews(content)["latin-1"] == "Un café crème,pos"
    assert cells(content, encoding="latin-1") == [["Nice", "pos"], ["Un café crème", "pos"]]


def test_03_gbk_is_offered_with_a_preview_and_never_guessed():
    content = f"{HEADER}电影很好,pos\n".encode("gbk")
    with pytest.raises(DataError, match=r"as gbk it would read '电影很好,pos'"):
        table(content)
    assert cells(content, encoding="gbk") == [["电影很好", "pos"]]


def test_03_an_encoding_that_does_not_fit_is_named():
    with pytest.raises(DataError, match=r"is not ascii text: byte 0xc3 in line 1\. Give another --encoding"):
        table("é,b\n", encoding="ascii")
    with pytest.raises(DataError, match=r"--encoding must be an encoding .*, got 'klingon'"):
        table(HEADER, encoding="klingon")
    assert encoding_previews(b"plain") == {}


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
def test_04_utf16_is_known_by_its_byte_order_mark(codec):
    assert cells(f"{HEADER}Café,pos\n".encode(codec)) == [["Café", "pos"]]


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


def test_09_json_numbers_stay_as_written():
    lines = '{"text": "a", "label": 1}\n{"text": "b", "label": 1.0}\n{"text": "c", "label": 1e3}\n'
    assert table(lines, "a.jsonl").frame["label"].tolist() == ["1", "1.0", "1e3"]


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


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_13_an_empty_file_has_no_rows(name):
    with pytest.raises(DataError, match=rf"{name} is empty: it has no rows"):
        table("", name)


@pytest.mark.parametrize("content", ["sep=;\n", '"sep=\t"\n \n', '""\n', '" "\n\n'])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_13_a_file_with_nothing_between_its_marks_has_no_rows(content, name):
    with pytest.raises(DataError, match=rf"^{name} is empty: it has no rows\.$"):
        table(content, name)


def test_13_a_header_alone_has_no_rows():
    for content, name in ((HEADER, "a.csv"), ("[]", "a.jsonl"), (parquet({"text": []}), "a.parquet")):
        with pytest.raises(DataError, match=rf"{name} has no rows, only a header"):
            table(content, name)


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


def test_15_duplicate_headers_are_an_error():
    with pytest.raises(DataError, match=r"films\.csv has more than one column named 'text'\. Rename them"):
        table("text,text ,label\na,b,pos\n")
    with pytest.raises(DataError, match="more than one column named 'text'"):
        table('{"text": "a", " text": "b"}', "a.jsonl")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_16_padded_column_names_are_stripped(name):
    content = {
        "a.csv": " text , label\nx,pos\n",
        "a.jsonl": '{" text ": "x", " label": "pos"}',
        "a.parquet": parquet({" text ": ["x"], " label": ["pos"]}),
    }[name]
    assert list(table(content, name).frame.columns) == ["text", "label"]


@pytest.mark.parametrize("tail", ['"Never closed,pos\nNext,neg\n', '"Closed" too early,pos\n'])
def test_17_an_unclosed_quote_has_its_line(tail):
    with pytest.raises(DataError, match="a quoted text that begins in line 5 is not closed properly"):
        table(f'{HEADER}"Two\nlines",pos\n\n{tail}')


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"PK\x03\x04 and so on", "a ZIP archive or an Excel workbook"),
        (b"PAR1", "a Parquet file"),
        (bytes(range(1, 32)) * 9, "not text"),
    ],
)
def test_18_an_image_named_csv_is_not_a_csv(content, what):
    with pytest.raises(DataError, match=rf"films\.csv is not a CSV file: its content is {what}"):
        table(content)


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (("a.xlsx", "A.XLS", "a.ods"), r"Save the sheet as CSV \(UTF-8\) in Excel or LibreOffice"),
        (("a.csv.gz", "a.zip", "a.bz2", "a.xz"), "Unpack it first, and give the file that was in it"),
        (("a.pdf", "a.docx", "a.html"), "Put its texts into a table, one text in each row"),
    ],
)
def test_a_file_of_another_program_is_refused_with_what_to_do(names, advice):
    for name in names:
        with pytest.raises(DataError, match=rf"^{name} is none of the kinds .*\.parquet\. {advice}"):
            table("whatever", name)


@pytest.mark.parametrize(
    ("content", "advice"),
    [(b"PK\x03\x04", "Save the sheet as CSV"), (b"BZh9", "Unpack it first"), (b"%PDF-1.7", "Put its texts")],
)
def test_what_to_do_is_said_whatever_its_name(content, advice):
    with pytest.raises(DataError, match=rf"^films\.csv is not a CSV file: its content is an? .*\. {advice}"):
        table(content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("field", ["name", "test_file", "transfer_file", "knowledge"])
def test_a_pipe_for_which_nobody_writes_is_refused(field, tmp_path):
    pipe, file = tmp_path / "pipe.csv", tmp_path / "mine.csv"
    os.mkfifo(pipe)
    file.write_text(HEADER)
    with pytest.raises(DataError, match="a pipe or a device"):
        load_task(TaskConfig(**{"name": str(file), field: str(pipe)}))


def test_19_nul_bytes_are_stripped_and_noted():
    read = table(f"{HEADER}Go\0od,p\0os\n")
    assert read.frame.to_numpy().tolist() == [["Good", "pos"]]
    assert read.notes == ("films.csv: 2 NUL characters removed.",)


@pytest.mark.parametrize("misread", ["cp1252", "latin-1"])
def test_text_that_was_encoded_twice_is_noticed(misread):
    once = "text,label\n" + "un château à 5 °C,pos\nIRMÃ» NÃO CAFÉ»,neg\n" * 2
    assert table(once).notes == ()
    twice = once.encode().replace("Ã".encode(), b"A").decode(misread)
    assert table(twice).notes == (
        "films.csv: characters look as if they were encoded twice, in 12 places ('chÃ¢teau'). "
        "Save it as UTF-8 anew, from where it comes.",
    )


def test_20_a_broken_json_line_has_its_number():
    with pytest.raises(DataError, match=r"a\.jsonl: line 3 is not valid JSON \(.*column 10\)"):
        table('{"text": "a"}\n\n{"text": "b\n', "a.jsonl")
    with pytest.raises(DataError, match=r"line 2 is no JSON object"):
        table('{"text": "a"}\n["b"]\n', "a.jsonl")
    with pytest.raises(DataError, match=r"line 2 is nested too deeply"):
        table('{"text": "a"}\n' + "[" * 200_000, "a.jsonl")


def test_21_a_json_array_is_accepted():
    read = table('[{"text": "a", "label": "x"},\n {"label": "y", "text": null}]', "a.jsonl")
    assert read.frame.to_numpy().tolist() == [["a", "x"], ["", "y"]]
    assert read.frame.index.tolist() == [1, 2]
    with pytest.raises(DataError, match="line 2 is not valid JSON"):
        table('[{"text": "a"},\n{"text": b}]', "a.jsonl")


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_22_nested_values_name_their_column(tmp_path, name):
    rows = [{"text": {"en": f"a {i}"}, "meta": [1], "label": str(i % 2)} for i in range(12)]
    content = (
        "\n".join(map(json.dumps, rows)) if name == "a.jsonl" else parquet(pd.DataFrame(rows).to_dict("list"))
    )
    with pytest.raises(DataError, match=rf"The column 'text' of {name} holds nested values.*--text-column"):
        task_of(tmp_path / name, content)


def test_22_nested_values_elsewhere_do_not_matter(tmp_path):
    rows = [{"text": f"a {i}", "meta": {"id": i}, "label": str(i % 2)} for i in range(12)]
    assert task_of(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))).labels == ("0", "1")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: b"PAR1" + b"x" * 50, lambda data: b"junk"]
)
def test_23_a_corrupt_parquet_file_is_clear(damage):
    with pytest.raises(DataError, match=r"a\.parquet is damaged or no Parquet file"):
        table(damage(parquet({"text": ["a"] * 50})), "a.parquet")


def test_23_damage_inside_the_data_is_clear():
    data = bytearray(parquet({"text": [f"text {i}" for i in range(500)]}))
    data[10:200] = b"\xff" * 190
    with pytest.raises(DataError, match=r"a\.parquet is damaged or no Parquet file"):
        table(bytes(data), "a.parquet")


def test_24_missing_columns_show_those_found(films):
    with pytest.raises(DataError, match=r"has no column 'body'; choose --text-column from 'text', 'label'"):
        task_of(films, HEADER + ROWS, text_column="body")
    with pytest.raises(DataError, match=r"has no column 'kind'; choose --label-column from 'text', 'label'"):
        task_of(films, HEADER + ROWS, label_column="kind")
    with pytest.raises(DataError, match=r"cannot be both"):
        task_of(films, HEADER + ROWS, label_column="text", text_column="text")
    with pytest.raises(
        DataError, match=r"only the column 'text'; a task needs texts and labels.*--delimiter"
    ):
        task_of(films, "text\na\nb\n")


def test_24_a_test_file_without_the_columns_shows_those_found(films, tmp_path):
    (tmp_path / "test.csv").write_text("content,label\na,pos\n")
    with pytest.raises(
        DataError,
        match=r"test\.csv has no column 'text', which films\.csv has: its columns are 'content', 'label'\.",
    ):
        task_of(films, HEADER + ROWS, test_file=str(tmp_path / "test.csv"))


def test_25_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(60_000_000)  # sparse
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("was read"))
    with pytest.raises(DataError, match=r"huge\.csv has 60\.0 MB, more than 50 MB"):
        load_task(TaskConfig(name=str(path)))


def test_25_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr("kd_core.data.table.MAX_ROWS", 3)
    with pytest.raises(DataError, match=r"films\.csv has 20 rows, more than 3"):
        table(HEADER + ROWS)
    with pytest.raises(DataError, match=r"a\.parquet has 4 rows, more than 3"):
        table(parquet({"text": ["a"] * 4}), "a.parquet")
    with pytest.raises(DataError, match=r"a\.txt has 4 rows, more than 3"):
        table("a\nb\nc\nd", "a.txt")


def test_25_a_parquet_file_is_refused_by_its_unpacked_size(monkeypatch):
    data = parquet({"text": ["x" * 100_000] * 100})
    assert len(data) < 50_000
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 5_000_000)
    with pytest.raises(DataError, match=r"a\.parquet has 10 MB when unpacked, more than 5 MB"):
        table(data, "a.parquet")


def room_made(read: Callable[[], object]) -> int:
    """The most bytes that Arrow had at once meanwhile."""
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    seen, over = [before], threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(pool.bytes_allocated())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        read()
    finally:
        over.set()
        thread.join()
    return max(seen) - before


def test_a_parquet_page_that_says_it_is_huge_gets_no_room(monkeypatch):
    """As small as it is, and whatever the footer says."""
    sink = io.BytesIO()
    rows = pa.table({"text": ["x" * 100_000] * 100})
    pq.write_table(rows, sink, compression="gzip", use_dictionary=False)
    data = bytearray(sink.getvalue())
    assert len(data) < 60_000
    place = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0).data_page_offset
    assert data[place : place + 3] == b"\x15\x00\x15"  # the type, then what it has when unpacked
    honest = list(pages(bytes(data), pq.ParquetFile(io.BytesIO(data)).metadata))
    assert [page.is_dictionary for page in honest] == [False] * len(honest)
    assert 10_000_000 < sum(page.bytes for page in honest) < 10_002_000
    length = next(i for i in range(1, 6) if data[place + 2 + i] < 0x80)
    data[place + 3 : place + 3 + length] = b"\xfe" + b"\xff" * (length - 2) + b"\x7f"
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 20_000_000)

    def refused() -> None:
        with pytest.raises(DataError, match=r"a\.parquet has 1\d\d MB when unpacked, more than 20 MB"):
            table(bytes(data), "a.parquet")

    assert room_made(refused) < 5_000_000


def test_a_long_text_that_many_rows_share_is_read_in_small_pieces(monkeypatch):
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1_000_000] * 2_000}), sink, compression="zstd")
    assert len(sink.getvalue()) < 50_000
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 60_000_000)
    monkeypatch.setattr(read, "PIECE_BYTES", 10_000_000)

    def refused() -> None:
        with pytest.raises(DataError, match=r"a\.parquet has [67]\d MB when unpacked, more than 60 MB"):
            table(sink.getvalue(), "a.parquet")

    assert room_made(refused) < 120_000_000  # 256 rows at once had 256 MB


@given(st.binary(min_size=1, max_size=40), st.integers(0, 60))
def test_whatever_a_page_header_says_is_read_or_refused(garbage, place):
    data = bytearray(parquet({"text": ["a", "b"], "label": ["c", "d"]}))
    meta = pq.ParquetFile(io.BytesIO(data)).metadata
    data[4 + place : 4 + place + len(garbage)] = garbage
    with suppress(ValueError):
        list(pages(bytes(data), meta))


# Columns


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,sentence,label\n1,a b c,x\n", ("sentence", "label")),
        ("title,content,label\nt,a b c,x\n", ("content", "label")),
        ("Category,Headline\nx,a b c\n", ("Headline", "Category")),
        ("Title,Review Text,label\nt,a b c,5\n", ("Review Text", "label")),
        ("headline,article_body,review,label\nt,a b c,a b,x\n", ("review", "label")),
        ("title,has_text,issue_body,label\nt,1,a b c,x\n", ("issue_body", "label")),
        ("标签,文本\nx,abc\n", ("文本", "标签")),
        ("text,what\na,x\n", ("text", "what")),
        (
            "a,b\nsome longer text,x\nanother longer text,x\nand a third text,y\nand a last text,y\n",
            ("a", "b"),
        ),
        ("id,a,b\n" + "".join(f"{i},y{i % 2},some longer text {i}\n" for i in range(6)), ("b", "a")),
    ],
)
def test_columns_are_guessed(content, expected):
    assert choose_columns(table(content), None, None) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title,body,review,label\nt,a,b,x\n", r"the texts\? Give --text-column: 'body', 'review'"),
        ("text,class,category\na,x,y\n", r"the labels\? Give --label-column: 'class', 'category'"),
        ("one,two,label\n" + "abc,abd,x\n" * 4, r"the texts\? Give --text-column: 'one', 'two'"),
        ("text,one,two\n" + "a,1,2\nb,2,1\n" * 4, r"the labels\? Give --label-column: 'one', 'two'"),
    ],
)
def test_ambiguous_columns_are_named(content, message):
    with pytest.raises(DataError, match=message):
        choose_columns(table(content), None, None)


def test_columns_given_are_used(films):
    rows = "".join(f"wrong {i},right {i},a,{i % 2}\n" for i in range(12))
    task = task_of(films, "text,body,label,kind\n" + rows, text_column="body", label_column="kind")
    assert task.labels == ("0", "1")
    assert all(text.startswith("right") for text in task.train["text"])


# Whole tasks


def test_a_file_is_split_by_text(films):
    rows = "".join(f"text {i % 80},{i % 2}\n" for i in range(160))
    task = task_of(films, HEADER + rows)
    assert task.name == "films"
    splits = [set(split["text"]) for split in (task.train, task.validation, task.test)]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 80
    assert [len(split) for split in (task.train, task.validation, task.test)] == [96, 24, 40]
    again, other = task_of(films, HEADER + rows), task_of(films, HEADER + rows, split_seed=1)
    assert again.fingerprint == task.fingerprint != other.fingerprint
    assert len(task.transfer) == 0


def test_labels_are_indices_into_the_sorted_names(films):
    rows = "".join(f"text {i % 3} {i},{(10, 9, 1)[i % 3]}\n" for i in range(30))
    task = task_of(films, HEADER + rows)
    assert task.labels == ("1", "9", "10")
    for row in task.train:
        assert task.labels[row["label"]] == {"0": "10", "1": "9", "2": "1"}[row["text"].split()[1]]


def test_an_own_test_file_is_the_test_split(films, tmp_path):
    (tmp_path / "test.tsv").write_text("label\ttext\npos\tA new one\nneg\tAnother\n")
    task = task_of(films, HEADER + ROWS, test_file=str(tmp_path / "test.tsv"))
    assert task.test["text"] == ["A new one", "Another"]
    assert task.test["label"] == [1, 0]
    assert (len(task.train), len(task.validation)) == (16, 4)


def test_transfer_texts_of_validation_and_test_are_dropped(films, tmp_path):
    texts = [line.rpartition(",")[0] for line in ROWS.splitlines()] + ["New one", "new  ONE", "", "New two"]
    (tmp_path / "more.txt").write_text("\n".join(texts))
    task = task_of(films, HEADER + ROWS, transfer_file=str(tmp_path / "more.txt"))
    held_out = {*task.validation["text"], *task.test["text"]}
    assert task.transfer["text"] == [text for text in texts[:21] if text not in held_out] + ["New two"]
    assert f"{len(held_out)} transfer texts dropped that occur in validation or test." in task.notes
    assert "more.txt: 1 row without a text dropped." in task.notes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.csv", "anything at all\nfirst\nsecond\n"),
        ("two.csv", "text,label\nanything at all,x\nfirst,y\nsecond,z\n"),
        ("three.csv", "id,words\n1,anything at all\n2,first and more\n3,second\n"),
        ("four.jsonl", '{"text": "anything at all"}\n{"text": "first"}\n'),
    ],
)
def test_transfer_files_of_each_kind(films, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    task = task_of(films, HEADER + ROWS, transfer_file=str(tmp_path / name))
    assert task.transfer["text"][0] == "anything at all"


def test_transfer_texts_are_limited(films, tmp_path):
    (tmp_path / "more.txt").write_text("\n".join(f"more {i}" for i in range(50)))
    more = {"transfer_file": str(tmp_path / "more.txt")}
    task = task_of(films, HEADER + ROWS, transfer_texts=7, **more)
    assert len(task.transfer) == 7
    assert "7 of 50 transfer texts are used." in task.notes
    assert len(task_of(films, HEADER + ROWS, transfer_texts=0, **more).transfer) == 0


# Names and places


@pytest.mark.parametrize(
    "place", ["https://example.org/a.csv", "file:///etc/a.csv", r"\\server\a.csv", "//server/a.csv"]
)
def test_nothing_is_fetched_from_elsewhere(films, place):
    for options in ({"name": place}, {"name": f"hub:{place}"}):
        with pytest.raises(DataError, match="--task must be a file on this machine"):
            load_task(TaskConfig(**options))
    for field in ("test_file", "transfer_file"):
        with pytest.raises(DataError, match=f"--{field.replace('_', '-')} must be a file on this machine"):
            task_of(films, HEADER + ROWS, **{field: place})


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(DataError, match="There is no task or file ''"):
        load_task(TaskConfig(name=""))
    with pytest.raises(DataError, match=r"no task or file 'bbc'.*bbc-headlines.*\.csv, \.tsv.*hub:ID"):
        load_task(TaskConfig(name="bbc"))
    with pytest.raises(DataError, match="no task or file"):
        load_task(TaskConfig(name="x" * 5000))


@pytest.mark.parametrize("flag", ["--test-file", "--transfer-file", "--knowledge"])
def test_a_file_that_no_file_can_be_is_refused(flag, films):
    field = flag.strip("-").replace("-", "_")
    for name, says in (("x" * 300 + ".csv", "'x+.csv' cannot be read"), ("x\0.csv", "There is no file")):
        with pytest.raises(DataError, match=rf"^{flag}: {says}"):
            task_of(films, HEADER + ROWS, **{field: name})


def test_lines_of_fasttext_in_the_home_folder_are_a_task(tmp_path, monkeypatch):
    """Of other kinds the suffix tells that a file is meant."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    rows = [line.rsplit(",", 1) for line in ROWS.splitlines()]
    (tmp_path / "films.txt").write_text("".join(f"__label__{label} {text}\n" for text, label in rows))
    assert load_task(TaskConfig(name="~/films.txt")).labels == ("neg", "pos")


def test_places_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"There is no file '.*gone\.csv'"):
        load_task(TaskConfig(name=str(tmp_path / "gone.csv")))
    with pytest.raises(DataError, match="cannot be read"):
        load_task(TaskConfig(name="x" * 5000 + ".csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder, not a file"):
        load_task(TaskConfig(name=str(tmp_path / "folder.csv")))
    (tmp_path / "book.xlsx").touch()
    with pytest.raises(DataError, match=r"book\.xlsx is none of the kinds that can be read: \.csv"):
        load_task(TaskConfig(name=str(tmp_path / "book.xlsx")))


# Whatever the cells hold

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=20)


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


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"text": TEXTS, "label": TEXTS}), min_size=1, max_size=8), st.booleans()
)
def test_json_cells_come_back_as_they_were(rows, escaped):
    content = "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    assert table(content, "a.jsonl").frame.to_dict("records") == rows


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.txt"]))
def test_any_bytes_give_a_table_or_a_clear_error(data, name):
    try:
        read = read_table(data, name)
    except DataError:
        return
    assert len(read.frame) > 0
    assert all(isinstance(cell, str) for row in read.frame.to_numpy() for cell in row)


def test_half_a_surrogate_pair_does_not_break_a_file():
    assert cells('{"text": "a\\ud800b", "label": "x"}', "a.jsonl") == [["a?b", "x"]]


# Found by trying: what was read as something else, or ended in a traceback


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


def test_half_a_surrogate_pair_in_the_name_of_a_column():
    read = table('{"text": "a", "label": "b", "\\ud800": 1}\n', "films.jsonl")
    assert list(read.frame.columns) == ["text", "label", "?"]


def test_parquet_columns_that_are_no_text_matter_only_where_they_are_chosen(tmp_path):
    film = tmp_path / "films.parquet"
    names = pa.array([b"film \xff" + bytes([65 + i]) for i in range(20)], pa.binary()).view(pa.string())
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 20, pa.binary(16)))
    good = {"text": [f"Film number {i}" for i in range(20)], "label": ["pos", "neg"] * 10}
    assert task_of(film, parquet(good | {"name": names, "id": ids})).labels == ("neg", "pos")
    for broken in (names, ids):
        with pytest.raises(DataError, match=r"'text' of films.parquet holds .* bytes\), not text"):
            task_of(film, parquet(good | {"text": broken}))


@pytest.mark.parametrize("encoding", ["utf\0-8", "utf-7", "unicode_escape", "idna", "rot13", "x" * 5000])
def test_an_encoding_that_is_none_of_texts(encoding):
    with pytest.raises(DataError, match=r"^--encoding must be an encoding such as .*, got '[^']{1,50}'\.$"):
        table(HEADER + ROWS, encoding=encoding)


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("\u201cnice\u201d for 5 \u20ac,pos", "cp1252"),
        ("\u65e5\u672c\u8a9e\u306e\u6620\u753b,pos", "shift-jis"),
        ("\u9019\u662f\u597d\u96fb\u5f71,pos", "big5"),
        ("nice,pos", "utf-16-le"),
        ("\u8fd9\u662f\u597d\u7535\u5f71,pos", "utf-16-be"),
    ],
)
def test_each_encoding_that_fits_is_offered_with_what_it_reads(line, encoding):
    content = f"{HEADER}{line}\n".encode(encoding)
    with pytest.raises(DataError, match=rf"is not utf-8 text.*as {encoding} it would read") as caught:
        table(content)
    assert caught.value.settings == ("encoding",)
    shown = encoding_previews(content)[encoding]
    assert shown == (line if encoding != "utf-16-le" else "text,label")
    assert cells(content, encoding=encoding) == [line.split(",")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "films.json",
            '[{"text": "caf\u00e9", "label": "x"}, {"text": "bar", "label": "y"}]',
        ),  # no line ends
        ("films.csv", "text,label\rcaf\u00e9,x\rbar,y\r"),
        ("films.csv", "text,label\ncaf\u00e9,\0x\nbar,y\n"),
    ],
)
def test_an_encoding_is_offered_whatever_ends_the_lines(name, content):
    with pytest.raises(DataError, match=r"Give its --encoding: as latin-1 it would read '.*caf\u00e9"):
        table(content.encode("latin-1"), name)
    assert cells(content.encode("latin-1"), name, encoding="latin-1") == [["caf\u00e9", "x"], ["bar", "y"]]


def test_a_json_object_over_several_lines_is_called_so():
    with pytest.raises(DataError, match=r"films.json is one JSON object over several lines\. Give an array"):
        table('{\n "text": "a",\n "label": "b"\n}\n', "films.json")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_too_many_columns_are_refused_before_a_table_is_made(kind, monkeypatch):
    monkeypatch.setattr(read.pd, "DataFrame", None)
    names = [f"c{i}" for i in range(1_001)]
    content: str | bytes = ",".join(names) + "\n" + ",".join("1" * 1_001) + "\n"
    if kind == "jsonl":
        content = "\n".join(json.dumps({name: 1}) for name in names)
    if kind == "parquet":
        content = parquet({name: [1] for name in names})
    with pytest.raises(DataError, match=r"films.* has 1,001 columns, more than 1,000\. Keep those of"):
        table(content, f"films.{kind}")


def test_too_many_cells_are_refused_before_a_table_is_made(monkeypatch):
    monkeypatch.setattr("kd_core.data.table.MAX_CELLS", 50)
    monkeypatch.setattr(read.pd, "DataFrame", None)
    for content, name in ((HEADER + ROWS * 2, "films.csv"), (parquet({"a": [1] * 51}), "films.parquet")):
        with pytest.raises(DataError, match=r"more than 50 cells"):
            table(content, name)


@pytest.mark.parametrize(
    "content",
    [
        {"data": [{"text": "a", "label": "b"}, {"text": "c", "label": "1.0"}], "version": "1.0"},
        {"text": {"0": "a", "1": "c"}, "label": {"0": "b", "1": 1.0}},  # DataFrame.to_json()
        {"text": ["a", "c"], "label": ["b", 1.0]},  # DataFrame.to_dict("list")
        {"x": {"text": "a", "label": "b"}, "y": {"text": "c", "label": 1.0}, "z": {"text": "e"}},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_the_rows_of_a_json_object_that_holds_them_all(content, indent):
    found = cells(json.dumps(content, indent=indent), "films.json")
    assert found[:2] == [["a", "b"], ["c", "1.0"]]


@pytest.mark.parametrize(
    "content",
    [
        {"columns": ["text", "label"], "data": [["a", "b"]]},
        {"train": [{"text": "a", "label": "b"}], "test": [{"text": "c", "label": "d"}]},
    ],
)
def test_a_json_object_that_holds_all_rows_is_called_so(content):
    keys = ", ".join(map(repr, content))
    with pytest.raises(DataError) as error:
        table(json.dumps(content), "films.json")
    assert str(error.value) == (
        f"films.json is one JSON object that holds all rows ({keys}). Give an array of objects, "
        '[{"text": ..., "label": ...}, ...], or one object in each line; pandas writes them with '
        'to_json(orient="records").'
    )
    assert cells('{"text": "a", "tags": ["b"]}', "films.jsonl") == [["a", ""]]


@pytest.mark.parametrize("content", ["{}\n{}\n", "[{}, {}]", "{}"])
def test_json_objects_without_anything_in_them(content):
    with pytest.raises(
        DataError, match=r"films\.json has nothing but empty objects\. Give such as {\"text\""
    ):
        table(content, "films.json")


def test_the_questions_of_a_survey_are_a_header():
    questions = ["In a few words: what could we do better next time?", "How satisfied are you?"]
    rows = "".join(f"Text {i},{'good' if i % 2 else 'bad'}\n" for i in range(6))
    assert list(table(",".join(questions) + "\n" + rows).frame.columns) == questions
    assert not table(f"{questions[0]},good\n{rows}").header


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


def test_a_column_of_which_most_values_are_rare_is_doubted(films):
    rows = "".join(f"text {i},2024-01-{i + 1:02}\n" for i in range(20))
    with pytest.raises(DataError, match=r"Is it the right column\? Choose another with --label-column"):
        task_of(films, HEADER + rows)
