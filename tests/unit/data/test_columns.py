from __future__ import annotations

import json

import pandas as pd
import pytest

from kd_core.data.columns import choose_columns
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, parquet, table, task_of

LONG = "some longer text,x\nanother longer text,x\nand a third text,y\nand a last text,y\n"
SHUFFLED = "id,a,b\n" + "".join(f"{i},y{i % 2},some longer text {i}\n" for i in range(6))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,sentence,label\n1,a b c,x\n", ("sentence", "label")),
        ("Category,Headline\nx,a b c\n", ("Headline", "Category")),
        ("headline,article_body,review,label\nt,a b c,a b,x\n", ("review", "label")),
        ("标签,文本\nx,abc\n", ("文本", "标签")),
        ("text,what\na,x\n", ("text", "what")),
        ("a,b\n" + LONG, ("a", "b")),
        (SHUFFLED, ("b", "a")),
    ],
)
def test_columns_are_guessed(content, expected):
    assert choose_columns(table(content), None, None) == expected


@pytest.mark.parametrize(
    ("content", "given", "says", "settings"),
    [
        (
            "title,body,review,label\nt,a,b,x\n",
            (),
            "the texts.*--text-column: 'body', 'review'",
            "text_column",
        ),
        ("one,two,label\n" + "abc,abd,x\n" * 4, (), "the texts.*--text-column: 'one', 'two'", "text_column"),
        (
            "text,class,category\na,x,y\n",
            (),
            r"labels.*: 'class' \(1 value\), 'category' \(1",
            "label_column",
        ),
        ("text,o,t\n" + "a,1,2\nb,2,1\n" * 4, (), r"labels.*: 'o' \(2 values\), 't' \(2 val", "label_column"),
        # 24: missing columns
        (
            HEADER + ROWS,
            ("body", None),
            "has no column 'body'; choose --text-column from 'text', 'label'",
            "",
        ),
        (HEADER + ROWS, (None, "kind"), "has no column 'kind'; choose --label-column from 'text', 'l", ""),
        (HEADER + ROWS, ("text", "text"), "'text' cannot be both the column of texts and that of labels", ""),
        ("text\na\nb\n", (), "only the column 'text'; a task needs texts and labels.*--delimiter", ""),
        ('{"text": "a"}', (), r"a task needs texts and labels\.$", ""),
    ],
)
def test_columns_are_asked_for(content, given, says, settings):
    name = "films.csv" if content[0] != "{" else "films.jsonl"
    with pytest.raises(DataError, match=says) as refused:
        choose_columns(table(content, name), *(given or (None, None)))
    assert "".join(refused.value.settings) == settings


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_22_nested_values_are_refused_only_in_columns_that_are_used(tmp_path, name):
    rows = [{"text": {"en": f"a {i}"}, "meta": [1], "more": f"b {i}", "label": str(i % 2)} for i in range(12)]
    data = (
        parquet(pd.DataFrame(rows).to_dict("list")) if "parquet" in name else "\n".join(map(json.dumps, rows))
    )
    says = rf"^The column 'text' of {name} holds nested values \(lists, objects or bytes\).*--text-column\.$"
    with pytest.raises(DataError, match=says):
        task_of(tmp_path / name, data)
    assert task_of(tmp_path / name, data, text_column="more").labels == ("0", "1")
