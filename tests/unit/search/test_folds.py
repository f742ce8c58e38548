"""Folds without a leak."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest

from kd_core.config import TaskConfig
from kd_core.data import spans
from kd_core.data.splits import normalised
from kd_core.data.task import Task, labelled, unlabelled
from kd_core.errors import ConfigError, DataError
from kd_core.search import SearchConfig
from kd_core.search.folds import fold_tasks
from kd_core.search.worker import with_spans
from tests.unit.search.in_process import run

pytestmark = pytest.mark.usefixtures("own_database")


def test_held_out_parts_are_the_training_data_and_each_class_is_in_all(tiny_task: Task) -> None:
    folds = fold_tasks(tiny_task, TaskConfig(name="own.csv"), 3)
    held_out = list(chain.from_iterable(fold.test["text"] for fold in folds))
    assert sorted(held_out) == sorted(tiny_task.train["text"])
    assert [len(fold.test) for fold in folds] == [20, 20, 20]
    for fold in folds:
        for split in (fold.train, fold.validation, fold.test):
            assert set(split["label"]) == set(range(5))
        parts = [set(split["text"]) for split in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 60


def test_folds_have_the_spans_that_the_final_run_will_have(
    tiny_task: Task, search_config: SearchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of many texts is few, to which auto would give spans."""
    task = replace(tiny_task, transfer=unlabelled([]))
    assert len(task.train) == 60
    config = search_config.model_copy(
        update={"distill": search_config.distill.change({"task.transfer_texts": 400, "task.augment": "auto"})}
    )
    monkeypatch.setattr(spans, "FEW", 60)
    assert [len(fold.transfer) for fold in with_spans(task, config)] == [0, 0]
    monkeypatch.setattr(spans, "FEW", 61)
    each = spans.spans_per_text(task, config.distill.task)
    assert each == 6, "400 over 60; over a fold's 24 training texts it would be 8"
    for fold in with_spans(task, config):
        assert 0 < len(fold.transfer) <= 6 * len(fold.train)


def test_no_text_to_validate_with_needs_more_of_them() -> None:
    texts = [f"text {i}" for i in range(4)]
    task = Task(
        "t",
        ("x", "y"),
        labelled(texts, [0, 0, 1, 1]),
        labelled([], []),
        labelled([], []),
        unlabelled([]),
    )
    with pytest.raises(DataError, match=r"nothing is left to validate on. Add texts of each class.$"):
        fold_tasks(task, TaskConfig(name="own.csv"), 2)


def test_texts_that_differ_in_case_and_space_only_stay_together() -> None:
    texts = [f"text {i // 2} " + ("A" if i % 2 else "a ") for i in range(24)]
    task = Task(
        "t",
        ("x", "y"),
        labelled(texts, [i // 12 for i in range(24)]),
        labelled([], []),
        labelled([], []),
        unlabelled(["TEXT 3 a", "another"]),
    )
    for fold in fold_tasks(task, TaskConfig(name="own.csv"), 3):
        parts = [{normalised(t) for t in split["text"]} for split in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == 12
        assert ("TEXT 3 a" in fold.transfer["text"]) == ("text 3 a" in parts[0])
        assert "another" in fold.transfer["text"]


@pytest.mark.parametrize("name", ["bbc-headlines", "bbc-articles"])
def test_transfer_texts_of_a_fold_are_from_its_training_articles(name: str) -> None:
    from kd_core.data import bbc, load_task

    task = load_task(TaskConfig(name=name, transfer_texts=3_000))
    articles = bbc.read_corpus(bbc.corpus_folder())
    bodies: dict[str, set[int]] = {}
    for article, group in zip(articles, bbc.article_groups(articles), strict=True):
        whole = "\n".join((article.headline, *article.paragraphs))
        for text in (article.headline, whole, *article.sentences, *bbc._halves(article.sentences)):
            bodies.setdefault(normalised(text), set()).add(group)

    def groups(texts) -> set[int]:
        return set().union(*(bodies[normalised(text)] for text in texts))

    for fold in fold_tasks(task, TaskConfig(name=name), 3):
        assert 1_300 < len(fold.transfer) < 2_200  # three fifths of what there is
        outside = groups(fold.test["text"]) | groups(fold.validation["text"])
        assert not outside & groups(fold.transfer["text"])
        assert not outside & groups(fold.train["text"])


def test_fewer_texts_in_a_class_than_folds_is_said(tiny_task: Task) -> None:
    with pytest.raises(DataError) as caught:
        fold_tasks(tiny_task, TaskConfig(name="own.csv"), 13)
    assert str(caught.value) == (
        "The class 'sport' has 12 different training texts, and each of 13 folds needs one: "
        "choose 12 folds, or add texts."
    )


def test_a_metric_that_a_fold_cannot_judge_by_is_refused_before_anything_is_trained(
    search_config, counted, tmp_path
) -> None:
    """Of four texts of a class at most three train, one or two in a fold, which leaves none to validate."""
    file = tmp_path / "own.csv"
    rows = [f"text number {i},{('ham', 'spam')[i % 2]}" for i in range(60)]
    file.write_text("\n".join(["text,label", *rows, *(f"rare {i},rare" for i in range(4))]))
    own = {"task.name": str(file), "task.test_file": None, "task.transfer_file": None}
    distill = search_config.distill.change(own | {"training.metric": "f1:rare"})
    with pytest.raises(ConfigError, match=r"f1:rare: none of the \d+ validation texts is 'rare'"):
        run(search_config.model_copy(update={"distill": distill}))
    assert counted == []
