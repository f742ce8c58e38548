"""How much of a run is done, and how long the rest will take.

Each part of a run (teaching, recording, every student, validating) has a cost in seconds: what was estimated
before the start, or else a guess from the config. What the parts that are done really took scales the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_core.config import DistillConfig
from kd_core.distillation.events import (
    STAGES,
    Event,
    Finished,
    Progress,
    Stage,
    StageFinished,
    Step,
    TrainingStarted,
)
from kd_core.distillation.roles import Role, StudentVariant, student_variants
from kd_core.errors import ConfigError
from kd_core.models.presets import STUDENTS, TEACHERS

# The guess: seconds with two cores and bfloat16, fitted to runs of MiniLM-L6 and the tiny student.
FORWARD = 1e-9  # one text through one layer, times hidden size squared
TRAIN = 3.5 * FORWARD
STEP = 0.015  # what a step costs besides its texts: optimiser, Python
VALIDATE = 3.0
VALIDATED_TEXTS = 4_000

TYPICAL_TEXTS = 1_300  # until the task is loaded and says how many there are
TYPICAL_STEPS = 1_200
TYPICAL_MODEL = (12, 768)  # layers and hidden size of one that is no preset

MEMORY = 0.98  # weight of what was measured before, at each new measurement
PAUSE = 10  # a measurement this many times slower than expected is none


@dataclass
class _Part:
    stage: Stage
    cost: float
    done: float = 0.0  # share of it


class RunProgress:
    """Fed with a run's events.

    ``state`` is that of an earlier one, to go on from where a resumed run was; ``estimated`` the seconds that
    were expected of each stage before the start.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        estimated: Mapping[str, float] | None = None,
    ) -> None:
        try:
            self._config = DistillConfig.from_dict(config)
        except ConfigError:  # of another version: what is measured makes up for it
            self._config = DistillConfig()
        before = state or {}
        self._spent: float = before.get("spent", 0.0)
        self._progress: float = before.get("progress", 0.0)
        # For each stage: the seconds that were measured, and the cost that was expected for them.
        self._measured: dict[str, list[float]] = {k: list(v) for k, v in before.get("measured", {}).items()}
        self._latest: tuple[_Part, float] | None = None  # the part that goes on, and when it last said so
        self._parts = self._plan()
        self._estimated: set[Stage] = set()
        self._scale(estimated or {})

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the run's row."""
        state = {"spent": self._spent, "progress": self.progress, "measured": self._measured}
        return {"progress": self.progress, "seconds_left": self.seconds_left, "pace": state}

    @property
    def seconds_left(self) -> float | None:
        """None until something was estimated or measured."""
        if not self._measured and not self._estimated:
            return None
        return sum(part.cost * (1 - part.done) * self._slowness(part.stage) for part in self._parts.values())

    @property
    def progress(self) -> float:
        """Share of the run's time that is behind it, 0 to 1; it never goes back, and is 1 at the very end."""
        left = self.seconds_left
        if left is not None and self._spent + left > 0:
            self._progress = max(self._progress, min(0.99, self._spent / (self._spent + left)))
        return self._progress

    def feed(self, event: Event, now: float) -> None:
        """``now`` is the monotonic time at which the event came."""
        match event:
            case TrainingStarted(who, seed, steps, cached):
                part = self._part(who, seed)
                if part.stage not in self._estimated:
                    self._plan_steps(part.stage, steps)
                part.done = float(cached)
                self._latest = None
            case Step(who, seed, step, steps):
                part, done = self._part(who, seed), step / steps
                # The trainer's own clock: a pause does not count. Its first report only says where it starts.
                texts = (done - part.done) * steps * self._rows(who)
                self._advance(part, done, texts / max(event.samples_per_second, 1e-9), now)
            case Progress("record", _, done, total):
                part = self._parts["record"]
                if "record" not in self._estimated:
                    part.cost = FORWARD * _size(self._teacher) * total
                self._advance(part, done / total, now - self._latest[1] if self._latest else 0.0, now)
            case Progress("validate", _, done, total):
                # The teacher comes first, and takes about as long as all that follows.
                self._parts["validate"].done = 0.5 + 0.5 * (done - 1) / max(total - 1, 1) if done else 0.0
            case StageFinished(stage):
                for part in self._parts.values():
                    part.done = 1.0 if part.stage == stage else part.done
                self._latest = None
            case Finished():
                self._progress = 1.0

    def _plan(self) -> dict[str, _Part]:
        config = self._config
        epochs = config.teacher.epochs
        if epochs == "auto":
            epochs = 20 if config.teacher.model == "scratch" else 5
        steps = TYPICAL_STEPS if config.training.steps == "auto" else config.training.steps
        self._teacher, self._student = _sizes(config, "teacher"), _sizes(config, "student")
        transfer = config.task.transfer_texts if _has_transfer(config) else 0
        teacher_steps = epochs * math.ceil(TYPICAL_TEXTS / config.teacher.batch_size)
        text = FORWARD * _size(self._teacher)
        parts = {_name("teacher", config.teacher.seed): _Part("teach", self._cost("teacher", teacher_steps))}
        parts["record"] = _Part("record", text * (TYPICAL_TEXTS + transfer))
        for seed in config.training.seeds:
            for student in _students(config):
                parts[_name(student.who, seed)] = _Part("distil", self._cost(student.who, steps))
        parts["validate"] = _Part("validate", VALIDATE + text * VALIDATED_TEXTS)
        return parts

    def _scale(self, seconds: Mapping[str, float]) -> None:
        """Take the estimate's sum for each stage. A 0 says that it will be found in the cache."""
        for stage in STAGES:
            parts = [part for part in self._parts.values() if part.stage == stage]
            before = sum(part.cost for part in parts)
            for part in parts:
                part.cost *= seconds.get(stage, before) / before
            if seconds.get(stage):
                self._estimated.add(stage)

    def _plan_steps(self, stage: Stage, steps: int) -> None:
        """The first student to start says how many steps all of them have."""
        for name, part in self._parts.items():
            if part.stage == stage:
                part.cost = self._cost(name.rpartition("-")[0], steps)

    def _part(self, who: Role, seed: int) -> _Part:
        stage: Stage = "teach" if who == "teacher" else "distil"
        return self._parts.setdefault(_name(who, seed), _Part(stage, self._cost(who, TYPICAL_STEPS)))

    def _cost(self, who: str, steps: int) -> float:
        size = _size(self._teacher if who == "teacher" else self._student)
        return steps * (STEP + TRAIN * size * self._rows(who))

    def _rows(self, who: str) -> int:
        """Texts in a step."""
        training = self._config.training
        if who == "teacher":
            return self._config.teacher.batch_size
        if any(student.who == who and student.transfer for student in _students(self._config)):
            return training.batch_size + training.transfer_batch_size
        return training.batch_size

    def _advance(self, part: _Part, done: float, seconds: float, now: float) -> None:
        """``part`` is ``done`` now, and took ``seconds`` since it last said so."""
        cost = part.cost * (done - part.done)
        goes_on = self._latest is not None and self._latest[0] is part
        self._latest, part.done = (part, now), done
        paused = self._measured and seconds > PAUSE * cost * self._slowness(part.stage)
        if goes_on and cost > 0 and not paused:
            before = self._measured.get(part.stage, [0.0, 0.0])
            self._measured[part.stage] = [MEMORY * before[0] + seconds, MEMORY * before[1] + cost]
            self._spent += seconds

    def _slowness(self, stage: Stage) -> float:
        """Real over expected seconds: of this stage, or else of all that was measured."""
        if not self._measured:
            return 1.0
        found = [self._measured[stage]] if stage in self._measured else list(self._measured.values())
        return sum(seconds for seconds, _ in found) / sum(cost for _, cost in found)


