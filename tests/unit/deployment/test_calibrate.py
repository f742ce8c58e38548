"""A temperature in the files of a model: every program that loads them divides the logits by it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from kd_core import distill
from kd_core.deployment import forms
from kd_core.deployment.calibrate import scale_model, scale_onnx
from tests.unit.conftest import FAMILIES

T = 1.7
IDS = {"input_ids": np.array([[2, 7, 8, 9, 3]]), "attention_mask": np.ones((1, 5), np.int64)}


def answers(folder: Path) -> np.ndarray:
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).eval()
    with torch.inference_mode():
        return model(**{name: torch.from_numpy(value) for name, value in IDS.items()}).logits.numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_layer_of_each_family(family, tiny_teacher, tmp_path) -> None:
    tiny_teacher(family).save_pretrained(tmp_path)
    before = answers(tmp_path)
    scale_model(tmp_path, T)
    np.testing.assert_allclose(answers(tmp_path), before / T, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", ["bilstm", "cnn", "static"])
def test_no_transformer_and_its_onnx_forms(kd_home, short_config, tmp_path, model) -> None:
    report = distill(short_config.change({"student.model": model}))
    folder = tmp_path / "model"
    shutil.copytree(Path(report.folder) / "students" / "student-0", folder)
    before = answers(folder)
    scale_model(folder, T)
    np.testing.assert_allclose(answers(folder), before / T, rtol=1e-5, atol=1e-7)
    for runtime in ("onnx", "int8"):
        file = tmp_path / f"{runtime}.onnx"
        shutil.copyfile(forms.open_form(report.run_id, "student", runtime).path, file)
        plain, scaled = (run(file) for file in (file, _scaled(file, tmp_path / f"{runtime}-scaled.onnx")))
        np.testing.assert_allclose(scaled, plain / T, rtol=1e-5, atol=1e-7)


def _scaled(file: Path, to: Path) -> Path:
    shutil.copyfile(file, to)
    scale_onnx(to, T)
    return to


def run(file: Path) -> np.ndarray:
    return onnxruntime.InferenceSession(str(file)).run(["logits"], IDS)[0]
