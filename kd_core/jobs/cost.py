"""How much work each part of a run is: the one model behind estimates, progress and the outlook of a search.

Work is counted in FLOPs, or what takes as long. Only ratios matter: rates are measured in the same units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.distillation.events import STAGES, Stage
from kd_core.distillation.roles import Role, student_variants
from kd_core.distillation.side_by_side import at_once
from kd_core.models.presets import PROBE_TEXTS
from kd_core.system.settings import fixed

if TYPE_CHECKING:
    from kd_core.jobs.plan import Plan
    from kd_core.models.size import ModelSize

# FLOPs that take as long as what is no matrix product, measured with two cores and bfloat16: calling a layer
# in a step, AdamW for one weight, and norms, activations and softmaxes for one hidden unit of one token.
PER_LAYER = 3e9
PER_WEIGHT = 1e3
PER_UNIT = 5e3
BACKWARD = 3  # forward and backward together, in forwards
PADDING = 1.6  # the longest text of a batch in training, to which it is padded, in mean lengths
PER_SCORED = 2e8  # a text that is scored: corrupting it, cutting it into pieces, comparing
LATENCY_PASSES = 2  # of each model per text that is timed, with the models taking turns
SHIFTED = 4  # further copies of the test texts that are scored
LETTERS_PER_TOKEN = 4.5
PER_LETTER = 3e4  # that TF-IDF reads
PER_CLASS = 5e6  # that it is fitted to, times the square root of the letters


@dataclass(frozen=True)
class Part:
    """A training, of ``texts`` a step, or a stage without one."""

    stage: Stage
    work: float
    who: Role | None = None
    seed: int = 0
    texts: int = 0
    together: int = 1  # trainings that share its time


def parts(plan: Plan, cached: Iterable[str] = ()) -> list[Part]:
    """In their order; without those whose stage or role is among ``cached``."""
    cached = set(cached)
    return [part for part in _parts(plan) if not cached & {part.stage, part.who}]


def by_stage(parts: Iterable[Part]) -> dict[str, float]:
    """The work of each stage; 0 where it has no part."""
    work: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    for part in parts:
        work[part.stage] += part.work
    return work


def training_step(model: ModelSize, tokens: float, weights: int) -> float:
    inner = PER_UNIT * model.layers * model.hidden
    return (
        PER_LAYER * model.layers + PER_WEIGHT * weights + tokens * (BACKWARD * model.flops_per_token + inner)
    )


def _parts(plan: Plan) -> Iterator[Part]:
    config, rows, teacher, student = plan.config, plan.rows, plan.teacher, plan.student
    train, transfer = plan.tokens["train"], plan.tokens["transfer"]

    def longest(tokens: float) -> float:
        return min(PADDING * tokens, fixed(config.task.max_length))

    batch = config.teacher.batch_size
    frozen = config.teacher.freeze_embeddings and config.teacher.model != "scratch"
    step = training_step(teacher, batch * longest(train), _weights(teacher, frozen))
    epoch = math.ceil(rows["train"] / batch) * step + _evaluation(teacher, rows["validation"] * train)
    probe = _forward(teacher, min(rows["train"], PROBE_TEXTS) * train) if config.teacher.probe else 0
    if not config.task.knowledge:  # else the teacher is a file, which is read in no time
        taught = probe + fixed(config.teacher.epochs) * epoch
        yield Part("teach", taught, "teacher", config.teacher.seed, batch)
        yield Part("record", _forward(teacher, rows["train"] * train + rows["transfer"] * transfer))

    training, variants = config.training, student_variants(config, rows["transfer"])
    steps = fixed(training.steps)
    evaluations = steps // fixed(training.evaluate_every) * _evaluation(student, rows["validation"] * train)
    weights = _weights(student, config.student.freeze_embeddings)
    together = at_once(config, len(training.seeds) * len(variants))
    for seed in training.seeds:
        for variant in variants:
            texts = training.batch_size + (training.transfer_batch_size if variant.transfer else 0)
            # Transfer rows make the labelled ones of their batch as long.
            tokens = texts * longest(max(train, transfer) if variant.transfer else train)
            step = training_step(student, tokens, weights)
            if variant.objective.needs_teacher_online:
                step += _forward(teacher, tokens) + PER_LAYER * teacher.layers
            work = (steps * step + evaluations) / together
            yield Part("distil", work, variant.who, seed, texts, together)

    scored = rows["test"] * (1 + SHIFTED * config.controls.shifted) + rows["validation"]
    asked = [] if config.task.knowledge else [teacher]
    models = [*asked, *[student] * len(variants) * len(training.seeds)]
    timed = config.controls.latency_repeats * LATENCY_PASSES
    yield Part(
        "validate",
        sum(_forward(model, scored * train) + PER_SCORED * scored for model in models)
        + timed * sum(_forward(model, train) + PER_LAYER * model.layers / 5 for model in (*asked, student))
        + (_floor(rows["train"], scored, train, plan.classes) if config.controls.tfidf else 0),
    )


def _floor(fitted: int, scored: int, tokens: float, classes: int) -> float:
    """TF-IDF on texts of so many tokens."""
    from kd_core.models.baselines import CHARACTERS, FEATURES, LETTERS, WEIGHTS

    letters = min(LETTERS_PER_TOKEN * tokens, CHARACTERS)
    read = min(fitted * letters, LETTERS)
    learned = min(classes, WEIGHTS // FEATURES) * math.sqrt(read)
    return PER_LETTER * (read + scored * letters) + PER_CLASS * learned


def _weights(model: ModelSize, frozen_embeddings: bool) -> int:
    """How many are trained."""
    return model.params - (model.embedding_params if frozen_embeddings else 0)


def _forward(model: ModelSize, tokens: float) -> float:
    return tokens * (model.flops_per_token + PER_UNIT * model.layers * model.hidden / BACKWARD / 2)


def _evaluation(model: ModelSize, tokens: float) -> float:
    return _forward(model, tokens) + PER_LAYER * model.layers