class CountedProgress:
    """The pace of a job that counts what it has done: a benchmark, an export, a search.

    What was done before it was interrupted is not counted into its speed.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._now = 0.0
        self._done = self._total = 0

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the job's row."""
        progress = self._done / self._total if self._total else 0.0
        return {"progress": progress, "seconds_left": self.seconds_left}

    @property
    def seconds_left(self) -> float | None:
        """None until something was done."""
        if self._first is None or self._done <= self._first[1]:
            return None
        seconds, done = self._now - self._first[0], self._done - self._first[1]
        return seconds / done * (self._total - self._done)

    def feed(self, event: Event, now: float) -> None:
        """``now`` is the monotonic time at which the event came."""
        if isinstance(event, Progress):
            self._first = self._first or (now, event.done)
            self._now, self._done, self._total = now, event.done, event.total


def _name(who: Role, seed: int) -> str:
    return f"{who}-{seed}"


def _students(config: DistillConfig) -> list[StudentVariant]:
    return student_variants(config, config.task.transfer_texts if _has_transfer(config) else 0)


def _has_transfer(config: DistillConfig) -> bool:
    """Bundled tasks, which have plain names, bring transfer texts; others need a file of them."""
    return bool(config.task.transfer_file) or not any(mark in config.task.name for mark in "./\\:")


def _sizes(config: DistillConfig, section: str) -> tuple[int, int]:
    """Layers and hidden size, by the preset or else by the config."""
    chosen = getattr(config, section)
    preset = (TEACHERS if section == "teacher" else STUDENTS).get(chosen.model)
    if preset is None:
        return TYPICAL_MODEL
    if preset.source == "teacher":
        layers, hidden = _sizes(config, "teacher")
        return max(1, layers // (3 if preset.name == "third" else 2)), hidden
    return preset.layers or chosen.layers, preset.hidden or chosen.hidden


def _size(sizes: tuple[int, int]) -> int:
    layers, hidden = sizes
    return layers * hidden**2
