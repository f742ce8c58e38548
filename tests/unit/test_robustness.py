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
        place = ROOT / "tests" / (file if file.startswith(("ui/", "e2e/")) else f"unit/{file}")
        if not place.is_file() or (name and f"def {name}(" not in place.read_text(encoding="utf-8")):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_its_lines_are_numbered() -> None:
    text = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"(?m)^\| (\d+) \|", text)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 57
    assert len(numbers) == len(re.findall(r"(?m)^\| (?!#)", text))
