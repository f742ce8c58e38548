"""Each test that docs/robustness.md names is there."""

from __future__ import annotations

import re

from tests import ROOT

NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


def test_the_table_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    named = [(file, name) for file, name in NAMED.findall(text) if not file.startswith("tests/")]
    assert len(named) > 70
    missing = []
    for file, name in named:
        place = ROOT / "tests" / (file if file.startswith("ui/") else f"unit/{file}")
        if not place.is_file() or (name and f"def {name}(" not in place.read_text(encoding="utf-8")):
            missing.append(f"{file}::{name}")
    assert missing == []
