"""Searches and ladders whose teacher is a file."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.errors import ConfigError, DataError
from kd_core.search import SearchConfig, run_search
from kd_core.search.folds import fold_tasks
from kd_core.search.ladder import LadderConfig
from kd_core.system.control import Control


@pytest.fixture
def config(tiny_config, tmp_path):
    """40 rows in two classes, half of them with a gold label."""
    lines = ["text,label,new,old"]
    for i in range(40):
        lines.append(
            f"text number {i},{('new', 'old')[i % 2] if i < 20 else ''},{('0.9,0.1', '0.2,0.8')[i % 2]}"
        )
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    changes = {
        "task.knowledge": str(tmp_path / "answers.csv"),
        "task.test_file": None,
        "task.transfer_file": None,
    }
    return tiny_config.change(changes)


def test_folds_keep_the_answers(config):
    task = load_task(config.task)
    for fold in fold_tasks(task, config.task, 2):
        assert fold.answers is task.answers
        chosen = fold.answers.of(fold.test["text"]).argmax(axis=1)
        assert np.array_equal(chosen, fold.test["label"])


def test_a_search_needs_gold_labels_in_the_rows(config, kd_home):
    nobodys = config.change({"task.gold": "none"})
    with pytest.raises(DataError, match=r"from gold labels, and none of the rows of .*answers.csv has one"):
        run_search(SearchConfig(distill=nobodys, folds=2), "search", kd_home / "work", print, Control())


def test_a_ladder_needs_a_teacher_that_is_a_network():
    distill = DistillConfig().change({"task.knowledge": "answers.csv"})
    with pytest.raises(ConfigError, match=r"distill learns from a file of answers \(answers.csv\)"):
        LadderConfig.from_dict({"distill": distill.model_dump(mode="json")})
