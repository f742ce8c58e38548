"""Teachers whose head also reads the mean over the text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from kd_core.config import DistillConfig, StudentConfig, TeacherConfig
from kd_core.data.task import labelled
from kd_core.deployment.onnx import open_session, to_onnx
from kd_core.distillation.pipeline import distill
from kd_core.errors import ModelError
from kd_core.models.loading import load_teacher, teacher_config
from kd_core.models.pooled import PooledBertForSequenceClassification, pooled
from kd_core.models.size import model_size, student_config
from kd_core.models.students import build_student, resolve_init

FEW, MANY = ["a", "b"], [f"class {i:02}" for i in range(20)]


def build() -> PooledBertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    return PooledBertForSequenceClassification(pooled(config)).eval()


def test_head_by_hand() -> None:
    model = build()
    ids = torch.tensor([[1, 5, 6, 2, 0], [1, 7, 8, 9, 2]])
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    with torch.no_grad():
        read = model.bert(ids, attention_mask=mask)
        means = [read.last_hidden_state[0, :4].mean(dim=0), read.last_hidden_state[1].mean(dim=0)]
        expected = model.classifier(torch.cat([torch.stack(means), read.pooler_output], dim=1))
        output = model(ids, attention_mask=mask, labels=torch.tensor([0, 2]))
        torch.testing.assert_close(output.logits, expected)
        loss = -torch.log_softmax(expected, dim=1)[[0, 1], [0, 2]].mean()
        torch.testing.assert_close(output.loss, loss)
        # Padding, however much, changes nothing; without a mask all tokens count.
        torch.testing.assert_close(model(ids[:1, :4]).logits, output.logits[:1])


@pytest.mark.slow
def test_saved_loaded_and_converted(tmp_path) -> None:
    model, ids = build(), torch.tensor([[1, 5, 6, 2]])
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert isinstance(again, PooledBertForSequenceClassification)
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits)
    to_onnx(model, tmp_path / "model.onnx")
    fed = {"input_ids": ids.numpy(), "attention_mask": np.ones((1, 4), dtype=np.int64)}
    (logits,) = open_session(tmp_path / "model.onnx", 1).run(None, fed)
    np.testing.assert_allclose(logits, model(ids).logits.detach(), atol=1e-5)


def kind(labels: list[str], **teacher: str) -> str:
    return teacher_config(TeacherConfig(**teacher), labels).model_type


def test_pooling_of_the_bundled_teacher() -> None:
    assert (kind(FEW), kind(MANY)) == ("bert", "kd_pooled_bert")
    assert (kind(FEW, pooling="mean"), kind(MANY, pooling="first")) == ("kd_pooled_bert", "bert")
    for texts, found in ((399, "kd_pooled_bert"), (400, "bert")):
        assert teacher_config(TeacherConfig(), FEW, texts=texts).model_type == found
    for config in (TeacherConfig(pooling="first"), TeacherConfig(model="e5-small")):  # which is deep
        assert teacher_config(config, FEW, texts=399).model_type == "bert"


def test_default_label_names(tiny_task) -> None:
    """LABEL_0 and LABEL_1 do not identify the head of a trained classifier."""
    task = replace(tiny_task, labels=("LABEL_0", "LABEL_1"))
    model, _ = load_teacher(TeacherConfig(model="minilm-l3", pooling="mean"), task)
    assert model.config.model_type == kind([*task.labels], pooling="mean") == "kd_pooled_bert"


def test_pooling_depends_on_the_number_of_texts(tiny_task) -> None:
    texts = [f"text {number}" for number in range(400)]
    for rows, found in ((399, "kd_pooled_bert"), (400, "bert")):
        task = replace(tiny_task, train=labelled(texts[:rows], [0] * rows))
        model, _ = load_teacher(TeacherConfig(model="minilm-l3"), task)
        assert model.config.model_type == found


def test_pooling_of_a_sentence_transformer(teacher_folder, tmp_path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(teacher_folder("bert"))
    model.save_pretrained(tmp_path)
    assert kind(MANY, model=str(tmp_path)) == "bert"
    (tmp_path / "1_Pooling").mkdir()
    told = tmp_path / "1_Pooling" / "config.json"
    for says, found in ((True, "kd_pooled_bert"), (False, "bert")):
        told.write_text(json.dumps({"pooling_mode_mean_tokens": says}))
        assert kind(MANY, model=str(tmp_path)) == found
    told.write_text("[")
    assert kind(MANY, model=str(tmp_path)) == "bert"


def test_pooling_of_classifiers_and_other_families(teacher_folder, tiny_task) -> None:
    model, _ = load_teacher(TeacherConfig(model=teacher_folder("bert"), pooling="mean"), tiny_task)
    assert model.config.model_type == "bert"
    with pytest.raises(ModelError, match=r"--teacher-pooling mean is there for BERT alone, .* distilbert"):
        kind(FEW, model=teacher_folder("distilbert"), pooling="mean")


def test_a_pooled_teacher_for_another_task(tiny_task, tmp_path) -> None:
    original, tokenizer = load_teacher(TeacherConfig(model="minilm-l3", pooling="mean"), tiny_task)
    original.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for pooling, found in (("auto", "kd_pooled_bert"), ("mean", "kd_pooled_bert"), ("first", "bert")):
        asked = TeacherConfig(model=str(tmp_path), pooling=pooling)
        model, _ = load_teacher(asked, replace(tiny_task, labels=("a", "b")))
        assert model.config.model_type == kind(FEW, model=str(tmp_path), pooling=pooling) == found
        assert model.classifier.in_features == {"bert": 384, "kd_pooled_bert": 768}[found]
        mine, its = (one.bert.encoder.layer[2].output.dense.weight for one in (model, original))
        assert torch.equal(mine, its)


@pytest.mark.parametrize(
    ("student", "init"), [("half", "teacher_layers"), ("tiny", "teacher_vectors"), ("cnn", "teacher_vectors")]
)
def test_students_of_a_pooled_teacher(student, init) -> None:
    first, mean = (teacher_config(TeacherConfig(pooling=pooling), FEW) for pooling in ("first", "mean"))
    config = StudentConfig(model=student)
    its, others = student_config(config, mean, 1_000), student_config(config, first, 1_000)
    assert (its.model_type, model_size(its).params) == (others.model_type, model_size(others).params)
    assert resolve_init(config, mean) == init


def test_half_of_a_pooled_teacher(tiny_task) -> None:
    teacher, tokenizer = load_teacher(TeacherConfig(model="minilm-l3", pooling="mean"), tiny_task)
    student, _ = build_student(StudentConfig(model="half"), teacher, tokenizer, tiny_task, 0)
    assert student.config.model_type == "bert"
    mine, its = (model.bert.encoder.layer[0].output.dense.weight for model in (student, teacher))
    assert torch.equal(mine, its)


@pytest.mark.slow
def test_a_run_with_a_pooled_teacher(tiny_config, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    rows = [f"{'Good' if i % 2 else 'Bad'} film {i},{'pos' if i % 2 else 'neg'}" for i in range(60)]
    file = tmp_path / "films.csv"
    file.write_text("\n".join(["text,label", *rows]))
    films = {"task.name": str(file), "task.test_file": None, "task.transfer_file": None}
    report = distill(tiny_config.change({**films, "teacher.pooling": "mean"}))
    assert report.config["teacher"]["pooling"] == "mean"
    # The resolved config makes the same teacher again, from the cache.
    again = distill(DistillConfig.from_dict(report.config))
    assert again.cached["teach"]
    assert again.teacher.accuracy == report.teacher.accuracy
