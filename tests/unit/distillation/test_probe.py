"""Tests of a new head that starts as a logistic regression on what it reads."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from kd_core import distill
from kd_core.data.task import labelled
from kd_core.distillation import distil
from kd_core.distillation.events import Progress
from kd_core.distillation.probe import start_from_probe
from kd_core.distillation.training.fit import fit
from kd_core.errors import Stopped
from kd_core.models.inference import encode, predict_logits
from kd_core.models.loading import has_new_head, output_layer
from kd_core.system.control import Control
from tests.unit.conftest import FAMILIES


@pytest.fixture(scope="module")
def texts(tiny_tokenizer, tiny_task):
    return encode(tiny_tokenizer, tiny_task.train, 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_regression(family, tiny_teacher, texts, tiny_task):
    model = tiny_teacher(family).eval()
    labels = np.asarray(tiny_task.train["label"])
    before = copy.deepcopy(model.state_dict())
    name, head = output_layer(model)
    start_from_probe(model, texts, "fp32")
    assert output_layer(model) == (name, head)
    changed = {key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed == {f"{name}.weight", f"{name}.bias"}

    read = []
    hook = head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].detach().clone()))
    with torch.inference_mode():
        for ids in texts["input_ids"]:
            model(input_ids=torch.tensor([ids]))
    hook.remove()
    features = torch.cat(read).double().numpy()
    expected = LogisticRegression(max_iter=100).fit(features, labels)
    probabilities = torch.softmax(torch.tensor(predict_logits(model, texts)), dim=-1).numpy()
    assert probabilities == pytest.approx(expected.predict_proba(features), abs=0.02)


def test_each_of_two_classes_has_half_of_the_difference(tiny_teacher, tiny_tokenizer, tiny_task):
    rows = [i for i, label in enumerate(tiny_task.train["label"]) if label < 2]
    model = tiny_teacher("bert").eval()
    _, head = output_layer(model)
    others = head.weight.detach()[2:].clone()
    start_from_probe(model, encode(tiny_tokenizer, tiny_task.train.select(rows), 64), "fp32")
    assert torch.equal(head.weight[0], -head.weight[1])
    assert torch.equal(head.weight[2:], others), "a class without a text keeps its random weights"


def test_one_class_teaches_nothing(tiny_teacher, tiny_tokenizer):
    model = tiny_teacher("bert")
    before = copy.deepcopy(model.state_dict())
    start_from_probe(model, encode(tiny_tokenizer, labelled(["goal", "match"], [1, 1]), 64), "fp32")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_progress_and_stop(tiny_teacher, texts):
    model, control, told = tiny_teacher("bert").eval(), Control(), []
    start_from_probe(model, texts, "fp32", control, told.append)
    assert told[-1] == Progress("teach", "texts read for the new head", 60, 60)
    control.stop()
    with pytest.raises(Stopped):
        start_from_probe(model, texts, "fp32", control)
    assert isinstance(output_layer(model)[1], nn.Linear), "the head is in its place again"


def test_head_that_was_trained_is_not_new(tiny_teacher):
    model = tiny_teacher("bert")
    assert has_new_head(model)
    nn.init.ones_(output_layer(model)[1].bias)
    assert not has_new_head(model)


def test_students_of_many_classes_start_from_a_probe(kd_home, short_config, tmp_path, monkeypatch):
    """So does the student alone, whose start is not what distillation adds; a random start does not."""
    rows = "\n".join(f"film {i},kind {min(i % 24, 19)}" for i in range(96))  # one has more than the others
    (tmp_path / "kinds.csv").write_text(f"text,label\n{rows}\n")
    task = {"task.name": str(tmp_path / "kinds.csv"), "task.test_file": None, "task.transfer_file": None}
    begins: dict[str, bool] = {}

    def instead(run, recipe, model, *texts, **more):
        begins[recipe.who] = not has_new_head(model)
        return fit(run, recipe, model, *texts, **more)

    monkeypatch.setattr(distil, "fit", instead)
    controls = {"controls.plain_start": True}
    few = {"training.steps": 1, "teacher.epochs": 1, "teacher.batch_size": 64}
    distill(short_config.change({**task, **controls, **few, "student.model": "half"}))
    assert begins == {"student": True, "alone": True, "plain_start": False}
