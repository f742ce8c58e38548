"""Hub data sets: read from local folders here; errors of the network are simulated."""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace

import datasets
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub.errors import LocalEntryNotFoundError

from kd_core.config import TaskConfig
from kd_core.data import hub, load_task
from kd_core.errors import ConfigError, DataError

NAMES = ["positive", "negative", "never"]


@pytest.fixture(autouse=True)
def no_network(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


def save(folder, split: str, rows: int, *, known: bool = True, text: str = "text", **columns) -> None:
    """A Parquet split with a ClassLabel; with ``known`` off its labels are -1, as on the Hub."""
    labels = [i % 2 if known else -1 for i in range(rows)]
    features = Features({text: Value("string"), "label": ClassLabel(names=NAMES)})
    data = {text: [f"{split} text {i}" for i in range(rows)], "label": labels}
    Dataset.from_dict(data, features=features).to_parquet(folder / f"{split}.parquet")


def load(folder, **options):
    return load_task(TaskConfig(name=f"hub:{folder}", **options))


def test_given_splits_and_label_names_are_used(folder):
    for split, rows in (("train", 20), ("validation", 6), ("test", 8)):
        save(folder, split, rows)
    task = load(folder)
    assert task.labels == ("positive", "negative")  # in the data set's order, without the unused one
    assert task.train["text"] == [f"train text {i}" for i in range(20)]
    assert task.validation["label"] == [0, 1] * 3
    assert len(task.test) == 8
    assert len(task.transfer) == 0
    assert task.notes == ()


def test_a_missing_validation_split_is_split_off(folder):
    save(folder, "train", 20)
    save(folder, "test", 8)
    task = load(folder)
    assert [len(split) for split in (task.train, task.validation, task.test)] == [16, 4, 8]


def test_without_a_test_split_validation_serves_as_one(folder):
    save(folder, "train", 20)
    save(folder, "validation", 8)
    save(folder, "test", 5, known=False)
    task = load(folder)
    assert [len(split) for split in (task.train, task.validation, task.test)] == [16, 4, 8]
    assert task.test["text"][0] == "validation text 0"
    assert [note.partition(": ")[2] for note in task.notes] == [
        "the test split has no labels and is left out.",
        "the validation split serves as the test split.",
    ]


def test_csv_files_without_splits_are_split(folder):
    rows = [{"review": f"text {i}", "stars": f"{i % 2 + 1}"} for i in range(40)]
    pd.DataFrame(rows).to_csv(folder / "films.csv", index=False)
    task = load(folder)
    assert task.labels == ("1", "2")
    assert [len(split) for split in (task.train, task.validation, task.test)] == [24, 6, 10]


def test_an_unsupervised_split_is_the_transfer_set(folder, tmp_path):
    save(folder, "train", 20)
    save(folder, "test", 8)
    save(folder, "unsupervised", 30, known=False)
    card = [f"  - split: {split}\n    path: {split}.parquet\n" for split in ("train", "test", "unsupervised")]
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{''.join(card)}---\n"
    )
    task = load(folder, transfer_texts=12)
    assert len(task.transfer) == 12
    assert all(text.startswith("unsupervised") for text in task.transfer["text"])
    assert len(load(folder, transfer_texts=0).transfer) == 0
    (tmp_path / "own.txt").write_text("own text\ntest text 1\n")
    assert load(folder, transfer_file=str(tmp_path / "own.txt")).transfer["text"] == ["own text"]


def test_the_same_text_in_train_and_test_needs_consent(folder):
    save(folder, "train", 20)
    rows = [{"text": f"train text {i}", "label": i % 2} for i in range(3)] + [{"text": "new", "label": 0}]
    features = Features({"text": Value("string"), "label": ClassLabel(names=NAMES)})
    Dataset.from_list(rows, features=features).to_parquet(folder / "test.parquet")
    with pytest.raises(DataError, match="3 of 20 train texts occur in test too"):
        load(folder)
    assert len(load(folder, drop_overlap=True).test) == 4


def test_label_lists_are_refused_by_name(folder):
    lines = [json.dumps({"text": f"text {i}", "labels": [i % 2, 1]}) for i in range(12)]
    (folder / "train.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"The column 'labels' of .* holds nested values"):
        load(folder)


def test_columns_can_be_chosen(folder):
    rows = [{"a": f"x {i}", "b": f"y {i}", "c": str(i % 2), "d": str(i % 3)} for i in range(36)]
    pd.DataFrame(rows).to_csv(folder / "train.csv", index=False)
    with pytest.raises(DataError, match=r"--label-column: 'c' \(\d+ values?\), 'd' \("):
        load(folder)
    task = load(folder, text_column="b", label_column="d")
    assert task.labels == ("0", "1", "2")
    assert all(text.startswith("y") for text in task.train["text"])


def test_a_test_file_does_not_go_with_a_hub_data_set(folder):
    with pytest.raises(ConfigError, match="takes no --test-file"):
        load(folder, test_file="test.csv")


def test_an_empty_folder_is_an_error(folder):
    with pytest.raises(DataError, match="cannot be read"):
        load(folder)


def test_code_in_a_data_set_never_runs(folder):
    (folder / "films.py").write_text("raise SystemExit('ran')")
    with pytest.raises(DataError, match="cannot be read"):
        load(folder)


@pytest.mark.parametrize("place", ["{outside}", "../outside.csv", "train/../../outside.csv"])
def test_a_data_set_reads_no_files_but_its_own(folder, place):
    """Its README may name any file of this machine: a key, or the secrets of the server."""
    outside = folder.parent / "outside.csv"
    outside.write_text("text,label\nsecret,a\n")
    (folder / "train").mkdir()
    (folder / "train" / "own.csv").write_text("text,label\nown,a\n")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: "
        + place.format(outside=outside)
        + "\n---\n"
    )
    with pytest.raises(DataError, match=r"names a file that is not its own \(.*outside\.csv\)"):
        load(folder)


