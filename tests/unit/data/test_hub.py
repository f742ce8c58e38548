"""Hub data sets: read from local folders here; errors of the network are simulated."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub.errors import LocalEntryNotFoundError

from kd_core.config import TaskConfig
from kd_core.data import hub, load_task
from kd_core.errors import ConfigError, DataError

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["positive", "negative", "never"])})


@pytest.fixture(autouse=True)
def no_network(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


def save(folder, *, known: bool = True, **rows: int) -> None:
    """Write a Parquet file for each split; its labels are -1, as on the Hub, where none are ``known``."""
    for split, count in rows.items():
        labels = [i % 2 if known else -1 for i in range(count)]
        data = {"text": [f"{split} text {i}" for i in range(count)], "label": labels}
        Dataset.from_dict(data, features=FEATURES).to_parquet(folder / f"{split}.parquet")


def card(folder, **files: str) -> None:
    """Write a README that names the file of each split."""
    named = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in files.items())
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{named}---\n")


def load(folder, **options):
    return load_task(TaskConfig(name=f"hub:{folder}", **options))


def sizes(task) -> list[int]:
    return [len(split) for split in (task.train, task.validation, task.test, task.transfer)]


def test_given_splits_and_label_names_are_used(folder):
    save(folder, train=20, validation=6, test=8)
    task = load(folder)
    assert task.labels == ("positive", "negative")  # in the data set's order, without the unused one
    assert task.train["text"] == [f"train text {i}" for i in range(20)]
    assert (task.validation["label"], sizes(task), task.notes) == ([0, 1] * 3, [20, 6, 8, 0], ())
    with pytest.raises(ConfigError, match="takes no --test-file"):
        load(folder, test_file="test.csv")


def test_without_a_test_split_validation_serves_as_one(folder):
    save(folder, train=20, validation=8)
    save(folder, test=5, known=False)
    task = load(folder)
    assert (sizes(task), task.test["text"][0]) == ([16, 4, 8, 0], "validation text 0")
    assert [note.partition(": ")[2] for note in task.notes] == [
        "the test split has no labels and is left out.",
        "the validation split serves as the test split.",
    ]


def test_a_single_split_is_split_and_columns_can_be_chosen(folder):
    rows = "".join(f"x {i},y {i},{i % 2},{i % 3}\n" for i in range(36))
    (folder / "films.csv").write_text("a,b,c,d\n" + rows)
    with pytest.raises(DataError, match=r"--label-column: 'c' \(\d+ values?\), 'd' \("):
        load(folder)
    task = load(folder, text_column="b", label_column="d")
    assert (task.labels, sum(sizes(task))) == (("0", "1", "2"), 36)
    assert all(text.startswith("y") for text in task.train["text"])


def test_an_unsupervised_split_is_the_transfer_set(folder, tmp_path):
    save(folder, train=20, test=8)
    save(folder, unsupervised=30, known=False)
    card(folder, **{split: f"{split}.parquet" for split in ("train", "test", "unsupervised")})
    task = load(folder, transfer_texts=12)
    assert sizes(task) == [16, 4, 8, 12]
    assert all(text.startswith("unsupervised") for text in task.transfer["text"])
    assert len(load(folder, transfer_texts=0).transfer) == 0
    (tmp_path / "own.txt").write_text("own text\ntest text 1\n")
    assert load(folder, transfer_file=str(tmp_path / "own.txt")).transfer["text"] == ["own text"]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("README.md", "Nothing else", "cannot be read"),
        ("films.py", "raise SystemExit('ran')", "cannot be read"),  # code in a data set never runs
        ("train.jsonl", '{"text": "a", "labels": [0, 1]}\n' * 12, "column 'labels' .* holds nested values"),
    ],
)
def test_what_cannot_be_read(folder, file, content, says):
    (folder / file).write_text(content)
    with pytest.raises(DataError, match=says):
        load(folder)


@pytest.mark.parametrize("place", ["{outside}", "../outside.csv", "train/../../outside.csv"])
def test_a_data_set_reads_no_files_but_its_own(folder, place):
    """Its README may name any file of this machine: a key, or the secrets of the server."""
    outside = folder.parent / "outside.csv"
    outside.write_text("text,label\nsecret,a\n")
    (folder / "train").mkdir()
    (folder / "train" / "own.csv").write_text("text,label\nown,a\n")
    card(folder, train=place.format(outside=outside))
    with pytest.raises(DataError, match=r"names a file that is not its own \(.*outside\.csv\)"):
        load(folder)


OWN = "hf://datasets/owner/name@abc/train.parquet"


@pytest.mark.parametrize(
    "file", ["/etc/passwd", OWN.replace("name", "other"), "https://a.b/x", OWN + "/../../x"]
)
def test_a_data_set_of_the_hub_reads_no_files_but_its_own(file):
    hub._check_own("owner/name", OWN)
    with pytest.raises(DataError, match="names a file that is not its own"):
        hub._check_own("owner/name", file)


@pytest.mark.parametrize(
    ("place", "limit", "says"),
    [
        ("table.MAX_ROWS", 29, "has 30 rows, more than 29"),
        ("decode.MAX_BYTES", 1_000, r"^train\.parquet has 0\.0 MB, more than 0 MB"),
        ("read.MAX_UNPACKED_BYTES", 100, r"^train\.parquet has 0 MB when unpacked, more than 0 MB"),
        ("table.MAX_COLUMNS", 1, r"^train\.parquet has 2 columns, more than 1"),
    ],
)
def test_a_data_set_has_the_limits_of_a_file_before_it_is_unpacked(folder, monkeypatch, place, limit, says):
    save(folder, train=30)
    monkeypatch.setattr(f"kd_core.data.{place}", limit)
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", lambda _: pytest.fail("read"))
    with pytest.raises(DataError, match=says):
        load(folder)


def test_a_data_set_that_unpacks_into_a_huge_one_is_refused(folder, monkeypatch):
    with gzip.open(folder / "train.csv.gz", "wt") as file:
        file.write("text,label\n" + "".join(f"{'x' * 1000} {i},{i % 2}\n" for i in range(3_000)))
    assert (folder / "train.csv.gz").stat().st_size < 50_000
    monkeypatch.setattr("kd_core.data.read.MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(DataError, match="has 3 MB when unpacked, more than 1 MB"):
        load(folder)


def test_a_file_on_the_hub_is_asked_for_its_size_before_it_comes(monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_, **__: pytest.fail("downloaded"))
    size = SimpleNamespace(size=60_000_000)
    monkeypatch.setattr(hub, "get_hf_file_metadata", lambda url: asked.append(url) or size)
    with pytest.raises(DataError, match=r"data/train\.csv has 60\.0 MB, more than 50 MB"):
        hub._check_size("hf://datasets/owner/name@refs%2Fconvert/data/train.csv")
    assert asked == ["https://huggingface.co/datasets/owner/name/resolve/refs%2Fconvert/data/train.csv"]


@pytest.mark.parametrize("name", ["a/b/c", "", "a b", "../x/y", "a/b@main"])
def test_ids_are_checked(name):
    with pytest.raises(DataError, match="A Hub data set is written hub:name, hub:owner/name"):
        load(name)


class TransportError(Exception):
    """Named as in the HTTP library that the Hub's client uses."""


