"""Packages that bring data are located, and not run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kd_core.system.packages import package_folder


def package(folder: Path) -> Path:
    made = folder / "brings_data"
    made.mkdir()
    (made / "__init__.py").write_text("raise SystemExit('it was run')", encoding="utf-8")
    return made


def test_one_is_found_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert package_folder("brings_data") is None
    made = package(tmp_path)
    sys.path_importer_cache.pop(str(tmp_path), None)
    assert package_folder("brings_data") == made


def test_one_is_found_while_another_thread_changes_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaves:
        def find_spec(self, name: str, target: object = None) -> None:
            sys.path.remove("leaves")

    made = package(tmp_path)
    monkeypatch.setattr(sys, "path", ["leaves", str(tmp_path), *sys.path])
    monkeypatch.setitem(sys.path_importer_cache, "leaves", Leaves())
    assert package_folder("brings_data") == made
