"""The teachers and students that have a name. Imports no torch: the command and the pages list them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from kd_core.errors import ModelError
from kd_core.models.network_sizes import (
    BILSTM_HIDDEN,
    BILSTM_INNER,
    CNN_FILTERS,
    CNN_HIDDEN,
    STATIC_HIDDEN,
    STATIC_INNER,
)
from kd_core.system import paths

Source = Literal["bundled", "extra", "hub", "new", "teacher"]

# Each part starts with a letter, a digit or "_", so that "./x" is a path. The rest are the Hub's own rules.
_HUB_ID = re.compile(r"(?=.{1,96}$)(?!.*(--|\.\.))\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True)
class Preset:
    """A model by name. A size is None where the teacher or the config decides it.

    ``source``: "bundled" weights come with the package, "extra" ones with an extra of it, "hub" ones need a
    network once, "new" ones start from nothing or from the teacher's embeddings, "teacher" ones have the
    teacher's width.
    """

    name: str
    description: str
    layers: int | None
    hidden: int | None
    heads: int | None
    intermediate: int | None
    source: Source
    hub_id: str | None = None
    network: str = ""  # what it is, where that is no transformer and transformers cannot load it
    mean: bool = False  # made so that the mean over a text's tokens says what it is about


def _hub(
    name: str, description: str, sizes: tuple[int, int, int, int], organisation: str | None = None
) -> Preset:
    return Preset(name, description, *sizes, "hub", f"{organisation}/{name}" if organisation else name)


def _by_name(*presets: Preset) -> Mapping[str, Preset]:
    return {preset.name: preset for preset in presets}


TEACHERS = _by_name(
    Preset("minilm-l6", "all-MiniLM-L6-v2, English, bundled", 6, 384, 12, 1536, "bundled", mean=True),
    Preset("minilm-l3", "Every other layer of minilm-l6, bundled", 3, 384, 12, 1536, "bundled", mean=True),
    Preset(
        "e5-small",
        "multilingual-e5-small, 100 languages, with the extra zh",
        12,
        384,
        12,
        1536,
        "extra",
        "intfloat/multilingual-e5-small",
        mean=True,
    ),
    _hub("bert-base-uncased", "BERT, English", (12, 768, 12, 3072), "google-bert"),
    _hub("roberta-base", "RoBERTa, English, case matters", (12, 768, 12, 3072), "FacebookAI"),
    _hub("bert-base-chinese", "BERT, Chinese", (12, 768, 12, 3072), "google-bert"),
    _hub("distilbert-base-uncased", "DistilBERT, English", (6, 768, 12, 3072), "distilbert"),
    _hub("bert-large-uncased", "BERT, English, large", (24, 1024, 16, 4096), "google-bert"),
    _hub("albert-base-v2", "ALBERT, English: its layers share weights", (12, 768, 12, 3072), "albert"),
    _hub("google/electra-small-discriminator", "ELECTRA, English, small", (12, 256, 4, 1024)),
    _hub("microsoft/deberta-v3-small", "DeBERTa-v3, English", (6, 768, 12, 3072)),
    _hub("answerdotai/ModernBERT-base", "ModernBERT, English, long texts", (22, 768, 12, 1152)),
    Preset(
        "scratch", "A new BERT of the sizes given, trained on the task alone", None, None, None, None, "new"
    ),
)

STUDENTS = _by_name(
    Preset(
        "cnn",
        "Filters over two to four words (Kim 2014)",
        1,
        CNN_HIDDEN,
        None,
        CNN_FILTERS,
        "new",
        network="convolutional network",
    ),
    Preset(
        "static",
        "The mean of word vectors, and a small network",
        1,
        STATIC_HIDDEN,
        None,
        STATIC_INNER,
        "new",
        network="static network",
    ),
    Preset("tiny", "2 layers of 128", 2, 128, 2, 512, "new"),
    Preset("mini", "4 layers of 256", 4, 256, 4, 1024, "new"),
    Preset("small", "4 layers of 512, for a larger teacher", 4, 512, 8, 2048, "new"),
    Preset("medium", "8 layers of 512, for a larger teacher", 8, 512, 8, 2048, "new"),
    Preset("half", "Every second layer of the teacher", None, None, None, None, "teacher"),
    Preset("third", "Every third layer of the teacher", None, None, None, None, "teacher"),
    Preset("custom", "The layers, hidden size and heads given", None, None, None, None, "new"),
    Preset(
        "bilstm",
        "A BiLSTM without attention (Tang et al. 2019)",
        1,
        BILSTM_HIDDEN,
        None,
        BILSTM_INNER,
        "new",
        network="BiLSTM",
    ),
)

# By what matters most; a ladder tries the same ones. What each costs here, the plan of a run says.
OUTCOMES: Mapping[str, str] = {"Size and speed": "cnn", "Balance": "third", "Accuracy": "half"}

ENGLISH, MANY_LANGUAGES = "minilm-l6", "e5-small"  # the teachers that auto chooses between

PROBE_TEXTS = 5_000  # that a teacher's head starts from, at most: more of them hardly move the start
# From so many classes on the heads of a teacher and of cnn read the mean over a text's tokens, too. It says
# what the text is about: with 50 to 150 classes that brought teachers three points and students one, with 2
# to 6 it cost up to two and one. With fewer training texts than these a teacher that reads it, and begins
# without a probe, is the better one whatever the classes (docs/decisions.md).
MANY_CLASSES, FEW_TEXTS = 20, 400
# Layers from which a teacher takes smaller steps, with which a head drawn at random would learn too late.
DEEP = 12
# A student's vocabulary is filled up to so many word pieces, about as many as the demo's transfer set brings:
# tiny has 2.7 M parameters then.
FILLED_PIECES = 17_000
# One that takes whole layers of its teacher has rows as wide: with so many, half of minilm-l6 has 44 % of its
# parameters, and reads as well (docs/decisions.md).
WIDE_PIECES = 11_000


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset | None:
    """The preset of that name, or None where ``name`` is an existing folder or could be a Hub id.

    Raises: ModelError.
    """
    if name in presets:
        return presets[name]
    if _HUB_ID.fullmatch(name) or paths.existing_folder(name):
        return None
    raise ModelError(
        f"{name!r} is no model: choose {', '.join(presets)}, the folder of a Hugging Face model, "
        "or a Hub id such as google-bert/bert-base-uncased."
    )


def architecture(name: str) -> str:
    """The preset that a student of that name is like; of a folder with a network of ours, that one's."""
    folder = None if name in STUDENTS else paths.existing_folder(name)
    with suppress(OSError, ValueError, AttributeError):
        kind = folder and json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
        return next((own for own in STUDENTS if kind == f"kd_{own}"), name)
    return name


def other_network(name: str) -> str:
    """What a student of that name is where it is no transformer, else ""."""
    own = architecture(name)
    return STUDENTS[own].network if own in STUDENTS else ""


def short(name: str) -> str:
    """A model's name without its folder or organisation."""
    return re.split(r"[\\/]", name.rstrip("\\/"))[-1]
