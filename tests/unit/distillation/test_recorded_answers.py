"""What a teacher once said of a task's texts."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.distillation.recorded_answers import recorded_answers


@pytest.fixture
def at_home(finished_run, tmp_path, monkeypatch):
    """The run in a copy of its ``KD_HOME``, to be damaged."""
    shutil.copytree(finished_run.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_answers_of_a_run_are_found_again_by_its_task(finished_run, at_home):
    report = finished_run.report
    config = DistillConfig.from_dict(report.config).task
    task = load_task(config)
    rows = len(task.train) + len(task.transfer)
    runs = [("20200101-000000-0000", report.config), (report.run_id, report.config)]
    asked = config.model_copy(update={"max_length": "auto"})  # as a page has it; the run's is resolved
    found = recorded_answers(asked, rows, runs)
    assert found is not None
    assert found.run_id == report.run_id
    assert found.logits.shape == (rows, len(task.labels))
    place = at_home / "cache" / "teachers" / report.teacher_key
    teacher = AutoModelForSequenceClassification.from_pretrained(place, use_safetensors=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    with torch.no_grad():
        texts = tokenizer(task.train["text"][:5], padding=True, return_tensors="pt")
        np.testing.assert_allclose(found.logits[:5], teacher(**texts).logits.numpy(), atol=0.02)

    # The last ones may be spans of the texts, as many as another run's settings say.
    less = recorded_answers(asked.model_copy(update={"augment": 8}), rows - 5, runs)
    assert less is not None
    assert np.array_equal(less.logits, found.logits[: rows - 5])

    other = config.model_copy(update={"split_seed": config.split_seed + 1})
    assert recorded_answers(other, rows, runs) is None
    assert recorded_answers(asked, rows + 1, runs) is None
    shutil.rmtree(at_home / "cache" / "knowledge")
    assert recorded_answers(asked, rows, runs) is None
