"""Which columns hold the texts and the labels: found, or asked for by name."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from kd_core.data.columns import choose_columns
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, parquet, table, task_of


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
        (
            "text,class,category\na,x,y\n",
            r"the labels\? Give --label-column: 'class' \(1 value\), 'category' \(1 value\)\.",
        ),
        ("one,two,label\n" + "abc,abd,x\n" * 4, r"the texts\? Give --text-column: 'one', 'two'"),
        (
            "text,one,two\n" + "a,1,2\nb,2,1\n" * 4,
            r"the labels\? Give --label-column: 'one' \(2 values\), 'two' \(2 values\)\.",
        ),
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
