"""How long a run will take on this machine.

Seconds are work, as ``cost`` counts it, over a *rate*. The rate comes from finished runs of this machine,
those with the nearest amount of work first, or from half a second of calibration where there is none.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from kd_core.config import LEGACY, DistillConfig
from kd_core.distillation.events import STAGES, Estimated, Resolved, Stage, StageStarted, TrainingStarted
from kd_core.distillation.roles import ROLES, STUDENTS, Role
from kd_core.errors import RunError
from kd_core.jobs.cost import by_stage, parts, training_step
from kd_core.jobs.plan import Plan, announced
from kd_core.system import paths

if TYPE_CHECKING:
    from kd_core.jobs.store import Store

NEAREST = 3
ALIKE = 8  # times the work, up to which one run tells how long another takes: a small one mostly loads models
SHARED = ("task", "teacher", "student")  # what decides the size of texts and models


@dataclass(frozen=True)
class PastRun:
    """What a finished run of this machine tells about the next one."""

    config: Mapping[str, Any]  # resolved
    seconds: Mapping[str, float]  # of the stages that were computed
    work: Mapping[str, float] = field(default_factory=dict)  # {} where nobody had estimated it
    kept: bool = True  # its teacher is still in the cache
    ready: Collection[tuple[Role, int]] = ()  # models, by role and seed, that it did not train itself


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


def past_runs(store: Store, limit: int = 20) -> list[PastRun]:
    """The latest finished runs of this machine. One that was resumed has no times that mean anything."""
    past = []
    for row in store.runs(kind="distil", status=("done",), here=True, limit=limit):
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
        # Versions whose runs did not say what they do counted work otherwise.
        today = any(isinstance(event, Resolved) for event in events)
        work = next((event.work for event in events if today and isinstance(event, Estimated)), {})
        kept = bool(report.teacher_key) and (paths.caches() / "teachers" / report.teacher_key).is_dir()
        ready = {
            (event.who, event.seed) for event in events if isinstance(event, TrainingStarted) and event.cached
        }
        past.append(PastRun(report.config, seconds if whole else {}, work, kept, ready))
    return past


def estimate(plan: Plan, past: Iterable[PastRun], calibrated: Callable[[], float]) -> Estimate:
    """``calibrated()``: the rate to take where no past run measured that step."""
    past = [_with_work(run, plan) for run in past]
    cached = cached_parts(plan.config, past)
    work = by_stage(parts(plan, cached))
    rates = {stage: _rate(stage, work[stage], past) for stage in STAGES}
    return Estimate(
        seconds={stage: work[stage] and work[stage] / (rates[stage] or calibrated()) for stage in STAGES},
        work=work,
        cached=tuple(stage for stage in STAGES if stage in cached),
        measured=any(rates.values()),
    )


def estimate_at_start(event: Resolved, store: Store) -> Estimated:
    """Of a run that nobody has estimated before it began, now that it has read its task."""
    expected = estimate(announced(event), past_runs(store), calibrate)
    return Estimated(expected.seconds, expected.work)


def _with_work(run: PastRun, plan: Plan) -> PastRun:
    """A run of ``kd distill`` has no estimate: with the same texts and models, its work is computed here."""
    mine = plan.config.model_dump(mode="json")
    if run.work or any(run.config.get(part) != mine[part] for part in SHARED):
        return run
    cached = [stage for stage in ("teach", "record") if stage not in run.seconds]
    same = replace(plan, config=DistillConfig.from_dict(run.config))
    done = [part for part in parts(same, cached) if (part.who, part.seed) not in run.ready]
    return replace(run, work=by_stage(done))


def cached_parts(config: DistillConfig, past: Iterable[PastRun]) -> set[str]:
    """Of "teach", "record" and students that runs share: what a past run with these settings left cached."""
    mine = config.model_dump(mode="json")
    cached: set[str] = set()
    for run in past:
        if not run.kept:
            continue
        if _teaching(run.config) == _teaching(mine):
            cached |= {"teach", "record"}
            if all(run.config.get(part) == mine[part] for part in ("student", "training")):
                cached |= _shared_students(run.config) & _shared_students(mine)
    return cached


def _teaching(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What teachers hang on; a setting that a report is too old for has the value of before it."""
    others = (("objective", "class_weights"), ("training", "metric"), ("training", "precision"))
    values = (config.get(part, {}).get(name, LEGACY.get(f"{part}.{name}")) for part, name in others)
    return config.get("task"), config.get("teacher"), *values


def _shared_students(config: Mapping[str, Any]) -> set[str]:
    """Of a run, those that other runs have too."""
    on = {who for who in STUDENTS if config["controls"].get(ROLES[who].switch, not ROLES[who].switch)}
    return {who for who in on if ROLES[who].shared}


def calibrate() -> float:
    """Work per second of a small model that trains for a moment: about half a second in all.

    A page may ask for it while a run is under way, whose weights hang on torch's one random state: nothing
    here draws from that, neither weights nor dropout.
    """
    import time
    from itertools import chain

    import torch
    from transformers import AutoModelForSequenceClassification, BertConfig

    from kd_core.models.inference import fast_precision
    from kd_core.models.size import model_size

    rows, tokens, hidden, layers = 32, 32, 256, 2
    config = BertConfig(
        vocab_size=2_000,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * hidden,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    model = model.to_empty(device="cpu").train()
    with torch.no_grad():
        for tensor in chain(model.parameters(), model.buffers()):
            tensor.fill_(0.01 if tensor.is_floating_point() else 0)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.zeros(rows, tokens, dtype=torch.long)
    labels = torch.zeros(rows, dtype=torch.long)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.3 and len(times) < 50):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_precision() == "bf16"):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)
    # The quickest: the others were held up by whatever else the machine was doing.
    size = model_size(config, tokens)
    return training_step(size, rows * tokens, size.params) / min(times)


def _rate(stage: Stage, work: float, past: Iterable[PastRun]) -> float | None:
    """The median rate of the past runs whose work in this stage is nearest to ``work``, of those like it."""
    measured = [
        (run.work[stage], run.work[stage] / run.seconds[stage])
        for run in past
        if run.work.get(stage) and run.seconds.get(stage)
        if not work or 1 / ALIKE <= run.work[stage] / work <= ALIKE
    ]
    measured.sort(key=lambda pair: abs(math.log(pair[0] / work)) if work else 0.0)
    return median(rate for _, rate in measured[:NEAREST]) if measured else None
