"""What each kind of job does: what it says of a config that it cannot use, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kd_core.distillation.events import ignore
from kd_core.errors import ConfigError, Stopped
from kd_core.job_kinds import HANDLERS
from kd_core.jobs.store import Store
from kd_core.learn import lab_training
from kd_core.learn.lab_results import LabConfig
from kd_core.system.control import Control


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_stored_config_that_is_not_legal_is_a_sentence(kind: str) -> None:
    row = cast(Any, SimpleNamespace(id="20260131-143000-a1b2", config={"run": "x", "more": 1}))
    with pytest.raises(ConfigError, match=r"\bmore is not a setting; choose from "):
        HANDLERS[kind](row, ignore, Control())


def test_a_lab_that_is_stopped_leaves_no_database_open(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Stopped("Somebody has stopped it.")

    closed, close = [], Store.close
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setattr(lab_training, "run_lab", stop)
    monkeypatch.setattr(Store, "close", lambda store: closed.append(close(store)))
    row = cast(Any, SimpleNamespace(id="a-lab", config=LabConfig().model_dump(mode="json"), owner=None))
    with pytest.raises(Stopped):
        HANDLERS["lab"](row, ignore, Control())
    assert len(closed) == 1
