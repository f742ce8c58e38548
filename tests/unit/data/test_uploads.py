"""Uploaded files: safe names, nothing kept that cannot be used, nothing outside the data folder."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.config import TaskConfig
from kd_core.data import load_task, uploads
from kd_core.data.uploads import Upload, safe_name
from kd_core.errors import DataError
from tests import ROOT
from tests.unit.data.films import HEADER, ROWS

FILMS = (HEADER + ROWS).encode()
SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"

pytestmark = pytest.mark.usefixtures("kd_home")


def films(content: bytes = FILMS, name: str = "films.csv") -> dict[str, Upload]:
    return {"name": Upload(name, content)}


def save(**settings) -> uploads.SavedTask:
    return uploads.save(films(), TaskConfig(**settings))


def kept() -> list[str]:
    return [path.name for path in uploads.root().rglob("*")] if uploads.root().exists() else []


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("My films (2024).CSV", "My-films-2024.csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\films.tsv", "films.tsv"),
        (".csv", "csv"),
        ("影评.csv", "影评.csv"),
        ("<img src=x onerror=alert(1)>.csv", "img-src-x-onerror-alert-1.csv"),
        ("a\0b\n.csv", "a-b.csv"),
        ("a" * 300 + ".csv", "a" * 40 + ".csv"),
        ("con.csv", "file-con.csv"),
        ("Task.JSON", "file-Task.json"),
        ("manifest.json", "file-manifest.json"),
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


def test_a_saved_task_is_listed_and_loads_with_its_settings(kd_home, tmp_path, monkeypatch):
    content = FILMS + b"Odd film,\n"
    saved = uploads.save(films(content), TaskConfig(drop_empty=True))
    assert uploads.saved() == [saved]
    assert (saved.name, saved.size_bytes) == ("films.csv", len(content))
    assert Path(saved.config.name).read_bytes() == content
    task = load_task(saved.config)
    assert (task.name, task.labels, len(task.train)) == ("films", ("neg", "pos"), 12)
    assert task.notes == ("films.csv: 1 row without a label dropped.",)
    # The data folder can be moved, also for the config of a run from before.
    kd_home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "elsewhere"))
    (moved,) = uploads.saved()
    assert moved.config.name.startswith(str(tmp_path / "elsewhere"))
    for config in (moved.config, saved.config):
        assert len(load_task(config).train) == 12


def test_files_of_one_name_are_kept_apart():
    files = {
        "name": Upload("data.csv", FILMS),
        "test_file": Upload("data.csv", b"text,label\nA very good one,pos\nA very bad one,neg\n"),
        "transfer_file": Upload("data.csv", b"text\nUnlabelled one\nUnlabelled two\n"),
    }
    sizes = {"train": 16, "validation": 4, "test": 2, "transfer": 2}
    assert uploads.check(files, TaskConfig()).sizes == sizes
    assert kept() == [], "a check keeps nothing"
    assert load_task(uploads.save(files, TaskConfig()).config).rows == sizes | {"spans": 0}


def test_the_same_upload_twice_is_one_task_and_other_settings_make_another():
    first = save()
    assert uploads.saved() == [save()] == [first]
    other = save(text_column="text")
    # The first keeps its name, which is its address.
    names = {first.id: "films.csv", other.id: f"films.csv ({other.id[:4]})"}
    assert {task.id: task.name for task in uploads.saved()} == names


def test_nothing_is_kept_of_bad_files_and_in_bad_places(kd_home, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"2 of 22 rows without a label .*\(--drop-empty\)"):
        uploads.save(films(FILMS + b"Odd,\nOdder,\n"), TaskConfig())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12 * 10**6))
        with pytest.raises(DataError, match=r"has 12 MB left; 200 MB are needed\. Free some space"):
            save()
    assert kept() == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"^films\.csv cannot be read, .* written to .*nowhere: No such file"):
        uploads.check(films(), TaskConfig())
    shutil.rmtree(kd_home)
    kd_home.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"The upload cannot be kept in .*data"):
        save()
    assert uploads.saved() == []


@pytest.mark.parametrize("content", ["{", '{"name": "gone.csv"}', '{"name": "../../secret.csv"}'])
def test_a_damaged_or_foreign_folder_is_not_listed(content, kd_home):
    saved = save()
    (kd_home / "secret.csv").write_bytes(FILMS)
    (uploads.root() / saved.id / uploads.SETTINGS).write_text(content)
    assert uploads.saved() == []
    assert save() == saved, "the same upload mends it"


def test_tasks_are_deleted_also_by_two_tabs(monkeypatch):
    saved = save()
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "saved", list)
        with pytest.raises(DataError, match=rf"^{saved.id} was deleted in this moment, in another tab\."):
            save()
    uploads.delete(saved.id)
    assert (uploads.saved(), kept()) == ([], [])
    with pytest.raises(DataError, match=rf"There is no uploaded task '{saved.id}'; .* in another tab"):
        uploads.delete(saved.id)
    monkeypatch.setattr(uploads, "saved", lambda: [saved])
    uploads.delete(saved.id)  # another tab was faster: it is gone, as was asked


def test_a_preview_shows_rows_and_guesses_columns_or_asks():
    read = uploads.preview(Upload("films.csv", b"id;review;stars\n" + b"1;Really rather good;five\n" * 30))
    assert (read.rows, read.columns, read.delimiter) == (30, ["id", "review", "stars"], ";")
    assert len(read.head) == uploads.PREVIEW_ROWS
    assert (read.text, read.label, read.question, len(read.notes)) == ("review", "stars", None, 1)
    rows = "".join(f"one text {i},another text {i},x{i % 2}\n" for i in range(6))
    read = uploads.preview(Upload("films.csv", f"first,second,third\n{rows}".encode()))
    assert (read.text, read.label, read.asked) == (None, None, "text_column")
    assert read.question.startswith("Which column of films.csv holds the texts? Give --text-column: ")
    read = uploads.preview(Upload("films.csv", b"text,class,topic\na,x,y\n"))
    assert (read.text, read.label, read.asked) == ("text", None, "label_column")


def test_each_file_may_have_its_own_encoding():
    upload = Upload("films.csv", "text,label\ncafé,pos\n".encode("latin-1"))
    assert uploads.recoded(upload, "latin-1").data.decode() == "text,label\ncafé,pos\n"
    with pytest.raises(DataError, match="is not ascii text"):
        uploads.recoded(upload, "ascii")


def test_the_sample_file_is_a_task_of_three_even_classes():
    summary = uploads.check({"name": Upload(SAMPLE.name, SAMPLE.read_bytes())}, TaskConfig())
    assert summary.labels == ("billing", "delivery", "technical")
    assert (summary.balance.sum(axis="columns").tolist(), summary.notes) == ([20, 20, 20], ())