def test_a_data_set_of_the_hub_reads_no_files_but_its_own():
    own = "hf://datasets/owner/name@abc/data/train.parquet"
    hub._check_own("owner/name", own)
    for other in (
        "/etc/passwd",
        "hf://datasets/owner/other@abc/x.csv",
        "https://a.b/x.csv",
        own + "/../../x",
    ):
        with pytest.raises(DataError, match="names a file that is not its own"):
            hub._check_own("owner/name", other)


def test_a_data_set_has_the_limits_of_a_file(folder, monkeypatch):
    save(folder, "train", 30)
    monkeypatch.setattr("kd_core.data.table.MAX_ROWS", 29)
    with pytest.raises(DataError, match="has 30 rows, more than 29"):
        load(folder)


def test_a_data_set_has_the_limits_of_a_file_in_bytes(folder, monkeypatch):
    """Before anything of it is unpacked: the rows that a file says it has are not believed."""
    save(folder, "train", 30)
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", lambda _: pytest.fail("it is read"))
    for place, limit, said in (
        ("decode.MAX_BYTES", 1_000, r"^train\.parquet has 0\.0 MB, more than 0 MB"),
        ("read.MAX_UNPACKED_BYTES", 100, r"^train\.parquet has 0 MB when unpacked, more than 0 MB"),
        ("table.MAX_COLUMNS", 1, r"^train\.parquet has 2 columns, more than 1"),
    ):
        with monkeypatch.context() as tight:
            tight.setattr(f"kd_core.data.{place}", limit)
            with pytest.raises(DataError, match=said):
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

    def metadata(url: str) -> SimpleNamespace:
        asked.append(url)
        return SimpleNamespace(size=60_000_000)

    monkeypatch.setattr(hub, "get_hf_file_metadata", metadata)
    with pytest.raises(DataError, match=r"data/train\.csv has 60\.0 MB, more than 50 MB"):
        hub._check_size("hf://datasets/owner/name@refs%2Fconvert/data/train.csv")
    assert asked == ["https://huggingface.co/datasets/owner/name/resolve/refs%2Fconvert/data/train.csv"]


@pytest.mark.parametrize("name", ["a/b/c", "", "a b", "../x/y", "a/b@main"])
def test_ids_are_checked(name):
    with pytest.raises(DataError, match="A Hub data set is written hub:name, hub:owner/name"):
        load_task(TaskConfig(name=f"hub:{name}"))


def test_the_name_of_a_config_is_passed_on(monkeypatch):
    asked = []
    monkeypatch.setattr(
        hub, "load_dataset_builder", lambda *given: asked.append(given) or pytest.fail("enough")
    )
    for name in ("hub:nyu-mll/glue:sst2", "hub:imdb"):
        with pytest.raises(pytest.fail.Exception):
            load_task(TaskConfig(name=name))
    assert asked == [("nyu-mll/glue", "sst2"), ("imdb", None)]


class TransportError(Exception):
    """Named as in the HTTP library that the Hub's client uses."""


class ConnectTimeout(TransportError):
    pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            DatasetNotFoundError("'no/such' doesn't exist"),
            "There is no data set 'no/such' on the Hub, or it is private",
        ),
        (
            DatasetNotFoundError("'no/such' is a gated dataset"),
            "'no/such' is gated: accept its terms at https",
        ),
        (
            ConnectionError("Couldn't reach 'no/such'"),
            r"cannot be reached \(offline\), and 'no/such' is not in the cache",
        ),
        (LocalEntryNotFoundError("not found"), "cannot be reached"),
        (FileNotFoundError("LocalEntryNotFoundError: not found"), "cannot be reached"),
        (ConnectTimeout("timed out"), "cannot be reached"),
        (
            ValueError("Config name is missing.\n  Choose from a, b"),
            "cannot be read: Config name is missing. Choose",
        ),
    ],
)
def test_what_went_wrong_on_the_hub_is_told_apart(monkeypatch, error, message):
    def fail(*_):
        raise error

    monkeypatch.setattr(hub, "load_dataset_builder", fail)
    with pytest.raises(DataError, match=message):
        load_task(TaskConfig(name="hub:no/such"))


def test_the_cause_of_an_error_counts(monkeypatch):
    def fail(*_):
        try:
            raise ConnectTimeout("timed out")
        except ConnectTimeout as cause:
            raise RuntimeError("something") from cause

    monkeypatch.setattr(hub, "load_dataset_builder", fail)
    with pytest.raises(DataError, match="cannot be reached"):
        load_task(TaskConfig(name="hub:no/such"))


def test_offline_says_so():
    with pytest.raises(DataError, match=r"The Hub cannot be reached .*, or use a bundled task or a file"):
        load_task(TaskConfig(name="hub:imdb"))
