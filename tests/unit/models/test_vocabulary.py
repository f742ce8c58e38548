"""Trimmed vocabularies tokenize the given texts as before: WordPiece, BPE and Unigram."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from kd_core.models.vocabulary import map_ids, rank_pieces, trim_vocabulary
from tests.unit.models.tokenizer_families import (
    FAMILIES,
    SENTENCES,
    UNSEEN,
    assert_same_cut,
    bundled,
    family,
    names,
    wordpiece,
)

any_text = st.text(max_size=40) | st.lists(st.sampled_from(SENTENCES + UNSEEN), max_size=3).map(" ".join)
few_texts = st.lists(any_text, min_size=1, max_size=4)


@pytest.mark.parametrize("name", FAMILIES)
def test_given_texts_are_tokenized_as_before(name: str, tmp_path: Path) -> None:
    old = family(name)
    new, kept = trim_vocabulary(old, iter(SENTENCES[::3]))
    assert len(kept) == len(new) < len(old)
    assert kept == sorted(set(kept))
    before = names(old)
    assert dict(enumerate(before[i] for i in kept)) == names(new)
    assert_same_cut(old, new, kept, SENTENCES[::3])

    new.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=False)
    assert type(loaded) is type(new) is type(old)
    assert names(loaded) == names(new)
    assert_same_cut(old, loaded, kept, SENTENCES[::3])


@pytest.mark.parametrize("name", FAMILIES)
def test_special_tokens_and_settings_are_kept(name: str, tmp_path: Path) -> None:
    old = family(name)
    new, kept = trim_vocabulary(old, SENTENCES[:5])
    new.save_pretrained(tmp_path)
    for tokenizer in (new, AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=False)):
        assert tokenizer.special_tokens_map == old.special_tokens_map
        assert [kept[i] for i in tokenizer.all_special_ids] == old.all_special_ids
        assert {kept[i]: str(t) for i, t in tokenizer.added_tokens_decoder.items()} == {
            i: str(t) for i, t in old.added_tokens_decoder.items()
        }
        for setting in ("padding_side", "truncation_side", "model_max_length", "model_input_names"):
            assert getattr(tokenizer, setting) == getattr(old, setting), setting
        assert tokenizer(["a", "a b c d"], padding=True)["input_ids"][0].count(tokenizer.pad_token_id) >= 1
        assert tokenizer.decode(tokenizer(SENTENCES[0])["input_ids"]) == old.decode(
            old(SENTENCES[0])["input_ids"]
        )


@pytest.mark.parametrize("name", FAMILIES[1:])  # the next test has the large bundled tokenizer
@settings(deadline=None, max_examples=25)
@given(texts=few_texts, at_least=st.integers(0, 700))
def test_any_given_text_is_tokenized_as_before(name: str, texts: list[str], at_least: int) -> None:
    old = family(name)
    new, kept = trim_vocabulary(old, texts, at_least)
    assert_same_cut(old, new, kept, texts)
    assert len(kept) >= min(at_least, len(old))


@settings(deadline=None, max_examples=8)
@given(texts=few_texts)
def test_any_text_with_the_bundled_tokenizer(texts: list[str]) -> None:
    new, kept = trim_vocabulary(bundled(), texts)
    assert_same_cut(bundled(), new, kept, texts)


@pytest.mark.parametrize("name", FAMILIES)
def test_frequent_pieces_fill_the_vocabulary(name: str, tmp_path: Path) -> None:
    old = family(name)
    ranked, needed = rank_pieces(old, SENTENCES[:3])
    assert sorted(ranked) == sorted(old.get_vocab().values())
    for at_least in (0, needed, needed + 1, (needed + len(old)) // 2, len(old), len(old) + 1):
        new, kept = trim_vocabulary(old, SENTENCES[:3], at_least)
        assert len(kept) == len(new) == min(max(needed, at_least), len(old))
        assert set(kept) == set(ranked[: len(kept)])
        known = [text for text in SENTENCES + UNSEEN if {*old(text)["input_ids"]} <= {*kept}]
        assert_same_cut(old, new, kept, known)
    assert known == SENTENCES + UNSEEN


def test_rank_of_wordpieces_follows_their_ids() -> None:
    old = wordpiece("[unused1]", "the", "zz", "a", "[unused2]", "of")
    ranked, needed = rank_pieces(old, ["zz"])
    pieces = names(old)
    assert [pieces[i] for i in ranked[needed:]] == ["the", "of", "[unused1]", "[unused2]"]


def test_rank_of_unigram_pieces_follows_their_scores() -> None:
    scores = [("<unk>", 0.0), ("rare", -9.0), ("of", -4.0), ("the", -3.0), ("r", -5.0), ("no", -10.0)]
    old = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.Unigram(scores, unk_id=0)))
    ranked, needed = rank_pieces(old, [])
    assert [scores[i][0] for i in ranked] == ["<unk>", "r", "no", "the", "of", "rare"]
    assert needed == 3


def test_rank_of_a_piece_follows_its_parts() -> None:
    vocab = {"a": 0, "b": 1, "c": 2, "abc": 3, "bc": 4, "ab": 5}
    backend = Tokenizer(models.BPE(vocab, [("b", "c"), ("a", "bc"), ("a", "b")]))
    ranked, needed = rank_pieces(PreTrainedTokenizerFast(tokenizer_object=backend), [])
    assert (ranked, needed) == ([0, 1, 2, 4, 3, 5], 3)


@pytest.mark.parametrize("name", FAMILIES)
def test_unseen_words_keep_known_characters(name: str) -> None:
    old = family(name)
    new, _ = trim_vocabulary(old, SENTENCES[:3])
    for text in UNSEEN:
        pieces = new.tokenize(text)
        assert pieces.count(str(old.unk_token)) == old.tokenize(text).count(str(old.unk_token))
        assert len(pieces) >= len(old.tokenize(text))


def test_bundled_vocabulary() -> None:
    new, kept = trim_vocabulary(bundled(), SENTENCES)
    assert 1_900 < len(kept) < 2_600  # about 1,990 single characters and "##" characters
    assert kept[:3] == [0, 100, 101]  # [PAD], [UNK], [CLS]; the unused pieces between are gone
    vocab = new.get_vocab()
    assert {"q", "##q", "é", "##7", "東"} & set(bundled().get_vocab()) <= set(vocab)
    assert "zebra" not in vocab
    assert new.tokenize("Zebra")[0] == "z"


def test_case_and_long_texts() -> None:
    # The bundled tokenizer.json truncates to 128 pieces, but trimming reads whole texts.
    long_text = " ".join(["good"] * 200 + ["zebras"])
    new, kept = trim_vocabulary(bundled(), [long_text])
    assert "zebra" in new.get_vocab()
    assert new.tokenize("GOOD Zebras") == bundled().tokenize("good zebras")
    assert [kept[i] for i in new(long_text)["input_ids"]] == bundled()(long_text)["input_ids"]


def test_texts_are_read_once() -> None:
    class Stream:
        opened = 0

        def __iter__(self) -> Iterator[str]:
            self.opened += 1
            yield from (f"number {i}" for i in range(2_500))

    stream = Stream()
    old = family("roberta")
    new, kept = trim_vocabulary(old, stream)
    assert stream.opened == 1
    assert_same_cut(old, new, kept, ["number 0", "number 999", "number 1000", "number 2499"])


def test_no_texts() -> None:
    new, kept = trim_vocabulary(family("roberta"), [])
    assert len(kept) == 256 + 5
    assert new.tokenize("the") == ["t", "h", "e"]


def test_map_ids() -> None:
    mapped = map_ids([0, 3, 4], old_size=6)
    assert mapped.tolist() == [0, -1, -1, 1, 2, -1]
    assert mapped.dtype == np.int64
