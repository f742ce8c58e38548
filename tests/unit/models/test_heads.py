"""The head of a teacher: kept, reordered, replaced or refused."""

from dataclasses import replace

import pytest
import torch
from transformers import CamembertConfig, XLMRobertaConfig, XLNetConfig

from kd_core.config import TeacherConfig
from kd_core.errors import ModelError
from kd_core.models.loading import load_teacher, new_model, output_layer, teacher_config
from tests.unit.conftest import LABELS
from tests.unit.models.folders import change_config, load


def test_head_of_the_same_labels(folder, tiny_teacher, tiny_task):
    model, _ = load(folder, tiny_task)
    assert torch.equal(model.classifier.weight, tiny_teacher("bert").classifier.weight)


def test_labels_are_mapped_by_name(folder, tiny_teacher, tiny_task):
    turned = replace(tiny_task, labels=(LABELS[2], LABELS[0], LABELS[1], LABELS[4], LABELS[3]))
    model, _ = load(folder, turned)
    original = tiny_teacher("bert").classifier
    assert torch.equal(model.classifier.weight, original.weight[[2, 0, 1, 4, 3]])
    assert torch.equal(model.classifier.bias, original.bias[[2, 0, 1, 4, 3]])
    assert [model.config.id2label[i] for i in range(5)] == list(turned.labels)


def test_integer_labels(folder, tiny_teacher, tiny_task):
    change_config(folder, id2label={str(i): i for i in range(5)}, label2id={str(i): i for i in range(5)})
    model, _ = load(folder, replace(tiny_task, labels=("1", "0", "2", "3", "4")))
    assert torch.equal(model.classifier.weight, tiny_teacher("bert").classifier.weight[[1, 0, 2, 3, 4]])
    notes = []
    load_teacher(TeacherConfig(model=str(folder)), tiny_task, notes)
    assert notes[0].startswith(f"{folder.name} is a classifier of 5 other labels (0, 1, 2, 3, 4). Its head")


@pytest.mark.parametrize("labels", [("a", "b", "c", "d", "e"), ("a", "b"), (*LABELS, "more")])
def test_other_labels_get_a_new_head(folder, tiny_teacher, tiny_task, labels):
    task = replace(tiny_task, labels=labels)
    model, _ = load(folder, task)
    original = tiny_teacher("bert")
    assert model.classifier.weight.shape == (len(labels), 32)
    assert model.config.num_labels == len(labels)
    assert not (model.classifier.weight[:2] == original.classifier.weight[:2]).any()
    assert torch.equal(model.bert.pooler.dense.weight, original.bert.pooler.dense.weight)
    assert torch.equal(load(folder, task)[0].classifier.weight, model.classifier.weight)
    assert not torch.equal(load(folder, task, seed=1)[0].classifier.weight, model.classifier.weight)


@pytest.mark.parametrize("kind", [XLMRobertaConfig, CamembertConfig])
def test_heads_of_roberta_relatives(kind, tiny_teacher, tiny_tokenizer, tiny_task, tmp_path):
    sizes = tiny_teacher("roberta").config.to_dict()
    del sizes["model_type"]
    original = new_model(kind(**sizes), seed=0)
    original.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)

    new, _ = load(tmp_path, replace(tiny_task, labels=("a", "b")))
    assert output_layer(new)[0] == "classifier.out_proj"
    for name, weight in original.roberta.state_dict().items():
        assert torch.equal(new.roberta.state_dict()[name], weight), name

    turned = replace(tiny_task, labels=LABELS[::-1])
    assert torch.equal(
        load(tmp_path, turned)[0].classifier.out_proj.weight, original.classifier.out_proj.weight.flip(0)
    )


def test_a_head_that_reads_the_last_token_is_refused(folder, tiny_task):
    XLNetConfig().save_pretrained(folder)
    with pytest.raises(
        ModelError, match=r"is a xlnet, whose head reads the last token of a text; choose a model"
    ):
        load(folder, tiny_task)
    with pytest.raises(ModelError, match="reads the last token"):
        teacher_config(TeacherConfig(model=str(folder)), LABELS)


def test_a_replaced_head_is_reported(folder, tiny_task):
    notes: list[str] = []
    load_teacher(TeacherConfig(model=str(folder)), replace(tiny_task, labels=("a", "b", *LABELS[:3])), notes)
    assert notes == [
        f"{folder.name} is a classifier of 5 other labels (sport, politics, tech, film, money). Its head was "
        "replaced by one for the 5 of this task, which starts from nothing."
    ]
