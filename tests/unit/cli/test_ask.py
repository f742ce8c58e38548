"""``kd ask`` and ``kd suspects``: where they write."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kd_core import cli

pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.mark.parametrize(
    "arguments",
    [["suspects", "run"], ["suspects", "run", "--marks", "m.csv"], ["ask", "run", "pool.csv"]],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_place_that_takes_no_file_is_said_before_anything_is_computed(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kd_core.deployment import ask

    monkeypatch.setattr(sys.modules["kd_core.cli.ask"], "find_finished", lambda run: run)
    for name in ("suspects", "unanswered"):
        monkeypatch.setattr(ask, name, lambda *_: pytest.fail("it began"))
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "x")
    assert cli.main([*arguments, "--to", place]) == 2
    assert f"--to {place} cannot be written: Not a directory." in capsys.readouterr().err
    filled_in = tmp_path / "marks.csv"
    filled_in.write_text("text,mark\na,drop\n")
    assert cli.main([*arguments, "--to", str(filled_in)]) == 2
    assert f"--to {filled_in} exists already; choose a new " in capsys.readouterr().err
    assert filled_in.read_text() == "text,mark\na,drop\n"
