"""Uploaded files: safe names, nothing kept that cannot be used, nothing outside the data folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task, uploads
from kd_core.data.uploads import Upload, safe_name
from kd_core.errors import DataError
from tests import ROOT

ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))
FILMS = f"text,label\n{ROWS}".encode()
SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"

pytestmark = pytest.mark.usefixtures("kd_home")


def films(content: bytes = FILMS, name: str = "films.csv", **more: bytes) -> dict[str, Upload]:
    return {"name": Upload(name, content), **{f: Upload(f"{f}.csv", data) for f, data in more.items()}}


def kept() -> list[str]:
    return [path.name for path in uploads.root().rglob("*")] if uploads.root().exists() else []


# Names


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("films.csv", "films.csv"),
        ("My films (2024).CSV", "My-films-2024.csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\films.tsv", "films.tsv"),
        ("/abs/films.jsonl", "films.jsonl"),
        ("..", "data"),
        ("", "data"),
        (".csv", "csv"),
        ("影评.csv", "影评.csv"),
        ("![](http://127.0.0.1:9/x).csv", "x.csv"),
        ("<img src=x onerror=alert(1)>.csv", "img-src-x-onerror-alert-1.csv"),
        ("a\0b\n.csv", "a-b.csv"),
        ("a" * 300 + ".csv", "a" * 40 + ".csv"),
        ("con.csv", "file-con.csv"),
        ("Task.JSON", "file-Task.json"),
        ("manifest.json", "file-manifest.json"),
        ("task.jsonl", "task.jsonl"),
    ],
)
def test_a_name_becomes_safe(given, safe):
    assert safe_name(given) == safe


@given(st.text())
def test_any_name_is_one_plain_part_of_a_path(name):
    safe = safe_name(name)
    assert Path("folder", safe).name == safe
    assert safe not in (".", "..")
    assert not set(safe) & set("/\\\0<>[]()!`*\"'")
    assert len(safe.encode()) <= 255


# Keeping


def test_a_saved_task_is_listed_and_loads_with_its_settings():
    content = FILMS + b"Odd film,\n"
    saved = uploads.save(films(content), TaskConfig(drop_empty=True))
    assert uploads.saved() == [saved]
    assert (saved.name, saved.size_bytes) == ("films.csv", len(content))
    assert Path(saved.config.name).read_bytes() == content
    task = load_task(saved.config)
    assert (task.name, task.labels) == ("films", ("neg", "pos"))
    assert len(task.train) + len(task.validation) + len(task.test) == 20
    assert task.notes == ("films.csv: 1 row without a label dropped.",)


def test_test_and_transfer_files_are_kept_too_even_under_one_name():
    files = {
        "name": Upload("data.csv", FILMS),
        "test_file": Upload("data.csv", b"text,label\nA very good one,pos\nA very bad one,neg\n"),
        "transfer_file": Upload("data.csv", b"text\nUnlabelled one\nUnlabelled two\n"),
    }
    saved = uploads.save(files, TaskConfig())
    task = load_task(saved.config)
    assert task.test["text"] == ["A very good one", "A very bad one"]
    assert task.transfer["text"] == ["Unlabelled one", "Unlabelled two"]
    assert uploads.check(files, TaskConfig()).sizes == {
        "train": 16,
        "validation": 4,
        "test": 2,
        "transfer": 2,
    }


@pytest.mark.parametrize("name", ["task.json", "manifest.json"])
def test_a_file_named_like_one_of_a_saved_task_is_kept_whole(name):
    rows = [dict(zip(("text", "label"), line.split(","), strict=True)) for line in ROWS.splitlines()]
    content = json.dumps(rows).encode()
    saved = uploads.save(films(content, name), TaskConfig())
    assert Path(saved.config.name).read_bytes() == content
    assert load_task(saved.config).labels == ("neg", "pos")
    assert uploads.save(films(content, name), TaskConfig()) == saved


def test_the_same_upload_twice_is_one_task_other_settings_are_another():
    first = uploads.save(films(), TaskConfig())
    assert uploads.save(films(), TaskConfig()) == first
    other = uploads.save(films(), TaskConfig(text_column="text"))
    assert (
        {task.id: task.name for task in uploads.saved()}
        == {
            first.id: "films.csv",  # its address stays what it was
            other.id: f"films.csv ({other.id[:4]})",
        }
    )


def test_checking_where_nothing_can_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(
        DataError,
        match=r"^films\.csv cannot be read, since nothing can be written to .*nowhere: No such file or "
        r"directory\. Free some space there, or choose another folder with TMPDIR\.$",
    ):
        uploads.check(films(), TaskConfig())


def test_checking_keeps_nothing():
    assert uploads.check(films(), TaskConfig()).sizes["train"] == 12
    assert kept() == []


def test_what_cannot_be_used_is_not_kept():
    with pytest.raises(DataError, match=r"2 of 22 rows without a label .*\(--drop-empty\)"):
        uploads.save(films(FILMS + b"Odd,\nOdder,\n"), TaskConfig())
    with pytest.raises(DataError, match=r"logo\.csv is not a CSV file: its content is a PNG image"):
        uploads.save(films(b"\x89PNG\r\n", "logo.csv"), TaskConfig())
    with pytest.raises(DataError, match=r"script\.py is none of the kinds that can be read: \.csv, \.tsv"):
        uploads.save(films(b"print()", "script.py"), TaskConfig())
    assert kept() == []
    assert uploads.saved() == []


def test_a_full_disk_is_said_before_anything_is_written(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 12 * 10**6))
    with pytest.raises(DataError, match=r"has 12 MB left; 200 MB are needed\. Free some space"):
        uploads.save(films(), TaskConfig())
    assert kept() == []


def test_a_folder_that_cannot_be_written_is_named(kd_home):
    kd_home.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"The upload cannot be kept in .*data"):
        uploads.save(films(), TaskConfig())
    assert uploads.saved() == []


def test_the_data_folder_can_be_moved(kd_home, tmp_path, monkeypatch):
    uploads.save(films(), TaskConfig())
    kd_home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "elsewhere"))
    (task,) = uploads.saved()
    assert task.config.name.startswith(str(tmp_path / "elsewhere"))
    assert len(load_task(task.config).train) == 12


@pytest.mark.parametrize("name", ["films.csv", "films.txt"])
def test_a_task_of_the_time_before_the_data_folder_was_moved_is_found(name, kd_home, tmp_path, monkeypatch):
    """As the config of a run has it."""
    lines = (line.rsplit(",", 1) for line in ROWS.splitlines())
    tabbed = "".join(f"{text}\t{label}\n" for text, label in lines).encode()
    config = uploads.save(films(FILMS if name == "films.csv" else tabbed, name), TaskConfig()).config
    kd_home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "elsewhere"))
    assert len(load_task(config).train) == 12


def test_a_damaged_or_foreign_folder_is_not_listed():
    saved = uploads.save(films(), TaskConfig())
    settings = uploads.root() / saved.id / uploads.SETTINGS
    settings.write_text("{")
    assert uploads.saved() == []
    assert uploads.save(films(), TaskConfig()) == saved  # the same upload mends it


# Deleting


def test_a_deleted_task_is_gone_and_cannot_be_deleted_again():
    saved = uploads.save(films(), TaskConfig())
    uploads.delete(saved.id)
    assert (uploads.saved(), kept()) == ([], [])
    with pytest.raises(DataError, match=rf"There is no uploaded task '{saved.id}'; .* in another tab"):
        uploads.delete(saved.id)


def test_what_another_tab_deletes_in_this_moment(monkeypatch):
    saved = uploads.save(films(), TaskConfig())
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "saved", list)
        with pytest.raises(DataError, match=rf"^{saved.id} was deleted in this moment, in another tab\."):
            uploads.save(films(), TaskConfig())
    uploads.delete(saved.id)
    monkeypatch.setattr(uploads, "saved", lambda: [saved])
    uploads.delete(saved.id)  # it is gone, as was asked


# Previews and encodings


def test_a_preview_shows_rows_and_guesses_columns():
    read = uploads.preview(Upload("films.csv", b"id;review;stars\n" + b"1;Really rather good;five\n" * 30))
    assert (read.rows, read.columns, read.delimiter) == (30, ["id", "review", "stars"], ";")
    assert len(read.head) == uploads.PREVIEW_ROWS
    assert read.notes == ("films.csv: columns are separated by semicolons, not commas.",)


def test_a_preview_asks_where_columns_cannot_be_told():
    rows = "".join(f"one text {i},another text {i},x{i % 2}\n" for i in range(6))
    read = uploads.preview(Upload("films.csv", f"first,second,third\n{rows}".encode()))
    assert (read.text, read.label) == (None, None)
    assert read.question.startswith("Which column of films.csv holds the texts? Give --text-column: ")


def test_each_file_may_have_its_own_encoding():
    upload = Upload("films.csv", "text,label\ncafé,pos\n".encode("latin-1"))
    assert uploads.recoded(upload, "latin-1").data.decode() == "text,label\ncafé,pos\n"
    with pytest.raises(DataError, match=r"--encoding must be an encoding .*, got 'klingon'"):
        uploads.recoded(upload, "klingon")
    with pytest.raises(DataError, match=r"is not ascii text"):
        uploads.recoded(upload, "ascii")


def test_the_sample_file_is_a_task_of_three_even_classes():
    summary = uploads.check({"name": Upload(SAMPLE.name, SAMPLE.read_bytes())}, TaskConfig())
    assert summary.labels == ("billing", "delivery", "technical")
    assert summary.balance.sum(axis="columns").tolist() == [20, 20, 20]
    assert summary.notes == ()


def test_settings_are_stored_with_paths_inside_the_folder():
    saved = uploads.save(films(), TaskConfig())
    stored = json.loads((uploads.root() / saved.id / uploads.SETTINGS).read_text())
    assert stored["name"] == "films.csv"


def test_a_setting_that_an_older_task_lacks_is_what_was_done_then(monkeypatch):
    saved = uploads.save(films(), TaskConfig())
    settings = uploads.root() / saved.id / uploads.SETTINGS
    older = {name: value for name, value in json.loads(settings.read_text()).items() if name != "drop_empty"}
    settings.write_text(json.dumps(older))
    monkeypatch.setattr("kd_core.config.LEGACY", {"task.drop_empty": True})
    assert [task.config.drop_empty for task in uploads.saved()] == [True]
