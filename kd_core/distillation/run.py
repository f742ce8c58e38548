"""What the four steps of one run share, and the clock that times them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import DistillConfig, Precision, Tracker, fixed
from kd_core.data.task import Task
from kd_core.distillation.events import Evaluated, OnEvent, Stage, StageFinished, StageStarted
from kd_core.distillation.roles import Role
from kd_core.system import cache, parallel
from kd_core.system.control import Control

TENSORBOARD = "tensorboard"  # in a run's folder: an event file for each model that was trained


@dataclass(frozen=True)
class Reporting:
    """The experiment trackers that hear of a training, its name there, and TensorBoard's folder."""

    to: tuple[Tracker, ...]
    name: str
    folder: Path


@dataclass(frozen=True)
class Run:
    """``config`` is resolved; ``work`` is a folder for checkpoints that goes when the run is done."""

    task: Task
    config: DistillConfig
    work: Path
    on_event: OnEvent
    control: Control

    @property
    def max_length(self) -> int:
        return fixed(self.config.task.max_length)

    @property
    def precision(self) -> Precision:
        return fixed(self.config.training.precision)

    def reporting(self, model: str) -> Reporting:
        """For a model by its name, as in ``Trained.name``."""
        return Reporting(
            self.config.training.report_to,
            f"{self.work.name} {model}",
            self.work / TENSORBOARD / model,
        )

    def place(self, kind: str, **parts: Any) -> Path:
        """The cache's folder of what is made of ``parts``; noted, so that it is kept as long as this run."""

        def note() -> Path:
            place = cache.place(kind, **parts)
            self.work.mkdir(parents=True, exist_ok=True)
            with (self.work / cache.USED).open("a", encoding="utf-8") as file:
                file.write(f"{kind}/{place.name}\n")
            return place

        return parallel.on_main_process(note)


@dataclass(frozen=True)
class Trained:
    """A model that is ready to be judged, and the folder with its weights."""

    who: Role
    seed: int
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    folder: Path

    @property
    def name(self) -> str:
        return self.who if self.who == "teacher" else f"{self.who}-{self.seed}"


@dataclass
class Clock:
    """Seconds of each stage, and whether its result was there already."""

    on_event: OnEvent
    seconds: dict[str, float] = field(default_factory=dict)
    cached: dict[str, bool] = field(default_factory=dict)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        self.on_event(StageStarted(stage))
        start = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - start
        self.on_event(StageFinished(stage, self.seconds[stage], self.cached.get(stage, False)))


FILE = "history.json"


def keep_history(folder: Path, log: Iterable[Mapping[str, Any]]) -> None:
    """Write what the Trainer's ``log_history`` has of validation beside the model's weights."""
    looks = [
        [line["step"], line["eval_accuracy"], line["eval_loss"]] for line in log if "eval_accuracy" in line
    ]
    (folder / FILE).write_text(json.dumps(looks), encoding="utf-8")


def tell_history(folder: Path, who: Role, seed: int, on_event: OnEvent) -> None:
    """Report those looks as if the model were trained now, so that its curve is there to compare with."""
    if (folder / FILE).is_file():  # folders of earlier versions have none
        for step, accuracy, loss in json.loads((folder / FILE).read_text(encoding="utf-8")):
            on_event(Evaluated(who, seed, step, accuracy, loss))
