"""``kd clean``: what it would free, and frees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kd_core.cli import main

pytestmark = pytest.mark.usefixtures("own_environment")


def test_clean(capsys: pytest.CaptureFixture[str], kd_home: Path) -> None:
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == f"{kd_home}\nNothing takes space yet.\n"
    place = kd_home / "cache" / "plain_start" / "abc"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(bytes(2_500_000))
    assert main(["clean", "--dry-run"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[2:] == ["Students alone, random start 1 2.5 MB 2.5 MB", "", "kd clean would free 2.5 MB."]
    assert place.is_dir()
    assert main(["clean", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["freed_bytes"], found["items"][0]["path"]) == (2_500_000, str(place))
    assert not place.exists()
