"""Teachers by name: bundled, in a folder or new; their config and hash."""

import torch
from transformers import BertTokenizerFast

from kd_core.config import TeacherConfig
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.loading import load_teacher, model_hash, new_model, teacher_config
from tests.unit.conftest import LABELS
from tests.unit.models.folders import load


def test_bundled_teacher(tiny_task, capsys):
    state = torch.get_rng_state()
    model, tokenizer = load_teacher(TeacherConfig(model="minilm-l6"), tiny_task)
    assert torch.equal(torch.get_rng_state(), state)
    assert (model.config.num_hidden_layers, model.config.hidden_size, model.dtype) == (6, 384, torch.float32)
    assert [model.config.id2label[i] for i in range(5)] == list(LABELS)
    assert model.config.label2id == {label: i for i, label in enumerate(LABELS)}
    assert sum(p.numel() for p in model.bert.parameters()) == 22_713_216
    assert len(tokenizer) == model.config.vocab_size == 30_522
    assert not model.training
    assert capsys.readouterr() == ("", "")  # quiet, although the head is new

    again, _ = load_teacher(TeacherConfig(model="minilm-l6"), tiny_task)
    other, _ = load_teacher(TeacherConfig(model="minilm-l6", seed=1), tiny_task)
    assert torch.equal(again.classifier.weight, model.classifier.weight)
    assert not torch.equal(other.classifier.weight, model.classifier.weight)
    assert torch.equal(other.bert.pooler.dense.weight, model.bert.pooler.dense.weight)

    short, _ = load_teacher(TeacherConfig(model="minilm-l3"), tiny_task)
    assert short.config.num_hidden_layers == len(short.bert.encoder.layer) == 3
    for i, layer in enumerate(short.bert.encoder.layer):
        its = model.bert.encoder.layer[2 * i]
        assert torch.equal(layer.output.dense.weight, its.output.dense.weight)


def test_half_precision_weights_become_float32(tiny_teacher, tiny_tokenizer, tiny_task, tmp_path):
    tiny_teacher("bert").half().save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    assert load(tmp_path, tiny_task)[0].dtype == torch.float32


def test_a_bilstm_as_a_teacher(tiny_tokenizer, tiny_task, tmp_path):
    config = BiLSTMConfig(
        vocab_size=len(tiny_tokenizer),
        id2label=dict(enumerate(LABELS)),
        label2id={x: i for i, x in enumerate(LABELS)},
    )
    model = new_model(config, 0)
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path, tiny_task)[0].classifier.weight, model.classifier.weight)


def test_scratch(tiny_task):
    config = TeacherConfig(model="scratch", layers=3, hidden=24, heads=4, seed=5)
    model, tokenizer = load_teacher(config, tiny_task)
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (3, 24)
    assert (model.config.num_attention_heads, model.config.intermediate_size) == (4, 96)
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.num_labels == 5
    for text in (*tiny_task.train["text"], *tiny_task.transfer["text"]):
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
    again, _ = load_teacher(config, tiny_task)
    assert torch.equal(again.bert.pooler.dense.weight, model.bert.pooler.dense.weight)
    other, _ = load_teacher(config.model_copy(update={"seed": 6}), tiny_task)
    assert not torch.equal(other.bert.pooler.dense.weight, model.bert.pooler.dense.weight)


def test_teacher_config_agrees_with_the_model(folder, tiny_task):
    for name in (str(folder), "minilm-l3", "scratch"):
        config = TeacherConfig(model=name)
        model, tokenizer = load_teacher(config, tiny_task)
        found = teacher_config(config, tiny_task.labels, len(tokenizer), len(tiny_task.train))
        mine, its = found.to_dict(), model.config.to_dict()
        ignored = {"dtype", "_name_or_path"}
        assert {k: v for k, v in mine.items() if k not in ignored} == {
            k: v for k, v in its.items() if k not in ignored
        }


def test_model_hash(tiny_teacher, tiny_tokenizer, tiny_task, folder):
    model = tiny_teacher("bert")
    key = model_hash(model, tiny_tokenizer)
    assert len(key) == 64
    assert model_hash(tiny_teacher("bert"), tiny_tokenizer) == key
    assert model_hash(*load(folder, tiny_task)) == key  # saving and loading changes nothing

    tiny_tokenizer(["a goal"], truncation=True, max_length=3, padding="max_length")
    model(**tiny_tokenizer(["a goal"], return_tensors="pt"), labels=torch.tensor([0]))
    assert model_hash(model, tiny_tokenizer) == key  # nor does use

    with torch.no_grad():
        model.classifier.bias[0] += 1e-6
    assert model_hash(model, tiny_tokenizer) != key
    assert model_hash(tiny_teacher("bert", seed=1), tiny_tokenizer) != key
    other = tiny_teacher("bert")
    other.config.layer_norm_eps = 1e-5
    assert model_hash(other, tiny_tokenizer) != key
    larger = BertTokenizerFast.from_pretrained(folder, trust_remote_code=False)
    larger.add_tokens(["brandnew"])
    assert model_hash(tiny_teacher("bert"), larger) != key
