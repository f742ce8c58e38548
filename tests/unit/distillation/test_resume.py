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
SEAL = "kd_core.distillation.training.trainer:seal"
OPTIMIZER = "transformers:Trainer._save_optimizer_and_scheduler"
RENAME = "pathlib:Path.rename"
PRELOAD = ["kd_core.distillation.pipeline", "transformers.models.bert.modeling_bert", "scipy.stats", "pytest"]


@dataclass(frozen=True)
class At:
    """Kill when an event of this kind is told that has these values."""

    kind: str
    values: dict[str, Any]

    def install(self, events: list[Callable[[Any], None]]) -> None:
        def told(event: Any) -> None:
            fits = all(getattr(event, name, None) == value for name, value in self.values.items())
            if type(event).__name__ == self.kind and fits:
                kill()

        events.append(told)


@dataclass(frozen=True)
class In:
    """Kill in the ``call``-th call of a function that has an argument like ``pattern``.

    ``when``: "before" it does anything, "midway" (see ``HALF``), or "after" it has done all.
    """

    function: str  # module:attribute.of.it
    pattern: str
    when: str = "before"
    call: int = 1

    def install(self, events: list[Callable[[Any], None]]) -> None:
        module, _, attributes = self.function.partition(":")
        *owners, name = attributes.split(".")
        owner = import_module(module)
        for attribute in owners:
            owner = getattr(owner, attribute)
        original, left = getattr(owner, name), [self.call]

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if any(fnmatch(str(arg), self.pattern) for arg in args):
                left[0] -= 1
                if left[0] == 0:
                    if self.when == "midway":
                        HALF[name](*args)
                    elif self.when == "after":
                        original(*args, **kwargs)
                    kill()
            return original(*args, **kwargs)

        setattr(owner, name, wrapper)


