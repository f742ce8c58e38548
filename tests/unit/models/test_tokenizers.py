"""A teacher's tokenizer: its fit to model and texts, and one trained for a task."""

import random
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import BertTokenizerFast, GPT2Config, PreTrainedTokenizerFast

from kd_core.config import TeacherConfig
from kd_core.data.task import labelled, unlabelled
from kd_core.errors import ModelError
from kd_core.models.inference import encode, predict_logits
from kd_core.models.loading import load_teacher, new_model, train_tokenizer
from tests.unit.models.folders import load


@pytest.fixture
def gpt(tiny_tokenizer, tmp_path):
    """``gpt(**special)``: a GPT-2 whose tokenizer has only these special tokens."""

    def save(**special):
        backend = Tokenizer.from_str(tiny_tokenizer.backend_tokenizer.to_str())
        backend.no_padding()  # other tests pad with the shared tokenizer
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
        sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
        new_model(GPT2Config(vocab_size=len(tiny_tokenizer), **sizes), seed=0).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path

    return save


def test_padding_with_the_end_token(gpt, tiny_task):
    model, tokenizer = load(gpt(eos_token="[MASK]"), tiny_task)
    assert tokenizer.pad_token_id == model.config.pad_token_id == tokenizer.convert_tokens_to_ids("[MASK]")
    texts = ["goal", "the market of the match and the goal"]
    alone = [predict_logits(model, encode(tokenizer, unlabelled([text]), 64))[0] for text in texts]
    together = predict_logits(model, encode(tokenizer, unlabelled(texts), 64))
    assert together == pytest.approx(np.stack(alone), abs=1e-5)


def test_a_tokenizer_without_padding_is_refused(gpt, tiny_task):
    with pytest.raises(ModelError, match=r"has neither a padding token nor one that ends a text"):
        load(gpt(), tiny_task)


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
    """transformers makes a tokenizer of five special pieces, which knows no word."""
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"does not know 100 % of the words .* 5 pieces.*no tokenizer\.json"):
        load(folder, tiny_task)


def test_many_pieces_per_word_are_reported(folder, tiny_task):
    notes: list[str] = []
    task = replace(tiny_task, transfer=unlabelled([]))
    for word, said in (
        ("otto", "4.0 pieces on the mean, where"),
        ("ottoo", "5.0 pieces on the mean, nearly"),
    ):
        texts = labelled([f"{word} {word}"] * 30, [i % 5 for i in range(30)])
        load_teacher(TeacherConfig(model=str(folder)), replace(task, train=texts), notes)
        assert f"The tokenizer of {folder.name} cuts a word of these texts into {said}" in notes.pop()
    load_teacher(TeacherConfig(model=str(folder)), replace(task, train=texts), notes)
    assert notes[0].endswith(
        "on the mean, nearly letter by letter, where one that was made for their language has 1.0 to 1.3; it "
        "may be for another language. The teacher e5-small, with the extra zh, knows 100 languages."
    )


def test_texts_of_another_language(folder, tiny_task):
    known, foreign = tiny_task.train["text"][:60], ["\u4eca\u65e5\u306f"] * 30  # three words each, unknown
    notes: list[str] = []
    task = replace(tiny_task, transfer=unlabelled(foreign))
    load_teacher(TeacherConfig(model=str(folder)), task, notes)
    pieces = sum(len(text.split()) for text in known)
    assert notes == [
        f"The tokenizer of {folder.name} does not know {100 * 90 / (90 + pieces):.0f} % of the words in "
        "these texts; it may be for another language. The teacher e5-small, with the extra zh, knows 100 "
        "languages."
    ]
    labels = [i % 5 for i in range(30)]
    with pytest.raises(ModelError, match="does not know 100 % of the words in these texts"):
        load(folder, replace(task, train=labelled(foreign, labels)))
    notes.clear()
    load_teacher(TeacherConfig(model=str(folder)), tiny_task, notes)
    assert notes == []


def test_trained_tokenizer():
    tokenizer = train_tokenizer(["Abba abba cab"] * 3 + ["abc"])
    assert isinstance(tokenizer, BertTokenizerFast)
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.tokenize("ABBA cab") == ["abba", "cab"]
    assert tokenizer("abba")["input_ids"] == [2, tokenizer.get_vocab()["abba"], 3]
    assert set(tokenizer.all_special_ids) == {0, 1, 2, 3, 4}  # the characters are plain pieces


def test_training_is_deterministic():
    # The trainer of tokenizers breaks ties between equally frequent pairs at random.
    rng = random.Random(0)
    texts = ["".join(rng.choice("abcdefgh ") for _ in range(60)) for _ in range(200)]
    first, *others = [train_tokenizer(texts).get_vocab() for _ in range(4)]
    assert len(first) > 100
    assert others == [first] * 3
