"""The suite's bench keeps what it has measured. Its numbers are in docs/quality.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import bench_quality


def test_what_was_measured_before_it_was_ended_is_not_measured_again(
    kd_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, Any]] = []

    def measure(changes: dict[str, Any], seed: int) -> dict[str, Any]:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append((seed, changes["student.model"]))
        right = {"floor": "1100", "alone": "1010", "student": "1110", "teacher": "1111"}
        return {"seconds": 4.0 + seed, "params": 2_650_000, "size_mb": 10.6, "right": right}

    monkeypatch.setattr(bench_quality, "measure", measure)
    call = ["bench_quality", "--task", "headlines", "--seeds", "3", "--name", "small", "student.model=tiny"]
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(KeyboardInterrupt):
        bench_quality.main()
    assert asked == [(0, "tiny"), (1, "tiny")]
    asked.clear()
    bench_quality.main()
    assert asked == [(2, "tiny")]
    rows = [json.loads(line) for line in (kd_home / "quality.jsonl").read_text().splitlines()]
    assert [(row["name"], row["task"], row["seed"]) for row in rows] == [
        ("small", "headlines", seed) for seed in range(3)
    ]
    said = capsys.readouterr().out
    assert " floor 50.0 alone 50.0 student 75.0 teacher 100.0  keeps 75 %  5 s  2.65 M" in said
    assert "over itself alone +25.0 [" in said
