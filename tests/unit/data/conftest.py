"""What the tests of files share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.data.task import Task


@pytest.fixture
def films(tmp_path):
    return tmp_path / "films.csv"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Task]:
    """``load("text,new,old", rows)`` or a list of rows: a file of answers, as a task."""

    def make(
        header: str, rows: Sequence[Sequence[object]], test: Sequence[Sequence[object]] = (), **settings
    ):
        for name, lines in (("answers", rows), ("test", test)):
            text = "\n".join([header, *(",".join(map(str, row)) for row in lines)])
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        if test:
            settings["test_file"] = str(tmp_path / "test.csv")
        values = {"knowledge": str(tmp_path / "answers.csv"), **settings}
        return load_task(DistillConfig.from_dict({"task": values}).task)

    return make
