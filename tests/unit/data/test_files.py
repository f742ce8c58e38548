"""Files as a task: their splits, their transfer texts, and which files can be named."""

from __future__ import annotations

import os

import pytest

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, task_of, texts_of


def test_a_file_is_split_by_text(tmp_path):
    rows = "".join(f"text {i % 80},{(10, 9)[i % 2]}\n" for i in range(160))
    task, again, other = (task_of(tmp_path, HEADER + rows, split_seed=seed) for seed in (0, 0, 1))
    assert (task.name, task.labels, len(task.transfer)) == ("films", ("9", "10"), 0)
    splits = [set(split["text"]) for split in (task.train, task.validation, task.test)]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 80
    assert [len(split) for split in (task.train, task.validation, task.test)] == [96, 24, 40]
    for row in task.train:
        assert task.labels[row["label"]] == ("10", "9")[int(row["text"].split()[1]) % 2]
    assert again.fingerprint == task.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("name", "line"), [("a.txt", "__label__{1} {0}\n"), ("b.txt", "{1}\t{0}\n"), ("c.csv", "{0},{1}\n")]
)
def test_files_without_a_header_in_the_home_folder(tmp_path, monkeypatch, name, line):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / name).write_text("".join(line.format(*row.rsplit(",", 1)) for row in ROWS.splitlines()))
    task = load_task(TaskConfig(name=f"~/{name}"))
    assert task.labels == ("neg", "pos")
    assert sorted(texts_of(task)) == sorted(row.rpartition(",")[0] for row in ROWS.splitlines())


def test_columns_that_are_not_used_are_noted_unless_both_were_given(tmp_path):
    content = "text,body,kind,more\n" + "".join(f"wrong {i},right {i},{i % 2},a\n" for i in range(12))
    task = task_of(tmp_path, content, text_column="body", label_column="kind")
    assert (task.labels, task.notes) == (("0", "1"), ())
    assert all(text.startswith("right") for text in task.train["text"])
    (note,) = task_of(tmp_path, content, text_column="body").notes
    assert note.endswith("are read from 'body', labels from 'kind'; 'text', 'more' are not used.")


def test_a_test_file_is_the_test_split(tmp_path):
    test = tmp_path / "test.csv"

    def load(content: str, **options):
        test.write_text(content)
        return task_of(tmp_path, HEADER + ROWS, test_file=str(test), **options)

    task = load("label,text\npos,A new one\nneg,Another\n")
    assert (task.test["text"], task.test["label"]) == (["A new one", "Another"], [1, 0])
    assert (len(task.train), len(task.validation)) == (16, 4)
    with pytest.raises(
        DataError, match=r"no column 'text', which films\.csv has: its columns are 'content', 'lab"
    ):
        load("content,label\na,pos\n")
    with pytest.raises(DataError, match=r"^No test text is left: .* class, or leave out --drop-rare"):
        load("text,label\nnew,neither\n", drop_rare=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.csv", "anything at all\nfirst\nsecond\n"),
        ("two.csv", "text,label\nanything at all,x\nfirst,y\nsecond,z\n"),
        ("three.csv", "id,words\n1,anything at all\n2,first and more\n3,second\n"),
        ("four.jsonl", '{"text": "anything at all"}\n{"text": "first"}\n'),
        ("five.txt", "anything at all\n\nfirst\nANYTHING at  all\n"),
    ],
)
def test_transfer_files_of_each_kind(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    options = {"transfer_file": str(tmp_path / name)}
    task = task_of(tmp_path, HEADER + ROWS, **options)
    assert task.transfer["text"][:2] == ["anything at all", "first" + " and more" * (name == "three.csv")]
    assert (f"{name}: 1 row without a text dropped." in task.notes) == (name == "five.txt")
    assert len(task_of(tmp_path, HEADER + ROWS, transfer_texts=1, **options).transfer) == 1
    assert len(task_of(tmp_path, HEADER + ROWS, transfer_texts=0, **options).transfer) == 0


@pytest.mark.parametrize(
    "place", ["https://example.org/a.csv", "file:///etc/a.csv", r"\\server\a.csv", "//server/a.csv"]
)
def test_nothing_is_fetched_from_elsewhere(tmp_path, place):
    for name in (place, f"hub:{place}"):
        with pytest.raises(DataError, match="--task must be a file on this machine"):
            load_task(TaskConfig(name=name))
    for field in ("test_file", "transfer_file", "knowledge"):
        with pytest.raises(
            DataError, match=f"--{field.replace('_', '-')} must be a file on this machine, got"
        ):
            task_of(tmp_path, HEADER + ROWS, **{field: place})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "There is no task or file ''"),
        ("bbc", r"no task or file 'bbc'.*bbc-headlines.*\.csv, \.tsv.*hub:ID"),
        ("x" * 5000, "no task or file"),
        ("x" * 5000 + ".csv", "cannot be read"),
        ("{}/gone.csv", r"^--task: There is no file '.*gone\.csv'\.$"),
        ("{}/folder.csv", "is a folder, not a file"),
        ("{}/book.xlsx", r"book\.xlsx is none of the kinds that can be read: \.csv"),
    ],
)
def test_names_of_no_file(name, says, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "book.xlsx").touch()
    with pytest.raises(DataError, match=says):
        load_task(TaskConfig(name=name.format(tmp_path)))


@pytest.mark.parametrize("field", ["test_file", "transfer_file", "knowledge"])
def test_other_files_that_cannot_be_read(field, tmp_path):
    flag = f"--{field.replace('_', '-')}"
    for name, says in (("x" * 300 + ".csv", "'x+.csv' cannot be read"), ("x\0.csv", "There is no file")):
        with pytest.raises(DataError, match=rf"^{flag}: {says}"):
            task_of(tmp_path, HEADER + ROWS, **{field: name})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("field", ["name", "test_file", "transfer_file", "knowledge"])
def test_a_pipe_for_which_nobody_writes_is_refused(field, tmp_path):
    pipe, file = tmp_path / "pipe.csv", tmp_path / "mine.csv"
    os.mkfifo(pipe)
    file.write_text(HEADER)
    with pytest.raises(DataError, match="a pipe or a device"):
        load_task(TaskConfig(**{"name": str(file), field: str(pipe)}))
