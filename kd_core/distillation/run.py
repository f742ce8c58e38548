"""What the four steps of a run share: its task and config, its models, the cache and the clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_model
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import DistillConfig, Precision
from kd_core.data.task import Task
from kd_core.distillation.events import (
    Evaluated,
    Note,
    OnEvent,
    Stage,
    StageFinished,
    StageStarted,
    TrainingStarted,
)
from kd_core.distillation.roles import Role
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.distillation.training.batches import Recipe, model_name
from kd_core.errors import DataError, RunError
from kd_core.models.inference import device
from kd_core.system import cache, parallel
from kd_core.system.atomic import write_text
from kd_core.system.control import Control
from kd_core.system.settings import fixed

TENSORBOARD = "tensorboard"  # in a run's folder: an event file for each model that was trained
HISTORY = "history.json"  # beside the weights of a model
SECONDS = "seconds.json"  # in a work folder: what each stage took until now

# Step, accuracy, loss and score, as ``Evaluated`` has them; folders of earlier versions have no score.
History = list[tuple[int, float, float, float | None]]


@dataclass(frozen=True)
class Run:
    """``config`` is resolved; ``work`` is a folder for checkpoints that goes when the run is done."""

    task: Task
    config: DistillConfig
    work: Path
    on_event: OnEvent
    control: Control
    notes: list[str] = field(default_factory=list)  # that the report has too
    last_start: dict[str, Any] = field(default_factory=dict)  # the student that was built last, and of what

    def note(self, sentence: str) -> None:
        """Say it once, to whoever watches and in the report."""
        if sentence not in self.notes:
            self.notes.append(sentence)
            self.on_event(Note(sentence))

    @property
    def max_length(self) -> int:
        return fixed(self.config.task.max_length)

    @property
    def precision(self) -> Precision:
        return fixed(self.config.training.precision)

    def place(self, kind: str, **parts: Any) -> Path:
        """The cache's folder of what is made of ``parts``; noted, so that it is kept as long as this run."""
        if TRAINING_VERSION > 1:  # keys of version 1 are without
            parts["training"] = TRAINING_VERSION

        def note() -> Path:
            place = cache.place(kind, **parts)
            self.work.mkdir(parents=True, exist_ok=True)
            with (self.work / cache.USED).open("a", encoding="utf-8") as file:
                file.write(f"{kind}/{place.name}\n")
            return place

        return parallel.on_main_process(note)


@dataclass(frozen=True)
class Trained:
    """A model that is ready to be judged, and the folder with its weights.

    One that does not ``answer`` lends its tokenizer and its start: the teacher is a file (``Task.answers``).
    """

    who: Role
    seed: int
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    folder: Path
    answers: bool = True

    @property
    def name(self) -> str:
        return model_name(self.who, self.seed)


@dataclass
class Clock:
    """Seconds of each stage, in all starts of the run, and whether its result was there already.

    Pauses are not among them, nor what a start took that was killed.
    """

    run: Run
    seconds: dict[str, float] = field(default_factory=dict)
    cached: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with suppress(OSError, ValueError):
            self.seconds |= json.loads((self.run.work / SECONDS).read_text(encoding="utf-8"))

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        self.run.on_event(StageStarted(stage))
        before, start = self.seconds.get(stage, 0.0), self.run.control.clock()
        try:
            yield
        finally:
            self.seconds[stage] = before + self.run.control.clock() - start
            if parallel.is_main():
                self._keep()
        self.run.on_event(StageFinished(stage, self.seconds[stage], self.cached.get(stage, False)))

    def _keep(self) -> None:
        with suppress(OSError, RunError), self.run.control.fence():
            write_text(self.run.work / SECONDS, json.dumps(self.seconds))


def cached_or_trained(
    run: Run,
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    place: Path,
    train: Callable[[], History],
) -> tuple[Trained, bool]:
    """``model`` with the weights kept at ``place`` (True), or trained by ``train()`` and then kept there.

    The events are alike: the curve of a model from the cache is there to compare with.
    """
    started = TrainingStarted(recipe.who, recipe.seed, recipe.steps)

    def make(folder: Path) -> None:
        run.on_event(started)
        history = train()

        def keep() -> None:
            (folder / HISTORY).write_text(json.dumps(history), encoding="utf-8")
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        parallel.on_main_process(keep)

    cached = parallel.fetch(place, make)
    if cached:
        run.on_event(replace(started, cached=True))
        if (place / HISTORY).is_file():  # folders of earlier versions have none
            for look in json.loads((place / HISTORY).read_text(encoding="utf-8")):
                run.on_event(Evaluated(recipe.who, recipe.seed, *look))
        load_model(model, place / "model.safetensors")
    return Trained(recipe.who, recipe.seed, model.eval().to(device()), tokenizer, place), cached


def check_processes(run: Run) -> None:
    """Whether all processes see the same folders and texts. Raises: RunError, DataError."""
    if parallel.size() == 1:
        return
    parallel.on_main_process(partial(run.work.mkdir, parents=True, exist_ok=True))
    seen = parallel.gather(lambda: (run.work.is_dir(), run.task.fingerprint))
    if not all(there for there, _ in seen):
        raise RunError(
            f"Not all {len(seen)} processes of this run see {run.work}. "
            "Set KD_HOME to a folder that all their machines share."
        )
    if len({fingerprint for _, fingerprint in seen}) > 1:
        raise DataError(
            f"The task {run.task.name!r} has other texts for some of the {len(seen)} processes of this run. "
            "Give all their machines the same files."
        )
