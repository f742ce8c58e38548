"""A file of answers, class weights and a metric: kept by a resumed run, by an export, and by a search."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.deployment.export import ExportConfig, export_run
from kd_core.distillation.events import Step
from kd_core.distillation.reproduce import without_places
from kd_core.errors import Stopped
from kd_core.search import SearchConfig, run_search, worker
from kd_core.system.control import Control
from tests import ROOT

OF_THE_RUN = {"objective.class_weights": "rare=3", "training.metric": "f1:rare", "task.answers": "logits"}


@pytest.fixture
def config(short_config, tmp_path) -> DistillConfig:
    """80 texts with a gold label and logits; one in ten is rare."""
    lines = ["text,gold,common,rare"]
    for i in range(80):
        rare = i % 10 == 0
        word = "odd" if rare else "usual"
        lines.append(
            f"{word} text number {i},{'rare' if rare else 'common'},{-2 if rare else 2},{i % 7 / 10}"
        )
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    changes = {"task.knowledge": str(tmp_path / "answers.csv"), "task.test_file": None}
    return short_config.change(changes | {"task.transfer_file": None} | OF_THE_RUN)


def kept(config: dict) -> dict:
    return {place: config[place.split(".")[0]][place.split(".")[1]] for place in OF_THE_RUN}


def test_a_stopped_run_goes_on_with_them(config, kd_home):
    control, run_id = Control(), "20260131-143000-a1b2"

    def stop(event) -> None:
        if isinstance(event, Step) and event.who == "student":
            control.stop()

    with pytest.raises(Stopped):
        distill(config, stop, control, run_id=run_id)
    report = distill(config, run_id=run_id)
    assert kept(report.config) == OF_THE_RUN
    assert report.teacher_is_file
    whole = distill(config)
    assert report.student.seeds == whole.student.seeds


def test_an_export_reproduces_its_numbers_and_names_no_place(config, kd_home, tmp_path):
    report = distill(config)
    folder = tmp_path / "bundle"
    export_run(ExportConfig(run=report.run_id, to=str(folder), agree=60))
    assert str(tmp_path) not in (folder / "config.yaml").read_text()
    assert kept(DistillConfig.from_file(folder / "config.yaml").model_dump(mode="json")) == OF_THE_RUN
    files = json.loads((folder / "report.json").read_text())["files"]
    assert set(files) == {"bring/answers.csv", "bring/bert"}
    (folder / "bring").mkdir()
    (folder / "bring" / "answers.csv").symlink_to(tmp_path / "answers.csv")
    (folder / "bring" / "bert").symlink_to(config.teacher.model)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KD_HOME": str(tmp_path / "another-home")}
    done = subprocess.run(
        [sys.executable, str(folder / "reproduce.py")], capture_output=True, text=True, env=environment
    )
    assert done.stdout.splitlines()[-1] == "The same numbers.", done.stderr
    # The teacher stays a file: the program names the texts to send to it.
    program = (folder / "cascade.py").read_text()
    assert "ask the teacher:" in program
    assert not (folder / "teacher").exists()
    assert len(program.splitlines()) <= 10


def test_a_link_to_others_names_no_folder(config):
    shown = without_places(config.model_dump(mode="json"))["task"]
    assert (shown["knowledge"], shown["name"]) == ("answers.csv", "answers.csv")


def test_a_search_judges_by_the_metric(config, kd_home, monkeypatch):
    """Nobody ever answers rare, which is right in nine cases of ten: a macro-F1 of (18/19 + 0) / 2."""

    def common(model, encoded, **_):
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(encoded), 1))

    monkeypatch.setattr(worker, "predict_logits", common)
    asked = config.change({"training.metric": "auto", "training.steps": 1, "training.evaluate_every": 1})
    search = SearchConfig(distill=asked, temperatures=(2.0,), alphas=(0.5,), folds=2, workers=1)
    found = run_search(search, "rare", Path(kd_home) / "work", control=Control())
    assert found.metric == "macro_f1"
    assert found.cells[0].mean == pytest.approx(18 / 19 / 2, abs=0.01)
    assert found.config.distill.training.metric == "auto"  # as it was asked for
    chosen = found.chosen()
    assert chosen is not None
    assert chosen.objective.class_weights == "rare=3"
