"""What the tests of files share."""

from __future__ import annotations

import pytest


@pytest.fixture
def films(tmp_path):
    return tmp_path / "films.csv"
