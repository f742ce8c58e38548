"""Every field of the config, the limits of each number, and the problems of an illegal value."""

from __future__ import annotations

import math
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from kd_core.config import DistillConfig, sections
from kd_core.errors import ConfigError

FIELDS: dict[str, FieldInfo] = {
    f"{section}.{name}": info for section, cls in sections() for name, info in cls.model_fields.items()
}

# The lowest and the highest legal value of each number; None means no limit.
LIMITS: dict[str, tuple[float, float | None]] = {
    "task.train_texts": (0, None),
    "task.transfer_texts": (0, None),
    "task.augment": (0, 100),
    "task.split_seed": (0, 2**32 - 1),
    "task.max_length": (8, 8192),
    "teacher.layers": (1, 48),
    "teacher.hidden": (8, 4096),
    "teacher.heads": (1, 64),
    "teacher.intermediate": (8, 16_384),
    "teacher.epochs": (1, 200),
    "teacher.batch_size": (1, 4096),
    "teacher.learning_rate": (1e-8, 1),
    "teacher.seed": (0, 2**32 - 1),
    "student.layers": (1, 48),
    "student.hidden": (8, 4096),
    "student.heads": (1, 64),
    "student.intermediate": (8, 16_384),
    "objective.temperature": (0.01, 100),
    "objective.alpha": (0, 1),
    "objective.dkd_target_weight": (0, 100),
    "objective.dkd_other_weight": (0, 100),
    "objective.hidden_weight": (0, 1000),
    "objective.cosine_weight": (0, 1000),
    "objective.attention_weight": (0, 1000),
    "objective.relation_weight": (0, 1000),
    "student.fill_vocabulary": (0, 1_000_000),
    "task.smoothing": (0, 0.5),
    "training.steps": (1, 10_000_000),
    "training.batch_size": (1, 4096),
    "training.transfer_batch_size": (1, 4096),
    "training.learning_rate": (1e-8, 1),
    "training.warmup": (0, math.nextafter(1, 0)),
    "training.weight_decay": (0, 1),
    "training.max_grad_norm": (0.001, 1000),
    "training.evaluate_every": (1, None),
    "controls.resamples": (100, 1_000_000),
    "controls.latency_repeats": (5, 100_000),
}


def numeric(info: FieldInfo) -> type | None:
    """Return int or float for a field that is such a number or ``auto``, and None for another field."""
    if get_origin(info.annotation) is tuple:
        return None
    parts = (info.annotation, *get_args(info.annotation))
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    return next((kind for kind in kinds if kind in (int, float)), None)


def problems_of(values: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        DistillConfig.from_dict(values)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


def problem_with(place: str, value: Any) -> str:
    section, name = place.split(".")
    (problem,) = problems_of({section: {name: value}})
    return problem
