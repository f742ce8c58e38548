"""Shared by the tests of what is recorded."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import kd_core


@pytest.fixture
def record() -> ModuleType:
    """``assets/record.py``."""
    file = Path(kd_core.__file__).parents[1] / "assets" / "record.py"
    spec = spec_from_file_location("record", file)
    assert spec
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
