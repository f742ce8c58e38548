from __future__ import annotations

import json

import pytest

from tests import SAMPLES


@pytest.fixture
def report() -> dict:
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))
