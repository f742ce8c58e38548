"""Vocabulary trimming: a student needs embeddings only for the word pieces that its task can meet.

Which pieces its texts use is known; of those that further texts will bring, the most frequent are likely.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from kd_core.data.words import OF_LETTERS

Json = dict[str, Any]

_BATCH = 1000
MULTILINGUAL = 100_000  # pieces; so many are made for many languages, of which each has longer cuts
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
_FREE_PLACE = re.compile(r"\[unused\d+\]|madeupword\d+|<extra_id_\d+>")


def trim_vocabulary(
    tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], at_least: int = 0
) -> tuple[PreTrainedTokenizerFast, list[int]]:
    """A tokenizer with fewer pieces that cuts every text of ``texts`` exactly as ``tokenizer`` does.

    Kept are those that ``rank_pieces`` says are needed, and of the others the first ones while there are
    fewer than ``at_least``. Other texts may fall into shorter pieces.

    Returns: the new tokenizer and ``kept`` with ``kept[new_id] == old_id``, ascending. A model without
    pieces (WordLevel, or a tokenizer not backed by ``tokenizers``) comes back whole, as it is.
    Ids in a model's config (``pad_token_id`` and the like) are the caller's to map.
    """
    spec = _spec(tokenizer)  # first: each call of a tokenizer changes how its backend pads
    ranked, needed = rank_pieces(tokenizer, texts)
    if spec is None:
        return tokenizer, ranked
    model: Json = spec["model"]
    pieces = _pieces(model)
    # Added tokens that the model itself does not have are numbered after it.
    kept = sorted(ranked[: max(needed, at_least)], key=lambda old: (old not in pieces, old))
    new = {old: position for position, old in enumerate(kept)}

    slots = _id_slots(spec)
    for holder, place in slots:
        holder[place] = new[holder[place]]
    if model["type"] == "Unigram":
        model["vocab"] = [model["vocab"][old] for old in kept if old in pieces]
        if model["unk_id"] is not None:
            model["unk_id"] = new[model["unk_id"]]
    else:
        model["vocab"] = {pieces[old]: new[old] for old in kept if old in pieces}
    if model["type"] == "BPE":
        model["merges"] = [merge for merge in model["merges"] if _merged(model, merge) in model["vocab"]]
    return _rebuilt(tokenizer, spec), kept


def rank_pieces(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> tuple[list[int], int]:
    """All ids, the indispensable ones first, and how many these are: from there on any number may be kept.

    Indispensable are the special and added tokens, all single characters and bytes, and what ``texts`` use
    (BPE: also every piece on the way of the merges there). The others follow from the most frequent to the
    rarest: by falling score of a Unigram model, by rising id of the others, which is how they are numbered.
    ``texts`` is read once, a batch at a time.
    """
    spec = _spec(tokenizer)
    if spec is None:
        ids = list(range(max(tokenizer.get_vocab().values(), default=-1) + 1))
        return ids, len(ids)
    model: Json = spec["model"]
    pieces, parts = _pieces(model), _parts(model)
    needed = {holder[place] for holder, place in _id_slots(spec)} | _always_kept(model, pieces)
    needed |= _ids_used(tokenizer, model, texts)
    ranked: dict[int, None] = {}
    for i in sorted(needed):
        _rank(i, parts, ranked, set())
    count = len(ranked)
    for i in sorted(pieces, key=lambda i: _rarity(model, i, pieces[i])):
        _rank(i, parts, ranked, set())
    return list(ranked), count


def share_unknown(
    tokenizer: PreTrainedTokenizerFast,
    trimmed: PreTrainedTokenizerFast,
    texts: Iterable[str],
    max_length: int,
) -> float:
    """The share of ``texts`` with a piece of ``tokenizer``, of those that are read, that ``trimmed`` lacks.

    0 without texts.
    """
    known = trimmed.get_vocab().keys()
    unknown = {i for piece, i in tokenizer.get_vocab().items() if piece not in known}
    read = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
    return sum(not unknown.isdisjoint(ids) for ids in read) / max(len(read), 1)


def unknown_pieces(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> float:
    """The share of the pieces of ``texts`` that are the unknown one; 1 where there is no piece at all."""
    ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    total, unknown = sum(map(len, ids)), tokenizer.unk_token_id
    return sum(own.count(unknown) for own in ids) / total if total else 1.0


def pieces_a_word(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> float:
    """Into how many pieces a word of ``texts`` is cut, on the mean; 1 where nothing can be said.

    A tokenizer that was made for another language knows the letters of most others, so that no piece is
    unknown to it, and cuts their words into syllables (``words.FOREIGN``). One that was made for many
    languages is not asked, nor are texts without spaces between words.
    """
    words = [found for text in texts if (found := OF_LETTERS.findall(text))]
    if len(tokenizer) >= MULTILINGUAL or not words:
        return 1.0
    cut = tokenizer([" ".join(found) for found in words], add_special_tokens=False, verbose=False)
    return sum(map(len, cut["input_ids"])) / sum(map(len, words))


def map_ids(kept: list[int], old_size: int) -> npt.NDArray[np.int64]:
    """The inverse of ``kept``: shape (old_size,), the new id of each old id, -1 where it was dropped."""
    new_ids = np.full(old_size, -1, dtype=np.int64)
    new_ids[kept] = np.arange(len(kept))
    return new_ids


def _spec(tokenizer: PreTrainedTokenizerFast) -> Json | None:
    """What its backend is made of, or None where it has no pieces that could be left out."""
    if not tokenizer.is_fast:
        return None
    spec: Json = json.loads(tokenizer.backend_tokenizer.to_str())
    return spec if spec["model"]["type"] in ("WordPiece", "BPE", "Unigram") else None


def _pieces(model: Json) -> dict[int, str]:
    if model["type"] == "Unigram":
        return {i: piece for i, (piece, _) in enumerate(model["vocab"])}
    return {i: piece for piece, i in model["vocab"].items()}


def _id_slots(spec: Json) -> Iterator[tuple[Any, Any]]:
    """Where token ids stand outside the model, as (container, key): added tokens, padding, post-processor."""
    for token in spec["added_tokens"]:
        yield token, "id"
    if spec["padding"]:
        yield spec["padding"], "pad_id"
    processors = [spec["post_processor"]] if spec["post_processor"] else []
    for processor in processors:
        processors += processor.get("processors", [])  # Sequence
        for token in processor.get("special_tokens", {}).values():  # TemplateProcessing
            yield from ((token["ids"], place) for place in range(len(token["ids"])))
        for name in ("sep", "cls"):  # BertProcessing, RobertaProcessing
            if name in processor:
                yield processor[name], 1


def _always_kept(model: Json, pieces: dict[int, str]) -> set[int]:
    prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
    kept = {
        i
        for i, piece in pieces.items()
        if len(piece) == 1
        or len(piece.removeprefix(prefix).removesuffix(suffix)) == 1
        or piece == model.get("unk_token")
        or _BYTE_PIECE.fullmatch(piece)
    }
    if model["type"] == "Unigram":
        # An unknown character costs a fixed amount more than the rarest piece: that piece sets the price.
        kept.add(min(pieces, key=lambda i: model["vocab"][i][1]))
        # Several tokenizer classes of transformers have the position of the unknown piece hard-wired.
        kept |= set(range((model["unk_id"] if model["unk_id"] is not None else -1) + 1))
    return kept


def _ids_used(tokenizer: PreTrainedTokenizerFast, model: Json, texts: Iterable[str]) -> set[int]:
    options = {"add_special_tokens": False, "padding": False, "truncation": False, "verbose": False}
    unknown = model["vocab"].get(model["unk_token"]) if model["type"] == "WordPiece" else None
    stream = iter(texts)
    used: set[int] = set()
    while batch := list(islice(stream, _BATCH)):
        encoded = tokenizer(batch, **options, return_attention_mask=False, return_token_type_ids=False)
        used.update(chain.from_iterable(encoded["input_ids"]))
        for text, ids in zip(batch, encoded["input_ids"], strict=True):
            if unknown in ids:
                offsets = tokenizer(text, **options, return_offsets_mapping=True)["offset_mapping"]
                for (start, end), i in zip(offsets, ids, strict=True):
                    if i == unknown:
                        used |= _matched_in_vain(tokenizer, model, text[start:end])
    return used


def _matched_in_vain(tokenizer: PreTrainedTokenizerFast, model: Json, text: str) -> set[int]:
    """The pieces that WordPiece matches in an unknown word before it gives up.

    Without them a shorter match could lead on to the word's end, and the word would be known.
    """
    backend, vocab = tokenizer.backend_tokenizer, model["vocab"]
    if backend.normalizer:
        text = backend.normalizer.normalize_str(text)
    words = [text]
    if backend.pre_tokenizer:
        words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    matched: set[int] = set()
    for word in words:
        start = 0
        while start < len(word) <= model["max_input_chars_per_word"]:
            prefix = model["continuing_subword_prefix"] if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in vocab), None)
            if end is None:
                break
            matched.add(vocab[prefix + word[start:end]])
            start = end
    return matched


def _merged(model: Json, merge: list[str]) -> str:
    left, right = merge
    joined: str = left + right[len(model["continuing_subword_prefix"] or "") :]
    return joined


def _parts(model: Json) -> Mapping[int, set[int]]:
    """BPE: for each piece the parts of all merges that make it.

    BPE applies the first merge of the list that fits. A list that lost only merges which a word never
    used picks the same merge at each step, so words made of pieces that are kept with their parts, and
    theirs, are cut as before.
    """
    parts: defaultdict[int, set[int]] = defaultdict(set)
    if model["type"] == "BPE":
        for merge in model["merges"]:
            parts[model["vocab"][_merged(model, merge)]].update(model["vocab"][part] for part in merge)
    return parts


def _rank(piece: int, parts: Mapping[int, set[int]], ranked: dict[int, None], whole: set[int]) -> None:
    """Append ``piece`` and before it, recursively, its parts; ``whole`` are those that it is a part of."""
    if piece in ranked or piece in whole:
        return
    for part in sorted(parts.get(piece, ())):
        _rank(part, parts, ranked, whole | {piece})
    ranked[piece] = None


def _rarity(model: Json, piece: int, text: str) -> tuple[bool, float]:
    """Small for the most frequent pieces. Places that were left free for later come last."""
    rarity = -model["vocab"][piece][1] if model["type"] == "Unigram" else piece
    return bool(_FREE_PLACE.fullmatch(text)), rarity


def _rebuilt(tokenizer: PreTrainedTokenizerFast, spec: Json) -> PreTrainedTokenizerFast:
    """``tokenizer`` with another backend, by way of its files: exactly what a later load will give."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        Path(folder, "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
        # Set on an instance, these are not written by transformers.
        trimmed = type(tokenizer).from_pretrained(
            folder,
            trust_remote_code=False,
            local_files_only=True,
            padding_side=tokenizer.padding_side,
            truncation_side=tokenizer.truncation_side,
            model_input_names=tokenizer.model_input_names,
        )
    trimmed.name_or_path = tokenizer.name_or_path
    return trimmed
