"""``kd tasks`` and ``kd models``: what there is to choose from."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import dataclass
from typing import Any

import pytest

from kd_core.cli import main

pytestmark = pytest.mark.usefixtures("own_environment")


@dataclass(frozen=True)
class FakePreset:
    name: str = "tiny"
    description: str = "Two [small] layers"
    layers: int | None = 2
    hidden: int | None = None
    heads: int | None = 2
    intermediate: int | None = None
    source: str = "built"
    hub_id: str | None = None


def use_module(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    for key, value in content.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_tasks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_module(monkeypatch, "kd_core.data.bundled", TASKS={"news": "News [5 topics]"})
    assert main(["tasks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "news", "description": "News [5 topics]"}]
    assert main(["tasks"]) == 0
    assert "\nnews  News [5 topics]" in capsys.readouterr().out


def test_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    presets = {"tiny": FakePreset()}
    use_module(monkeypatch, "kd_core.models.presets", TEACHERS={}, STUDENTS=presets)
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["teachers"] == []
    assert [(preset["name"], preset["layers"], preset["hidden"]) for preset in listed["students"]] == [
        ("tiny", 2, None)
    ]
    assert main(["models"]) == 0
    assert capsys.readouterr().out.rstrip().splitlines()[-1].split(maxsplit=4)[3:] == [
        "built",
        "Two [small] layers",
    ]
