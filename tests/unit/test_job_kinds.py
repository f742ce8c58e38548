"""What each kind of job does: here, what it says of a config that it cannot use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kd_core.distillation.events import ignore
from kd_core.errors import ConfigError
from kd_core.job_kinds import HANDLERS
from kd_core.system.control import Control


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_stored_config_that_is_not_legal_is_a_sentence(kind: str) -> None:
    row = cast(Any, SimpleNamespace(id="20260131-143000-a1b2", config={"run": "x", "more": 1}))
    with pytest.raises(ConfigError, match=r"\bmore is not a setting; choose from "):
        HANDLERS[kind](row, ignore, Control())
