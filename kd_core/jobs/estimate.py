"""How long a run will take on this machine.

Each step of a run is given an amount of *work*; seconds are work over a *rate*. The rate comes from finished
runs of this machine, those with the nearest amount of work first, or from a second of calibration where there
is none. Only ratios of work matter, since a rate is measured in the same units.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from kd_core.config import DistillConfig, fixed
from kd_core.distillation.events import STAGES, Estimated, Stage, StageStarted
from kd_core.distillation.roles import ROLES, STUDENTS, student_variants
from kd_core.errors import RunError
from kd_core.jobs.plan import Plan, Shape
from kd_core.system import paths

if TYPE_CHECKING:
    from kd_core.jobs.store import Store

# FLOPs that take as long as what is no matrix product, measured with two cores and bfloat16: the step itself,
# AdamW for one weight, and norms, activations and softmaxes for one hidden unit of one token.
PER_STEP = 6e9
PER_WEIGHT = 1e3
PER_UNIT = 5e3
BACKWARD = 3  # forward and backward together, in forwards
CHECKPOINT_COPIES = 6  # weights, two moments, written and hashed, as weights updated
LATENCY_PASSES = 2  # of each model per text that is timed, with the models taking turns
SHIFTED = 4  # further copies of the test texts that are scored
NEAREST = 3
SHARED = ("task", "teacher", "student")  # what decides the size of texts and models


@dataclass(frozen=True)
class Past:
    """What a finished run of this machine tells about the next one."""

    config: Mapping[str, Any]  # resolved
    seconds: Mapping[str, float]  # of the stages that were computed
    work: Mapping[str, float] = field(default_factory=dict)  # {} where nobody had estimated it
    kept: bool = True  # its teacher is still in the cache


@dataclass(frozen=True)
class Estimate:
    """Of each stage. ``measured``: some rate comes from a past run, not from the calibration alone."""

    seconds: dict[str, float]
    work: dict[str, float]
    cached: tuple[str, ...]
    measured: bool

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def past_runs(store: Store, limit: int = 20) -> list[Past]:
    """The latest finished runs of this machine. One that was resumed has no times that mean anything."""
    found = []
    for row in store.runs(kind="distil", status=("done",), limit=limit):
        if row.machine != socket.gethostname():
            continue
        try:
            report = store.report(row.id)
        except RunError:  # deleted in this moment, or its folder is gone
            continue
        events = [entry.event for entry in store.events(row.id)]
        starts = [event.stage for event in events if isinstance(event, StageStarted)]
        whole = len(starts) == len(set(starts))
        cached = report.cached
        seconds = {stage: taken for stage, taken in report.seconds.items() if not cached.get(stage)}
        work = next((event.work for event in events if isinstance(event, Estimated)), {})
        kept = (paths.caches() / "teachers" / report.teacher_key).is_dir()
        found.append(Past(report.config, seconds if whole else {}, work, kept))
    return found


def estimate(plan: Plan, past: Iterable[Past], calibrated: Callable[[], float]) -> Estimate:
    """``calibrated()``: the rate to take where no past run measured that step."""
    past = [_with_work(run, plan) for run in past]
    cached = cached_parts(plan.config, past)
    work = run_work(plan, cached)
    rates = {stage: _rate(stage, work[stage], past) for stage in STAGES}
    return Estimate(
        seconds={stage: work[stage] and work[stage] / (rates[stage] or calibrated()) for stage in STAGES},
        work={stage: work[stage] for stage in STAGES},
        cached=tuple(stage for stage in STAGES if stage in cached),
        measured=any(rates.values()),
    )


def _with_work(run: Past, plan: Plan) -> Past:
    """``kd distill`` estimates nothing; the work of its runs is known where texts and models are these."""
    mine = plan.config.model_dump(mode="json")
    if run.work or any(run.config.get(part) != mine[part] for part in SHARED):
        return run
    cached = [stage for stage in ("teach", "record") if stage not in run.seconds]
    work = run_work(replace(plan, config=DistillConfig.from_dict(run.config)), cached)
    return replace(run, work={str(stage): amount for stage, amount in work.items()})


def cached_parts(config: DistillConfig, past: Iterable[Past]) -> set[str]:
    """Of "teach", "record" and students that runs share: what a past run with these settings left cached."""
    mine = config.model_dump(mode="json")
    found: set[str] = set()
    for run in past:
        if not run.kept:
            continue
        if all(run.config.get(part) == mine[part] for part in ("task", "teacher")) and (
            run.config["training"]["precision"] == mine["training"]["precision"]
        ):
            found |= {"teach", "record"}
            if all(run.config.get(part) == mine[part] for part in ("student", "training")):
                found |= {who for who in STUDENTS if ROLES[who].shared}
    return found


def run_work(plan: Plan, cached: Iterable[str] = ()) -> dict[Stage, float]:
    """The work of each stage, in FLOPs or what takes as long."""
    cached, rows, config = set(cached), plan.rows, plan.config
    train, transfer = plan.tokens["train"], plan.tokens["transfer"]
    teacher, student = plan.teacher, plan.student

    passes = fixed(config.teacher.epochs)
    teacher_steps = math.ceil(rows["train"] / config.teacher.batch_size)
    frozen = config.teacher.freeze_embeddings and config.teacher.model != "scratch"
    weights = teacher.params - (teacher.embedding_params if frozen else 0)
    teach = passes * (
        teacher_steps * _step(teacher, config.teacher.batch_size * train, weights)
        + _look(teacher, rows["validation"] * train)
    )
    record = _forward(teacher, rows["train"] * train + rows["transfer"] * transfer)

    training = config.training
    steps, looks = fixed(training.steps), fixed(training.steps) // fixed(training.evaluate_every)
    # A batch is padded to its longest text, so that transfer rows make the labelled ones as long.
    both = (training.batch_size + training.transfer_batch_size) * max(train, transfer)
    few = training.batch_size * train
    batches = [
        both if variant.transfer else few
        for variant in student_variants(config, rows["transfer"])
        if variant.who not in cached
    ]
    weights = student.params - (student.embedding_params if config.student.freeze_embeddings else 0)
    distil = sum(
        steps * _step(student, tokens, weights) + looks * _look(student, rows["validation"] * train)
        for tokens in batches
    )
    if config.objective.needs_teacher_online:
        distil += steps * sum(_forward(teacher, tokens) + PER_STEP for tokens in batches)
    distil *= len(training.seeds)

    scored = rows["test"] * train * (1 + SHIFTED * config.controls.shifted)
    models = [teacher, *[student] * (1 + len(batches)) * len(training.seeds)]
    validate = sum(_forward(model, scored) for model in models)
    timed = config.controls.latency_repeats * LATENCY_PASSES
    validate += timed * sum(
        _forward(model, train) + PER_STEP * model.layers / 10 for model in (teacher, student)
    )
    return {
        "teach": 0.0 if "teach" in cached else teach,
        "record": 0.0 if "record" in cached else record,
        "distil": distil,
        "validate": validate,
    }


def calibrate() -> float:
    """Work per second of a small model that trains for a moment: about a second in all."""
    import time

    import torch
    from transformers import BertConfig

    from kd_core.models.inference import supports_bf16
    from kd_core.models.loading import new_model

    rows, tokens, hidden, layers = 32, 32, 256, 2
    config = BertConfig(
        vocab_size=2_000,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * hidden,
    )
    model = new_model(config, 0).train()
    params = sum(p.numel() for p in model.parameters())
    shape = Shape("", layers, hidden, 4, params, 2_000 * hidden, 4 * params / 1e6, 24 * layers * hidden**2)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.zeros(rows, tokens, dtype=torch.long)
    labels = torch.zeros(rows, dtype=torch.long)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.8 and len(times) < 50):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=supports_bf16()):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)
    # The quickest: the others were held up by whatever else the machine was doing.
    return _step(shape, rows * tokens, params) / min(times)


def _rate(stage: Stage, work: float, past: Iterable[Past]) -> float | None:
    """The median rate of the past runs whose work in this stage is nearest to ``work``."""
    measured = [
        (run.work[stage], run.work[stage] / run.seconds[stage])
        for run in past
        if run.work.get(stage) and run.seconds.get(stage)
    ]
    measured.sort(key=lambda pair: abs(math.log(pair[0] / work)) if work else 0.0)
    return median(rate for _, rate in measured[:NEAREST]) if measured else None


def _step(model: Shape, tokens: float, weights: int) -> float:
    inner = PER_UNIT * model.layers * model.hidden
    return PER_STEP + PER_WEIGHT * weights + tokens * (BACKWARD * model.flops_per_token + inner)


def _forward(model: Shape, tokens: float) -> float:
    return tokens * (model.flops_per_token + PER_UNIT * model.layers * model.hidden / BACKWARD / 2)


def _look(model: Shape, tokens: float) -> float:
    """One evaluation and its checkpoint."""
    return _forward(model, tokens) + CHECKPOINT_COPIES * PER_WEIGHT * model.params + PER_STEP