def half_removed(folder: Path, *_: Any) -> None:
    """Some files are gone, among them each second checkpoint's manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files[: len(files) // 2]:
        path.unlink()


def half_written(folder: Path) -> None:
    (folder / "manifest.json").write_text('{\n "config.json": {"byt')


HALF = {"rmtree": half_removed, "seal": half_written}


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(home: str, config: dict[str, Any], point: At | In | None) -> None:
    """In a process of its own: run (or resume) ``RUN``, to be killed at ``point``."""
    os.environ["KD_HOME"] = home
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    from kd_core.distillation.pipeline import distill
    from kd_core.distillation.training import trainer

    trainer.SECONDS_BETWEEN_CHECKPOINTS = 0  # after each step
    torch.set_num_threads(1)
    gc.freeze()  # what the server has imported need not be looked through again and again
    listeners: list[Callable[[Any], None]] = []
    first: dict[str, int] = {}

    def on_event(event: Any) -> None:
        if type(event).__name__ == "Step":
            first.setdefault(event.who, event.step)
        for listener in listeners:
            listener(event)

    if point:
        point.install(listeners)
    distill(DistillConfig.from_dict(config), on_event, run_id=RUN)
    Path(home, FIRST).write_text(json.dumps(first))


@pytest.fixture(scope="module")
def run(tiny_config) -> Callable[..., int]:
    """``run(home, point)``: the exit code of a process that works on ``RUN`` in ``home``."""
    config = tiny_config.change(
        {
            "teacher.epochs": 3,
            "training.steps": 12,
            "training.evaluate_every": 2,
            "controls.shifted": False,
        }
    ).model_dump(mode="json")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)

    def run(home: Path, point: At | In | None = None) -> int:
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
        *home.glob("cache/teachers/[!.]*/model.safetensors"),
        *home.glob(f"runs/{RUN}/students/*/model.safetensors"),
    ]
    return {file.relative_to(home).as_posix(): file.read_bytes() for file in files}


def first_steps(home: Path) -> dict[str, int]:
    """The first step of each training that the last, undisturbed process did itself."""
    return json.loads((home / FIRST).read_text())


@pytest.fixture(scope="module")
def home(run, tmp_path_factory) -> Path:
    """Of an undisturbed run."""
    home = tmp_path_factory.mktemp("undisturbed")
    assert run(home) == 0
    assert first_steps(home) == {"teacher": 1} | ALL
    return home


@pytest.fixture(scope="module")
def undisturbed(home) -> dict[str, bytes]:
    found = weights(home)
    assert len(set(found.values())) == 4, "all four models differ"
    return found


# Where it is killed, and the first step of each training that is left to do then.
POINTS: dict[str, tuple[At | In, dict[str, int]]] = {
    "before any checkpoint": (At("Step", {"who": "teacher", "step": 1}), {"teacher": 1} | ALL),
    "in the teacher's training": (At("Step", {"who": "teacher", "step": 8}), {"teacher": 8} | ALL),
    "the teacher is about to be kept": (In(RENAME, "*/teachers/*"), {"teacher": 1} | ALL),
    "while recording": (In("kd_core.distillation.record:_write", "*logits.arrow"), ALL),
    "saved, not evaluated": (At("Checkpointed", {"who": "student", "step": 6}), ALL | {"student": 7}),
    "evaluated": (At("Evaluated", {"who": "student", "step": 6}), ALL | {"student": 7}),
    "in the middle of a checkpoint": (In(OPTIMIZER, "*/student-0/checkpoint-6"), ALL | {"student": 6}),
    "between checkpoint and manifest": (In(SEAL, "*/student-0/checkpoint-6"), ALL | {"student": 6}),
    "half a manifest": (In(SEAL, "*/student-0/checkpoint-6", "midway"), ALL | {"student": 6}),
    "sealed, older ones still there": (In(SEAL, "*/student-0/checkpoint-6", "after"), ALL | {"student": 7}),
    "while older ones go": (
        In("shutil:rmtree", "*/student-0/checkpoint-*", "midway"),
        ALL | {"student": 4},
    ),
    "while all checkpoints go": (
        In("shutil:rmtree", "*/student-0", "midway"),
        {"alone": 1, "labelled_only": 1},  # the last one was still whole
    ),
    "the student is about to be kept": (In(RENAME, "*/students/.student-0-*"), ALL),
    "the student is kept": (In(RENAME, "*/students/.student-0-*", "after"), {"alone": 1, "labelled_only": 1}),
    "in the control's training": (
        At("Step", {"who": "alone", "step": 10}),
        {"alone": 10, "labelled_only": 1},
    ),
    "at the last checkpoint": (At("Checkpointed", {"who": "labelled_only", "step": 12}), {}),
    "while validating": (At("Progress", {"stage": "validate", "done": 2}), {}),
    "the run is about to be kept": (In(RENAME, "*/runs/*"), {}),
    "the run is kept": (In(RENAME, "*/runs/*", "after"), {}),
}


@pytest.mark.parametrize("name", POINTS)
def test_killed_and_resumed(run, home, undisturbed, tmp_path, name):
    point, left = POINTS[name]
    if "teacher" not in left:  # saves its training, twice
        shutil.copytree(home / "cache" / "teachers", tmp_path / "cache" / "teachers")
    assert run(tmp_path, point) == -signal.SIGKILL
    assert run(tmp_path) == 0
    assert first_steps(tmp_path) == left
    assert weights(tmp_path) == undisturbed
    assert not (tmp_path / "work" / RUN).exists()


def test_a_data_folder_that_was_moved_goes_on_where_it_was(
    run: Callable[..., int], home: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(home / "cache" / "teachers", before / "cache" / "teachers")
    assert run(before, At("Step", {"who": "student", "step": 8})) == -signal.SIGKILL
    before.rename(after)
    assert run(after) == 0
    assert first_steps(after) == ALL | {"student": 8}
    assert weights(after) == undisturbed


def test_the_best_weights_of_version_0_1_are_found_where_they_were_moved_to(tmp_path: Path) -> None:
    from kd_core.distillation.training.trainer import _best

    state = {"best_model_checkpoint": "/old/home/work/run/student-0/checkpoint-4"}
    (tmp_path / "checkpoint-6").mkdir()
    (tmp_path / "checkpoint-6" / "trainer_state.json").write_text(json.dumps(state))
    assert _best(tmp_path / "checkpoint-6") == tmp_path / "checkpoint-4" / "model.safetensors"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damaged", ["model.safetensors", "optimizer.pt", "trainer_state.json", "best.safetensors", "all"]
)
def test_a_damaged_checkpoint_is_not_used(run, home, undisturbed, tmp_path, damaged):
    shutil.copytree(home / "cache" / "teachers", tmp_path / "cache" / "teachers")
    assert run(tmp_path, At("Checkpointed", {"who": "student", "step": 12})) == -signal.SIGKILL
    folder = tmp_path / "work" / RUN / "student-0"
    before, last = (folder / f"checkpoint-{step}" for step in (11, 12))
    assert sorted(folder.iterdir()) == [before, last]
    weights_of = [(last / file).read_bytes() for file in ("best.safetensors", "model.safetensors")]
    assert weights_of[0] != weights_of[1], "the best ones are not the last ones here"
    if damaged == "all":
        flip(before / "optimizer.pt")
        flip(last / "scheduler.pt")
    else:
        flip(last / damaged)
    first = 1 if damaged == "all" else 12
    assert run(tmp_path) == 0
    assert first_steps(tmp_path) == ALL | {"student": first}
    assert weights(tmp_path) == undisturbed
