from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from kd_core.config import TaskConfig
from kd_core.data import bbc, load_task, spans
from kd_core.data.splits import normalised
from kd_core.data.task import Task, labelled, unlabelled
from kd_core.errors import ConfigError, DataError
from kd_core.search import SearchConfig
from kd_core.search.folds import fold_tasks
from kd_core.search.worker import with_spans
from tests.unit.search.conftest import run

OWN = TaskConfig(name="own.csv")


def task_of(texts: list[str], labels: list[int], transfer: list[str] | None = None) -> Task:
    empty = labelled([], [])
    return Task("t", ("x", "y"), labelled(texts, labels), empty, empty, unlabelled(transfer or []))


def test_held_out_parts_are_the_training_data_with_every_class(tiny_task: Task) -> None:
    folds = fold_tasks(tiny_task, OWN, 3)
    held_out = list(chain.from_iterable(fold.test["text"] for fold in folds))
    assert sorted(held_out) == sorted(tiny_task.train["text"])
    assert [len(fold.test) for fold in folds] == [20, 20, 20]
    for fold in folds:
        for split in (fold.train, fold.validation, fold.test):
            assert set(split["label"]) == set(range(5))
        parts = [set(split["text"]) for split in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 60


def test_texts_that_differ_only_in_case_and_space_stay_together() -> None:
    texts = [f"text {i // 2} " + ("A" if i % 2 else "a ") for i in range(24)]
    task = task_of(texts, [i // 12 for i in range(24)], ["TEXT 3 a", "another"])
    for fold in fold_tasks(task, OWN, 3):
        parts = [{normalised(t) for t in split["text"]} for split in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == 12
        assert ("TEXT 3 a" in fold.transfer["text"]) == ("text 3 a" in parts[0])
        assert "another" in fold.transfer["text"]


def test_transfer_texts_of_a_fold_are_from_its_training_articles() -> None:
    config = TaskConfig(name="bbc-headlines", transfer_texts=3_000)
    articles = bbc.read_corpus(bbc.corpus_folder())
    bodies: dict[str, set[int]] = {}
    for article, group in zip(articles, bbc.article_groups(articles), strict=True):
        for text in (article.headline, *article.sentences):
            bodies.setdefault(normalised(text), set()).add(group)

    def groups(texts) -> set[int]:
        return set().union(*(bodies[normalised(text)] for text in texts))

    for fold in fold_tasks(load_task(config), config, 2):
        assert 1_000 < len(fold.transfer) < 1_700  # nine twentieths of what there is
        outside = groups(fold.test["text"]) | groups(fold.validation["text"])
        assert not outside & groups(fold.transfer["text"])
        assert not outside & groups(fold.train["text"])


OF_X = "The class 'x' has 12 different training texts,"
OF_Y = "The class 'y' has 1 different training text,"
NOTHING = "nothing is left to validate on. Add texts of each class."


@pytest.mark.parametrize(
    ("labels", "folds", "problem"),
    [
        ([0] * 12 + [1] * 13, 13, f"{OF_X} and each of 13 folds needs one: choose 12 folds, or add texts."),
        ([0] * 5 + [1], 2, f"{OF_Y} and each of 2 folds needs one: add texts."),
        ([0, 0, 1, 1], 2, f"4 training texts are too few for 2 folds: {NOTHING}"),
    ],
)
def test_too_few_texts(labels: list[int], folds: int, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        fold_tasks(task_of([f"text {i}" for i in range(len(labels))], labels), OWN, folds)
    assert str(caught.value) == problem


def test_folds_have_as_many_spans_as_the_final_run(
    tiny_task: Task, search_config: SearchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold has fewer texts than the whole, for which "auto" would choose other spans."""
    task = replace(tiny_task, transfer=unlabelled([]))
    changes = {"task.transfer_texts": 400, "task.augment": "auto"}
    config = search_config.model_copy(update={"distill": search_config.distill.change(changes)})
    monkeypatch.setattr(spans, "FEW", 60)
    assert [len(fold.transfer) for fold in with_spans(task, config)] == [0, 0]
    monkeypatch.setattr(spans, "FEW", 61)
    # 400 over 60 texts; over a fold's 24 training texts it would be 8.
    assert spans.spans_per_text(task, config.distill.task) == 6
    for fold in with_spans(task, config):
        assert 0 < len(fold.transfer) <= 6 * len(fold.train)


def test_metric_that_a_fold_cannot_judge_by(search_config, own_database, counted, tmp_path) -> None:
    """Of four texts of a class a fold has one or two to train, and none to validate."""
    file = tmp_path / "own.csv"
    rows = [f"text number {i},{('ham', 'spam')[i % 2]}" for i in range(60)]
    file.write_text("\n".join(["text,label", *rows, *(f"rare {i},rare" for i in range(4))]))
    own = {"task.name": str(file), "task.test_file": None, "task.transfer_file": None}
    distill = search_config.distill.change(own | {"training.metric": "f1:rare"})
    with pytest.raises(ConfigError, match=r"f1:rare: none of the \d+ validation texts is 'rare'"):
        run(search_config.model_copy(update={"distill": distill}))
    assert counted == []


def test_folds_of_recorded_answers(search_config, own_database, tmp_path) -> None:
    """Each fold keeps the answers; without gold labels there is no search."""
    rows = ["text,label,new,old"]
    for i in range(40):
        gold = ("new", "old")[i % 2] if i < 20 else ""
        rows.append(f"text number {i},{gold},{('0.9,0.1', '0.2,0.8')[i % 2]}")
    (tmp_path / "answers.csv").write_text("\n".join(rows))
    answers = {"task.knowledge": str(tmp_path / "answers.csv")}
    distill = search_config.distill.change(answers | {"task.test_file": None, "task.transfer_file": None})
    task = load_task(distill.task)
    for fold in fold_tasks(task, distill.task, 2):
        assert fold.answers is task.answers
        assert np.array_equal(fold.answers.of(fold.test["text"]).argmax(axis=1), fold.test["label"])
    without = search_config.model_copy(update={"distill": distill.change({"task.gold": "none"})})
    with pytest.raises(DataError, match=r"from gold labels, and none of the rows of .*answers.csv has one"):
        run(without)
