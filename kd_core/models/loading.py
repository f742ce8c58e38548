"""Teachers, and any other checkpoint: bundled, in a local folder, on the Hub, or new from a config."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertTokenizerFast,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

import kd_core.models.bilstm
import kd_core.models.cnn
import kd_core.models.static  # noqa: F401  # as pooled, they register a config, so that a saved model loads
from kd_core.config import Pooling, TeacherConfig
from kd_core.data.task import Task, spread
from kd_core.errors import ModelError
from kd_core.models.checkpoints import (
    as_model_errors,
    check_complete,
    check_finite,
    check_ids,
    check_pieces,
    give_padding,
    locate,
    quiet,
    read_config,
    usual_teacher,
    without_code,
)
from kd_core.models.pooled import PooledBertConfig, plain, pooled
from kd_core.models.presets import DEEP, ENGLISH, FEW_TEXTS, MANY_CLASSES, TEACHERS, find_preset, short
from kd_core.system import paths
from kd_core.system.settings import Auto

SCRATCH_VOCABULARY = 8_000
SCRATCH_CHARACTERS = 4_000

# What a config says of its own origin and surroundings, not of the function that the model computes. The
# Trainer turns ``use_cache`` off, which concerns decoders: a model trained just now and the same one loaded
# again have to have one hash.
_NOT_ESSENTIAL = frozenset(
    {
        "_name_or_path",
        "architectures",
        "dtype",
        "problem_type",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)


def teacher_name(config: TeacherConfig, task: Task) -> str:
    """Its name, or what ``auto`` is for the task's texts. Raises: ModelError."""
    if config.model != "auto":
        return config.model
    return usual_teacher([*spread(task.train), *spread(task.transfer)])


def load_teacher(
    config: TeacherConfig, task: Task, notes: list[str] | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The teacher before fine-tuning, in float32, with one logit per label of the task.

    What a checkpoint lacks (the head) starts from ``config.seed``; the global random state is left alone.
    A checkpoint that is a classifier of the task's labels, in any order, keeps its head. What looks doubtful
    adds a sentence to ``notes``.
    Raises: ModelError.
    """
    name = teacher_name(config, task)
    preset = find_preset(name, TEACHERS)
    if preset is None or preset.source != "new":
        return load_checkpoint(name, task, config.seed, notes, config.pooling)
    tokenizer = train_tokenizer(chain(task.train["text"][:], task.transfer["text"][:]))
    model_config = teacher_config(config, task.labels, vocab_size=len(tokenizer))
    return new_model(model_config, config.seed), tokenizer


def teacher_config(
    config: TeacherConfig,
    labels: Sequence[str],
    vocab_size: int = SCRATCH_VOCABULARY,
    texts: int | None = None,
) -> PretrainedConfig:
    """The teacher's sizes without its weights; ``vocab_size`` is that of a teacher from scratch.
    ``texts`` to train with, where they are known, say what a new head reads. Of ``auto`` those of minilm-l6.

    Raises: ModelError.
    """
    name = ENGLISH if config.model == "auto" else config.model
    preset = find_preset(name, TEACHERS)
    if preset is None or preset.source != "new":
        return load_config(name, labels, config.pooling, texts)
    new = BertConfig(
        vocab_size=vocab_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.feed_forward,
    )
    return _with_labels(new, labels)


def load_checkpoint(
    name: str,
    task: Task,
    seed: int,
    notes: list[str] | None = None,
    pooling: Pooling | Auto = "first",
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A bundled preset, a Hugging Face folder or a Hub id as a classifier of the task; see ``load_teacher``.
    ``pooling`` is what a new head reads.

    Raises: ModelError.
    """
    place, local_only = locate(name)
    config = read_config(name, place, local_only)
    old_labels = _labels(config)
    doubts = []
    if not _classifies(config, task.labels):
        if sorted(old_labels) != sorted(task.labels) and _has_head(config):
            doubts.append(_other_head(name, old_labels, task.labels))
        config = _for_new_head(_with_labels(config, task.labels), name, pooling, len(task.train))
    with quiet(), seeded(seed), as_model_errors(name):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=local_only,
            ignore_mismatched_sizes=True,  # a head for another number of labels is drawn anew
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, local_files_only=local_only)
        _fit_head(model, old_labels, task.labels)
    check_complete(name, model, report)
    check_finite(name, model)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"The tokenizer of {name!r} is a {type(tokenizer).__name__}, which has no fast version; "
            "choose a model with a tokenizer.json."
        )
    tokenizer = without_code(tokenizer)
    give_padding(name, model, tokenizer)
    check_ids(name, model, tokenizer)
    doubts += check_pieces(name, tokenizer, [*spread(task.train), *spread(task.transfer)])
    if notes is not None:
        notes += doubts
    if name == "minilm-l3":
        model.base_model.encoder.layer = model.base_model.encoder.layer[::2]
        model.config.num_hidden_layers = len(model.base_model.encoder.layer)
    return model.eval(), tokenizer


def load_config(
    name: str, labels: Sequence[str], pooling: Pooling | Auto = "first", texts: int | None = None
) -> PretrainedConfig:
    """The config of a checkpoint, with the task's labels. Raises: ModelError."""
    config = read_config(name, *locate(name))
    known = _classifies(config, labels)
    _with_labels(config, labels)
    if not known:
        config = _for_new_head(config, name, pooling, texts)
    if name == "minilm-l3":
        config.num_hidden_layers //= 2
    return config


