"""Whoever does not see a chart, a table or a picture is told what is in it: none is drawn without words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

SCRIPTS = sorted([ROOT / "app.py", *(ROOT / "pages").rglob("*.py")])
DRAWN = {
    "plotly_chart",
    "chart",
    "dataframe",
    "data_editor",
    "image",
    "pyplot",
    "altair_chart",
    "line_chart",
    "flow",
}


def drawn(script: Path) -> Iterator[tuple[str, int, ast.Call]]:
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in DRAWN:
                yield name, node.lineno, node


def test_there_is_something_drawn() -> None:
    found = [name for script in SCRIPTS for name, _, _ in drawn(script)]
    assert found.count("chart") > 20
    assert found.count("dataframe") > 10


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.relative_to(ROOT).as_posix())
def test_all_that_is_drawn_is_also_said(script: Path) -> None:
    dumb = [
        f"{name} in line {line}"
        for name, line, call in drawn(script)
        if not any(word.arg == "alt" for word in call.keywords)
    ]
    assert dumb == []


def test_each_chart_has_the_same_look() -> None:
    """``chart`` leaves fonts, colours and the toolbar to the figure; Streamlit's own chart is not used."""
    direct = [script.name for script in SCRIPTS if "plotly_chart" in {name for name, *_ in drawn(script)}]
    assert direct == []
