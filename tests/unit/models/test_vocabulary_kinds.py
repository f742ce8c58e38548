"""Trimming special cases of WordPiece, BPE, Unigram and their tokenizer classes."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AlbertTokenizer, BertTokenizerFast, PreTrainedTokenizerFast

from kd_core.models.vocabulary import trim_vocabulary
from tests.unit.models.tokenizer_families import assert_same_cut, family, names, unigram_pieces, wordpiece


def test_unknown_words_stay_unknown() -> None:
    # "abc" is matched first and "##d" is missing: "abcd" is unknown. Without "abc", "ab" + "##cd" would fit.
    old = wordpiece("a", "ab", "abc", "##cd", "x", "##b", "xyz")
    assert old.tokenize("abcd") == ["[UNK]"]
    new, kept = trim_vocabulary(old, ["abcd", "ab", "x ##cd", "acd"])
    assert new.tokenize("acd") == ["a", "##cd"]
    assert new.tokenize("abcd") == ["[UNK]"]
    assert [names(old)[i] for i in kept[5:]] == ["a", "ab", "abc", "##cd", "x", "##b"]


@settings(deadline=None, max_examples=40)
@given(
    pieces=st.sets(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=12),
    inner=st.sets(st.text("abc", min_size=1, max_size=3).map("##{}".format), max_size=12),
    texts=st.lists(st.text("abc ", max_size=20), min_size=1, max_size=5),
)
def test_wordpiece_on_any_vocabulary(pieces: set[str], inner: set[str], texts: list[str]) -> None:
    old = wordpiece(*sorted(pieces), *sorted(inner))
    new, kept = trim_vocabulary(old, texts)
    assert_same_cut(old, new, kept, texts)


def test_bpe_keeps_parts_and_merges() -> None:
    vocab = {piece: i for i, piece in enumerate(["t", "h", "e", "i", "th", "the", "hi", "thei"])}
    merges = [("t", "h"), ("th", "e"), ("h", "i"), ("the", "i")]
    old = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab, merges)))
    new, kept = trim_vocabulary(old, ["the"])
    assert [names(old)[i] for i in kept] == ["t", "h", "e", "i", "th", "the"]
    model = json.loads(new.backend_tokenizer.to_str())["model"]
    assert model["merges"] == [["t", "h"], ["th", "e"]]
    assert new.tokenize("the") == ["the"]
    assert new.tokenize("thei") == ["the", "i"]
    assert new.tokenize("hi") == ["h", "i"]


@settings(deadline=None, max_examples=60)
@given(
    choices=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=15),
    texts=st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=5),
)
def test_bpe_on_any_list_of_merges(choices: list[tuple[int, int]], texts: list[str]) -> None:
    """Merges come in any order, and several may make the same piece."""
    pieces, merges = ["a", "b", "c"], []
    for left, right in choices:
        merge = (pieces[left % len(pieces)], pieces[right % len(pieces)])
        if merge not in merges and len("".join(merge)) <= 8:
            merges.append(merge)
            pieces += [] if "".join(merge) in pieces else ["".join(merge)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    old = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab, merges)))
    new, kept = trim_vocabulary(old, texts)
    assert_same_cut(old, new, kept, texts)


def test_bpe_keeps_byte_fallback() -> None:
    vocab = {
        piece: i for i, piece in enumerate(["a", "b", "ab", *(f"<0x{byte:02X}>" for byte in range(256))])
    }
    backend = Tokenizer(models.BPE(vocab, [("a", "b")], byte_fallback=True))
    new, kept = trim_vocabulary(PreTrainedTokenizerFast(tokenizer_object=backend), ["a"])
    assert len(kept) == 258
    assert new.tokenize("é") == ["<0xC3>", "<0xA9>"]


@settings(deadline=None, max_examples=60)
@given(
    scores=st.dictionaries(
        st.text("abc", min_size=1, max_size=4), st.integers(-40, 0), min_size=1, max_size=12
    ),
    texts=st.lists(st.text("abcd", max_size=10), min_size=1, max_size=5),
)
def test_unigram_on_any_scores(scores: dict[str, int], texts: list[str]) -> None:
    """Integers make ties, and "d" is always unknown."""
    vocab = [("<unk>", 0.0), *((piece, float(score)) for piece, score in sorted(scores.items()))]
    old = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.Unigram(vocab, unk_id=0)), unk_token="<unk>"
    )
    new, kept = trim_vocabulary(old, texts)
    assert_same_cut(old, new, kept, texts)


def test_unigram_keeps_scores_and_its_rarest_piece() -> None:
    vocab = [("<unk>", 0.0), ("a", -2.0), ("b", -3.0), ("ab", -1.0), ("bé", -7.0), ("ba", -5.0), ("zz", -9.0)]
    backend = Tokenizer(models.Unigram(vocab, unk_id=0))
    new, kept = trim_vocabulary(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"), ["ab"])
    assert kept == [0, 1, 2, 3, 6]
    model = json.loads(new.backend_tokenizer.to_str())["model"]
    assert model["vocab"] == [["<unk>", 0.0], ["a", -2.0], ["b", -3.0], ["ab", -1.0], ["zz", -9.0]]


def test_backend_padding_uses_the_new_id() -> None:
    vocab = {"zz": 0, "b": 1, "[UNK]": 2, "[PAD]": 3, "[CLS]": 4, "[SEP]": 5, "[MASK]": 6, "a": 7}
    old = BertTokenizerFast(vocab=vocab)
    old.backend_tokenizer.enable_padding(length=6, pad_id=3, pad_token="[PAD]")
    new, kept = trim_vocabulary(old, ["a"])
    assert kept == [1, 2, 3, 4, 5, 6, 7]
    assert new.backend_tokenizer.padding["pad_id"] == new.pad_token_id == 2
    assert new.backend_tokenizer.encode("a").ids == [3, 6, 4, 2, 2, 2]


def test_unknown_characters_stay_unknown() -> None:
    new, kept = trim_vocabulary(family("char_bpe"), ["the"])
    assert family("char_bpe").tokenize("☃") == new.tokenize("☃") == ["<unk>"]
    assert kept[new.convert_tokens_to_ids("<unk>")] == 1


def test_albert_has_a_fixed_unknown_id() -> None:
    # AlbertTokenizer always uses id 1 for the unknown piece.
    pieces = unigram_pieces()
    old = AlbertTokenizer(vocab=[("<never>", -1.0), pieces[1], pieces[0], *pieces[2:]])
    new, kept = trim_vocabulary(old, ["the"])
    assert kept[:2] == [0, 1]
    assert new("☃")["input_ids"] == old("☃")["input_ids"] != []
    assert new.unk_token_id in new("☃")["input_ids"]


def test_vocabulary_with_gaps_and_added_tokens() -> None:
    backend = Tokenizer(models.BPE({"a": 0, "b": 9, "ab": 12}, [("a", "b")]))
    backend.add_special_tokens(["<x>"])
    assert backend.token_to_id("<x>") == 3
    old = PreTrainedTokenizerFast(tokenizer_object=backend)
    new, kept = trim_vocabulary(old, ["ab"])
    assert kept == [0, 9, 12, 3]
    assert new.get_vocab() == {"a": 0, "b": 1, "ab": 2, "<x>": 3}
    assert_same_cut(old, new, kept, ["ab<x>", "ba"])


def test_word_level_models_are_not_trimmed() -> None:
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "good": 1, "bad": 2}, unk_token="[UNK]"))
    old = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    new, kept = trim_vocabulary(old, ["good"])
    assert new is old
    assert kept == [0, 1, 2]