def new_model(config: PretrainedConfig, seed: int) -> PreTrainedModel:
    """A model with the config's own random initialisation, in float32, from ``seed`` alone."""
    with quiet(), seeded(seed):
        return AutoModelForSequenceClassification.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        ).eval()


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer of up to 8,000 pieces; the same texts give the same pieces."""
    backend = BertTokenizerFast().backend_tokenizer
    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    count: Counter[str] = Counter()
    for word, times in words.items():
        for character in word:
            count[character] += times
    alphabet = sorted(sorted(count), key=count.__getitem__, reverse=True)[:SCRATCH_CHARACTERS]
    inner = sorted(
        {"##" + character for word in words for character in word[1:]} & {"##" + c for c in alphabet}
    )

    # The trainer numbers the "##" characters in the random order of a hash map, which decides ties between
    # merges. Handed over as special tokens they keep this order; only the resulting vocabulary is used.
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = WordPieceTrainer(
        vocab_size=SCRATCH_VOCABULARY,
        special_tokens=special + inner,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner = Tokenizer(WordPiece(unk_token="[UNK]"))
    learner.normalizer, learner.pre_tokenizer = normalizer, pre_tokenizer
    learner.train_from_iterator(chain.from_iterable([word] * times for word, times in words.items()), trainer)
    return BertTokenizerFast(vocab=learner.get_vocab(), model_max_length=512)


def model_hash(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of the weights (names, shapes, types, bytes), the config and the tokenizer.

    Equal for two models that give the same logits by construction; a key for caches.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    config = {key: value for key, value in model.config.to_dict().items() if key not in _NOT_ESSENTIAL}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # These two hold the arguments of the tokenizer's last call.
    backend["truncation"] = backend["padding"] = None
    digest.update(json.dumps(backend, sort_keys=True).encode())
    return digest.hexdigest()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw random numbers on the CPU from ``seed``, and put the global state back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _labels(config: PretrainedConfig) -> list[str]:
    """The names of a classifier's logits; those of any other checkpoint are LABEL_0, LABEL_1.

    A class that its maker has numbered may be a number there.
    """
    return [str(config.id2label[i]) for i in sorted(config.id2label)]


def _other_head(name: str, old: Sequence[str], new: Sequence[str]) -> str:
    listed = ", ".join(old[:5]) + (", ..." if len(old) > 5 else "")
    return (
        f"{short(name)} is a classifier of {len(old):,} other labels ({listed}). Its head was replaced by "
        f"one for the {len(new):,} of this task, which starts from nothing."
    )


def _with_labels(config: PretrainedConfig, labels: Sequence[str]) -> PretrainedConfig:
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    # Left open, the first forward pass with labels would fill it in and so change the config.
    config.problem_type = "single_label_classification"
    return config


def _classifies(config: PretrainedConfig, labels: Sequence[str]) -> bool:
    """Whether it was saved as a classifier of these labels.

    transformers gives every model labels, LABEL_0 and LABEL_1, and these may be a task's own.
    """
    return sorted(_labels(config)) == sorted(labels) and (not config.architectures or _has_head(config))


def _has_head(config: PretrainedConfig) -> bool:
    return any("ForSequenceClassification" in str(kind) for kind in config.architectures or ())


def _for_new_head(
    config: PretrainedConfig, name: str, pooling: Pooling | Auto, texts: int | None
) -> PretrainedConfig:
    """The config of a model whose new head reads what ``pooling`` says. Raises: ModelError."""
    if pooling == "auto":
        preset, folder = find_preset(name, TEACHERS), paths.existing_folder(name)
        made_for_it = preset.mean if preset else folder is not None and _takes_the_mean(folder)
        few = texts is not None and texts < FEW_TEXTS and config.num_hidden_layers < DEEP
        helps = few or len(config.id2label) >= MANY_CLASSES
        made_so = isinstance(config, PooledBertConfig)  # by an earlier training here
        pooling = "mean" if made_so or (helps and made_for_it and config.model_type == "bert") else "first"
    if pooling == "first":
        return plain(config)
    if not isinstance(config, BertConfig):
        raise ModelError(
            f"--teacher-pooling mean is there for BERT alone, and {short(name)} is a {config.model_type}; "
            "leave it out."
        )
    return pooled(config)


def _takes_the_mean(folder: Path) -> bool:
    """Whether sentence-transformers wrote the folder, and says so."""
    try:
        told = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
        return told["pooling_mode_mean_tokens"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def output_layer(model: PreTrainedModel) -> tuple[str, nn.Linear]:
    """The name of the last layer of a classifier's head, and the layer."""
    body = f"{model.base_model_prefix}."  # which XLM-RoBERTa and CamemBERT have after their head
    linear = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    return [(name, part) for name, part in linear if not name.startswith(body)][-1]


def has_new_head(model: PreTrainedModel) -> bool:
    """Whether no training has touched the head: it was drawn without a bias."""
    bias = output_layer(model)[1].bias
    return bias is not None and not bool(bias.any())


def _fit_head(model: PreTrainedModel, old_labels: Sequence[str], labels: Sequence[str]) -> None:
    """Make logit i that of label i: reorder the rows of a head for these labels, draw any other anew."""
    _, output = output_layer(model)
    with torch.no_grad():
        if sorted(old_labels) == sorted(labels):
            rows = [list(old_labels).index(label) for label in labels]
            output.weight.copy_(output.weight[rows])
            if output.bias is not None:
                output.bias.copy_(output.bias[rows])
        else:
            output.weight.normal_(0.0, getattr(model.config, "initializer_range", 0.02))
            if output.bias is not None:
                output.bias.zero_()
    _with_labels(model.config, labels)
