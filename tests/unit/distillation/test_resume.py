"""A run that is killed with SIGKILL, at any moment, and resumed ends with the weights of an undisturbed one.

Each run has a process of its own, forked from a server that has imported the engine already.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kd_core.config import DistillConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks, and has no SIGKILL"),
]

RUN = "20260131-143000-a1b2"
FIRST = "first steps.json"
ALL = {"student": 1, "alone": 1, "labelled_only": 1}
PRELOAD = ["kd_core.distillation.pipeline", "transformers.models.bert.modeling_bert", "scipy.stats", "pytest"]


@dataclass(frozen=True)
class Point:
    """Kill in the first call of a function that has an argument like ``pattern``.

    Before it does anything, ``after`` it has done all, or after ``half``. ``TELL`` gets each event's kind,
    model and step.
    """

    function: str  # module:attribute.of.it
    pattern: str
    after: bool = False
    half: Callable[..., None] | None = None

    def install(self) -> None:
        module, _, attributes = self.function.partition(":")
        *owners, name = attributes.split(".")
        owner = reduce(getattr, owners, import_module(module))
        original = getattr(owner, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if any(fnmatch(str(arg), self.pattern) for arg in args):
                if self.half:
                    self.half(*args)
                elif self.after:
                    original(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(owner, name, wrapper)


def tell(_: str) -> None:
    """Do nothing: here, a run is killed at an event."""


def half_removed(folder: Path, *_: Any) -> None:
    """Remove some files, among them each second checkpoint's manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files[: len(files) // 2]:
        path.unlink()


def half_written(folder: Path) -> None:
    (folder / "manifest.json").write_text('{\n "config.json": {"byt')


def work(home: str, config: dict[str, Any], point: Point | None) -> None:
    """In a process of its own: run (or resume) ``RUN``, to be killed at ``point``."""
    os.environ["KD_HOME"] = home
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    from kd_core.distillation.pipeline import distill
    from kd_core.distillation.training import trainer

    trainer.SECONDS_BETWEEN_CHECKPOINTS = 0  # after each step
    torch.set_num_threads(1)
    gc.freeze()  # what the server has imported need not be looked through again and again
    first: dict[str, int] = {}

    def on_event(event: Any) -> None:
        kind = type(event).__name__
        if kind == "Step":
            first.setdefault(event.who, event.step)
        tell(f"{kind} {getattr(event, 'who', '')} {getattr(event, 'step', '')}")

    if point:
        point.install()
    distill(DistillConfig.from_dict(config), on_event, run_id=RUN)
    Path(home, FIRST).write_text(json.dumps(first))


@pytest.fixture(scope="module")
def run(tiny_config) -> Callable[..., int]:
    """``run(home, point)``: the exit code of a process that works on ``RUN`` in ``home``."""
    changes = {"teacher.epochs": 3, "training.steps": 12, "training.evaluate_every": 2}
    config = tiny_config.change(changes | {"controls.shifted": False}).model_dump(mode="json")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)

    def run(home: Path, point: Point | None = None) -> int:
        home.mkdir(exist_ok=True)
        process = context.Process(target=work, args=(str(home), config, point))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    return run


def weights(home: Path) -> dict[str, bytes]:
    """Of the teacher and of all students of the run."""
    files = [
        *home.glob("cache/teachers/[!.]*/*.safetensors"),
        *home.glob(f"runs/{RUN}/students/*/*.safetensors"),
    ]
    return {file.relative_to(home).as_posix(): file.read_bytes() for file in files}


def first_steps(home: Path) -> dict[str, int]:
    """The first step of each training that the last, undisturbed process did itself."""
    return json.loads((home / FIRST).read_text())


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("undisturbed")
    assert run(home) == 0
    assert first_steps(home) == {"teacher": 1} | ALL
    assert len(set(weights(home).values())) == 4, "all four models differ"
    return home


SEAL, RENAME, RMTREE = "kd_core.distillation.training.trainer:seal", "pathlib:Path.rename", "shutil:rmtree"
TELL = f"{__name__}:tell"
OPTIMIZER = "transformers:Trainer._save_optimizer_and_scheduler"
SIXTH = "*/student-0/checkpoint-6"
KEPT = {"alone": 1, "labelled_only": 1}
# Where it is killed, and the first step of each training that is left to do then.
POINTS: dict[str, tuple[Point, dict[str, int]]] = {
    "before any checkpoint": (Point(TELL, "Step teacher 1"), {"teacher": 1} | ALL),
    "in the teacher's training": (Point(TELL, "Step teacher 8"), {"teacher": 8} | ALL),
    "the teacher is about to be kept": (Point(RENAME, "*/teachers/*"), {"teacher": 1} | ALL),
    "while recording": (Point("kd_core.distillation.record:_write", "*logits.arrow"), ALL),
    "saved, not evaluated": (Point(TELL, "Checkpointed student 6"), ALL | {"student": 7}),
    "evaluated": (Point(TELL, "Evaluated student 6"), ALL | {"student": 7}),
    "in the middle of a checkpoint": (Point(OPTIMIZER, SIXTH), ALL | {"student": 6}),
    "half a manifest": (Point(SEAL, SIXTH, half=half_written), ALL | {"student": 6}),
    "sealed, older ones still there": (Point(SEAL, SIXTH, after=True), ALL | {"student": 7}),
    "while older ones go": (
        Point(RMTREE, "*/student-0/checkpoint-*", half=half_removed),
        ALL | {"student": 4},
    ),
    "while all go": (Point(RMTREE, "*/student-0", half=half_removed), KEPT),  # the last was still whole
    "the student is about to be kept": (Point(RENAME, "*/students/.student-0-*"), ALL),
    "the student is kept": (Point(RENAME, "*/students/.student-0-*", after=True), KEPT),
    "at the last checkpoint": (Point(TELL, "Checkpointed labelled_only 12"), {}),
    "the run is about to be kept": (Point(RENAME, "*/runs/*"), {}),
    "the run is kept": (Point(RENAME, "*/runs/*", after=True), {}),
}


@pytest.mark.parametrize(("point", "left"), POINTS.values(), ids=POINTS)
def test_a_killed_run_is_resumed_to_the_same_bits(run, undisturbed, tmp_path, point, left):
    """Also where its data folder was moved meanwhile."""
    before, after = tmp_path / "before", tmp_path / "after"
    if "teacher" not in left:  # saves its training, twice
        shutil.copytree(undisturbed / "cache" / "teachers", before / "cache" / "teachers")
    assert run(before, point) == -signal.SIGKILL
    before.rename(after)
    assert run(after) == 0
    assert first_steps(after) == left
    assert weights(after) == weights(undisturbed)
    assert not (after / "work" / RUN).exists()
