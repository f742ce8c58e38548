"""Files as a task: their splits, their transfer texts, and which files can be named."""

from __future__ import annotations

import os

import pytest

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, task_of

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


def test_a_split_without_a_text_is_refused(films, tmp_path):
    (tmp_path / "test.csv").write_text("text,label\nA new one,neither\nAnother,neither\n")
    refused = "No test text is left: .+ each class, or leave out --drop-rare"
    with pytest.raises(DataError, match=refused):
        task_of(films, HEADER + ROWS, test_file=str(tmp_path / "test.csv"), drop_rare=True)
    spelt = "No label of the test part occurs in training: it has 'neither', where training has 'neg', 'pos'"
    with pytest.raises(DataError, match=spelt) as refusal:
        task_of(films, HEADER + ROWS, test_file=str(tmp_path / "test.csv"))
    assert not refusal.value.settings, "to drop them all leaves nothing"


def test_transfer_texts_of_validation_and_test_are_dropped(films, tmp_path):
    texts = [line.rpartition(",")[0] for line in ROWS.splitlines()] + ["New one", "new  ONE", "", "New two"]
    (tmp_path / "more.txt").write_text("\n".join(texts))
    task = task_of(films, HEADER + ROWS, transfer_file=str(tmp_path / "more.txt"))
    held_out = {*task.validation["text"], *task.test["text"]}
    assert task.transfer["text"] == [text for text in texts[:21] if text not in held_out] + ["New two"]
    assert f"{len(held_out)} transfer texts dropped that occur in validation or test." in task.notes
    assert "more.txt: 1 row without a text dropped." in task.notes
    assert "1 transfer text dropped that another repeats, but for case and white space." in task.notes


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("field", ["name", "test_file", "transfer_file", "knowledge"])
def test_a_pipe_for_which_nobody_writes_is_refused(field, tmp_path):
    pipe, file = tmp_path / "pipe.csv", tmp_path / "mine.csv"
    os.mkfifo(pipe)
    file.write_text(HEADER)
    with pytest.raises(DataError, match="a pipe or a device"):
        load_task(TaskConfig(**{"name": str(file), field: str(pipe)}))
