"""The script that records the labs, on a tiny task."""

from __future__ import annotations

import json

import pytest

from kd_core.learn.lab_results import LabConfig
from kd_core.learn.lab_training import transfer_trainings


def test_an_interrupted_recording_continues(
    record, short_config, kd_home, tmp_path, monkeypatch, capsys
) -> None:
    assert short_config.task.max_length == "auto"  # the recording holds the resolved value
    monkeypatch.setattr(record, "FOLDER", tmp_path / "recorded")
    cells = transfer_trainings(LabConfig(distil=short_config, transfer=(0,), seeds=(0,)))

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as first:
        first.setattr(record.click, "echo", stop)
        with pytest.raises(KeyboardInterrupt):
            record._measure("transfer", cells, short_config)
    file = tmp_path / "recorded" / f"transfer-{record.TASK}.json"
    before = json.loads(file.read_text("utf-8"))["cells"]
    assert [cell["name"] for cell in before] == ["student alone"]

    record._measure("transfer", cells)
    assert capsys.readouterr().out.count(" %") == 2, "finished cells are not repeated"
    after = json.loads(file.read_text("utf-8"))["cells"]
    assert after[:1] == before
    assert [cell["name"] for cell in after] == ["student alone", "0 transfer texts", "random start"]
