"""Packages with data are located without being imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kd_core.system.packages import package_folder


def package(folder: Path) -> Path:
    made = folder / "brings_data"
    made.mkdir()
    (made / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    return made


def test_a_package_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert package_folder("brings_data") is None
    made = package(tmp_path)
    sys.path_importer_cache.pop(str(tmp_path), None)
    assert package_folder("brings_data") == made
