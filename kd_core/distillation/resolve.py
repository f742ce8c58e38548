"""The one place where ``auto`` becomes a number."""

from __future__ import annotations

import math
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
from transformers import PretrainedConfig

from kd_core.config import DistillConfig
from kd_core.data.task import Task
from kd_core.data.words import CHARACTER, WORD
from kd_core.distillation.events import Resolved
from kd_core.errors import ConfigError
from kd_core.models.checkpoints import clamp_length
from kd_core.models.inference import supports_bf16
from kd_core.models.size import intermediate_size, student_config
from kd_core.models.students import resolve_fill, resolve_init
from kd_core.system.settings import fixed

# Lengths to choose from: padding is per batch, so a longer limit costs only where a text is long.
LENGTHS = (64, 128, 256)
PIECES_PER_WORD = 1.5
SAMPLE = 500  # texts that are enough to know how long one is
STEPS = 900  # enough for the bundled headlines: 1,200 and 900 validate alike
SMALL = 256  # hidden size up to which a student takes the larger learning rate


def resolve(config: DistillConfig, task: Task, teacher: PretrainedConfig) -> DistillConfig:
    """A copy without ``auto``, given the task and the teacher's architecture.

    Raises: ConfigError, ModelError.
    """
    if missing := [name for name in config.training.report_to if find_spec(name) is None]:
        raise ConfigError(
            f"training.report_to has {', '.join(missing)}, not installed here; install it with "
            f"pip install {' '.join(missing)}, or leave it out"
        )
    from_scratch = config.teacher.model == "scratch"
    deep = teacher.num_hidden_layers >= 12
    student = student_config(config.student, teacher, teacher.vocab_size)
    passes = math.ceil(len(task.train) / config.training.batch_size)
    init = resolve_init(config.student, teacher)
    answers: dict[str, Any] = {
        "task.max_length": _max_length(task),
        "teacher.epochs": 20 if from_scratch else 5,
        "teacher.learning_rate": 5e-4 if from_scratch else 3e-5 if deep else 1e-4,
        "student.init": init,
        "student.fill_vocabulary": resolve_fill(config.student, init),
        "training.steps": max(STEPS, 3 * passes),
        "training.learning_rate": 5e-4 if student.hidden_size <= SMALL else 1e-4,
        "training.precision": "bf16" if supports_bf16() else "fp32",
    }
    changes = {name: value for name, value in answers.items() if _is_auto(config, name)}
    # A preset decides the sizes: what the run stores are those that were built.
    changes |= _sizes("teacher", teacher) | _sizes("student", student)
    config = config.change(changes)
    # These two follow from what was just decided.
    last = {"task.max_length": clamp_length(teacher, fixed(config.task.max_length))}
    if config.training.evaluate_every == "auto":
        last["training.evaluate_every"] = max(1, fixed(config.training.steps) // 12)
    return config.change(last)


def announce(config: DistillConfig, task: Task) -> Resolved:
    """The event that says how much a resolved ``config`` has to do."""
    limit = fixed(config.task.max_length)
    splits = ("train", "validation", "test", "transfer")
    tokens = {}
    for name in ("train", "transfer"):
        pieces = [_pieces(text) for text in islice(getattr(task, name)["text"], SAMPLE)]
        tokens[name] = min(limit, float(np.mean(pieces)) + 2) if pieces else 0.0
    rows = {name: len(getattr(task, name)) for name in splits}
    return Resolved(config.model_dump(mode="json"), len(task.labels), rows, tokens)


def _sizes(section: str, model: PretrainedConfig) -> dict[str, int]:
    return {
        f"{section}.layers": model.num_hidden_layers,
        f"{section}.hidden": model.hidden_size,
        f"{section}.heads": getattr(model, "num_attention_heads", 1),  # a BiLSTM has none
        f"{section}.intermediate": intermediate_size(model),
    }


def _is_auto(config: DistillConfig, dotted: str) -> bool:
    section, _, name = dotted.partition(".")
    return bool(getattr(getattr(config, section), name) == "auto")


def _max_length(task: Task) -> int:
    """The shortest limit that holds 99 of 100 texts, by their words."""
    pieces = [_pieces(text) for split in (task.train, task.transfer) for text in split["text"]]
    needed = float(np.quantile(pieces, 0.99)) + 2
    return next((length for length in LENGTHS if length >= needed), LENGTHS[-1])


def _pieces(text: str) -> float:
    """About how many a text has; of a word that is one character, one."""
    alone = len(CHARACTER.findall(text))
    return PIECES_PER_WORD * (len(WORD.findall(text)) - alone) + alone