class ConnectTimeout(TransportError):
    pass


CAUSED = RuntimeError("something")
CAUSED.__cause__ = ConnectTimeout("timed out")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (DatasetNotFoundError("doesn't exist"), "There is no data set 'no/such.* on the Hub, or it is pri"),
        (DatasetNotFoundError("is a gated dataset"), "'no/such.*' is gated: accept its terms at https"),
        (ConnectionError("Couldn't reach"), r"cannot be reached \(offline\), and 'no/such.*' is not in the"),
        (LocalEntryNotFoundError("not found"), "cannot be reached"),
        (FileNotFoundError("LocalEntryNotFoundError: not found"), "cannot be reached"),
        (ConnectTimeout("timed out"), "cannot be reached .*, or use a bundled task or a file"),
        (CAUSED, "cannot be reached"),
        (ValueError("Config name is missing.\n  Choose"), "be read: Config name is missing. Choose"),
    ],
)
def test_errors_of_the_hub_are_told_apart(monkeypatch, error, says):
    asked = []

    def fail(*names):
        asked.append(names)
        raise error

    monkeypatch.setattr(hub, "load_dataset_builder", fail)
    for name in ("no/such", "no/such:sst2"):
        with pytest.raises(DataError, match=says):
            load(name)
    assert asked == [("no/such", None), ("no/such", "sst2")]
