"""Several processes on one run: their shares, and equality with a single process.

torchrun starts this module as one of the processes: see ``main``.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch import distributed
from transformers import TrainerCallback

from kd_core.config import DistillConfig, ObjectiveConfig
from kd_core.distillation.events import Checkpointed, Step, ignore
from kd_core.distillation.run import Run, check_processes
from kd_core.errors import DataError, KDError, RunError
from kd_core.system import parallel
from kd_core.system.atomic import is_whole
from kd_core.system.control import Control
from tests import ROOT
from tests.unit.conftest import tiny_recipe
from tests.unit.distillation.training.drawn import LABELLED, batches
from tests.unit.distillation.training.trained import Gradients

if TYPE_CHECKING:
    from kd_core.distillation.training.batches import Recipe
from kd_core.distillation.training.trainer import DistillTrainer

LAUNCH = {
    "accelerate": ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
    "torchrun": ("torch.distributed.run", "--nproc-per-node", "2"),
}

# First steps whose gradients are compared: 9 rows; 2 rows, of which 1 is labelled; 1 row for 2 processes.
RECIPES = {
    "odd": tiny_recipe(batch_size=5, transfer_batch_size=4),
    "one each": tiny_recipe(batch_size=1, transfer_batch_size=1),
    "one row": tiny_recipe(batch_size=1, transfer_batch_size=0),
    "inner": tiny_recipe(
        batch_size=5,
        transfer_batch_size=4,
        objective=ObjectiveConfig(temperature=4, hidden_weight=1, relation_weight=1),
    ),
}
RECIPES = {
    name: replace(recipe, steps=1, evaluate_every=1, max_grad_norm=1000.0) for name, recipe in RECIPES.items()
}


def launch(by: str, module: str, *args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``module`` in two processes of one thread each."""
    launcher, *options = LAUNCH[by]
    return subprocess.run(
        [sys.executable, "-m", launcher, *options, "-m", module, *map(str, args)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


# Shares


@pytest.fixture
def processes(monkeypatch):
    """``processes(rank, size)`` simulates that process."""

    def be(rank: int, size: int) -> None:
        monkeypatch.setattr(parallel, "rank", lambda: rank)
        monkeypatch.setattr(parallel, "size", lambda: size)

    return be


def test_shares_of_a_batch(processes):
    joined, shares = batches(), []
    for rank in range(3):
        processes(rank, 3)
        shares.append(batches())
    for step, batch in enumerate(joined):
        parts = [share[step] for share in shares]
        assert sorted(row for part in parts for row in part) == sorted(batch)
        assert {len(part) for part in parts} == {4}, "12 rows: 8 labelled and 4 transfer"
        assert {sum(row < LABELLED for row in part) for part in parts} == {3, 2}


def test_shares_of_a_batch_with_fewer_rows_than_processes(processes):
    processes(2, 3)
    assert parallel.shard_batch([7, 8]) == [7, 8]
    assert parallel.shard_batch([7, 8, 9]) == [9]


def test_shares_of_consecutive_rows(processes):
    parts = []
    for rank in range(3):
        processes(rank, 3)
        parts.append(parallel.shard_rows(10, 17))
    assert parts == [slice(10, 12), slice(12, 14), slice(14, 17)]


def test_a_single_process_is_the_main_one():
    assert (parallel.rank(), parallel.size(), parallel.is_main()) == (0, 1, True)
    assert parallel.on_main_process(lambda: 3) == 3
    assert parallel.gather(lambda: 3) == [3]
    with pytest.raises(DataError, match=r"^No such file$"):
        parallel.on_main_process(lambda: fail(DataError("No such file")))


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (
            (False, "same"),
            RunError,
            r"^Not all 2 processes of this run see .*20260131-143000-a1b2\. Set KD_HOME",
        ),
        ((True, "other"), DataError, r"^The task 'tiny' has other texts for some of the 2 processes"),
    ],
)
def test_processes_need_the_same_folders_and_texts(
    tiny_task, tmp_path, processes, monkeypatch, other, error, message
):
    run = Run(tiny_task, DistillConfig(), tmp_path / "20260131-143000-a1b2", ignore, Control())
    processes(0, 2)
    monkeypatch.setattr(parallel, "on_main_process", lambda work: work())
    monkeypatch.setattr(parallel, "gather", lambda work: [work(), other])
    with pytest.raises(error, match=message):
        check_processes(run)
    monkeypatch.setattr(parallel, "gather", lambda work: [work(), (True, tiny_task.fingerprint)])
    check_processes(run)


# Two processes


@pytest.fixture(scope="module")
def answers(tiny_teacher, tiny_tokenizer, splits, tmp_path_factory) -> SimpleNamespace:
    """The outcomes of ``main`` in one process and in two."""
    folder = tmp_path_factory.mktemp("two")
    model = tiny_teacher("bert")
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    model.save_pretrained(folder / "model")
    tiny_tokenizer.save_pretrained(folder / "model")
    for name, split in splits.items():
        split.save_to_disk(folder / name)
    one = first_gradients(folder, folder / "one")
    done = launch("torchrun", "tests.unit.system.test_parallel", folder)
    assert (folder / "said.json").is_file(), done.stderr
    two = {name: dict(np.load(folder / f"{name}.npz")) for name in RECIPES}
    return SimpleNamespace(one=one, two=two, said=json.loads((folder / "said.json").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_gradients_equal_those_of_one_process(answers, name):
    one, two = answers.one[name], answers.two[name]
    assert one.keys() == two.keys()
    assert max(float(np.abs(gradient).max()) for gradient in one.values()) > 0.01
    for key, gradient in one.items():  # including the reported loss
        np.testing.assert_allclose(two[key], gradient, atol=1e-5, err_msg=key)


@pytest.mark.slow
def test_an_error_of_one_process_is_raised_in_all(answers):
    assert answers.said["gather"] == ["DataError: row 3 is empty"] * 2
    unexpected = answers.said["unexpected"]
    assert unexpected[0] == unexpected[1]
    assert unexpected[0].startswith("RunError: Process 2 of 2 on ")
    assert unexpected[0].endswith(" failed: ZeroDivisionError: division by zero")


@pytest.mark.slow
def test_a_stop_of_one_process_ends_all_at_the_same_checkpoint(answers):
    assert answers.said["stop"] == ["Stopped: Stopped at step 2 of 6."] * 2
    assert answers.said["checkpoints"] == [["checkpoint-2", True]]


@pytest.mark.slow
def test_the_main_process_decides_when_to_save(answers):
    assert answers.said["due"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_lost_process_ends_the_others(answers):
    assert answers.said["gone"] == (
        "RunError: Another of the 2 processes of this run went away; its own output says why. "
        "Resume the run to go on from its last checkpoint."
    )


@pytest.fixture(scope="module")
def runs(tiny_config, tmp_path_factory) -> SimpleNamespace:
    """The same run by one process and by two that start from the same teacher."""
    from kd_core import distill

    folder = tmp_path_factory.mktemp("runs")
    learns = {"student.hidden": 32, "student.freeze_embeddings": False, "training.learning_rate": 3e-3}
    brief = {"training.steps": 200, "training.evaluate_every": 50, "controls.labelled_only": False}
    config: DistillConfig = tiny_config.change({**learns, **brief, "objective.alpha": 0.9})
    (folder / "run.yaml").write_text(config.to_yaml())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(folder / "one"))
        one = distill(config)
    shutil.copytree(folder / "one" / "cache" / "teachers", folder / "two" / "cache" / "teachers")
    args = ("distill", "--config", folder / "run.yaml", "--name", "together", "--json")
    done = launch("accelerate", "kd_core.cli", *args, KD_HOME=str(folder / "two"))
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(folder=folder, one=one, done=done, report=json.loads(done.stdout))


@pytest.mark.slow
def test_recorded_logits_equal_those_of_one_process(runs):
    from datasets import Dataset

    from kd_core.distillation.record import FILE

    files = [next((runs.folder / home / "cache" / "knowledge").rglob(FILE)) for home in ("one", "two")]
    assert files[0].parent.name == files[1].parent.name, "the same key"
    one, two = (np.asarray(Dataset.from_file(str(file))["logits"]) for file in files)
    assert one.shape == (65 + 40, 5)
    np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.slow
def test_two_processes_make_one_run(runs, monkeypatch):
    from kd_core.jobs.store import Store

    home = runs.folder / "two"
    monkeypatch.setenv("KD_HOME", str(home))
    (row,) = Store().runs()
    assert (row.id, row.status, row.name) == (runs.report["run_id"], "done", "together")
    assert [path.name for path in (home / "runs").iterdir()] == [row.id]
    kinds = ("teachers", "knowledge", "alone")
    count = {kind: len(list((home / "cache" / kind).iterdir())) for kind in kinds}
    assert count == {"teachers": 1, "knowledge": 1, "alone": 1}
    used = (home / "runs" / row.id / "caches.txt").read_text().splitlines()
    assert sorted(used) == sorted(set(used)), "noted once"
    assert list((home / "work").iterdir()) == []


@pytest.mark.slow
def test_progress_is_printed_once(runs):
    told = runs.done.stderr
    assert [told.count(f"\n{line}\n") for line in ("2 Record", "3 Distill", "4 Validate")] == [1, 1, 1]
    assert told.count("student: 200 of 200") == 1


@pytest.mark.slow
def test_the_student_learns_as_well(runs):
    one, two = runs.one.student.accuracy, runs.report["student"]["accuracy"]
    assert min(one, two) >= 0.6, "one text in five would be chance"


@pytest.mark.skipif(sys.platform != "linux", reason="reads names of threads")
def test_the_threads_of_a_group_end_with_it(tmp_path):
    def threads() -> int:
        names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
        return sum("gloo" in name for name in names)

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    circle: list[Any] = [distributed.group.WORLD]
    circle.append(circle)
    del circle
    deadline = time.monotonic() + 60
    while threads() == 0 and time.monotonic() < deadline:  # threads get their names later
        time.sleep(0.01)
    assert threads() > 0
    parallel.leave()
    assert threads() == 0


# The code of the two processes


def main(folder: Path) -> None:
    """Write gradients, and ``said.json`` with errors, stops and checkpoints."""
    from kd_core.distillation.training import trainer as module
    from kd_core.distillation.training.trainer import train

    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it when the second process dies
    parallel.join()
    gradients = first_gradients(folder, folder / "two")
    parallel.on_main_process(lambda: save(gradients, folder))
    is_second = parallel.rank() == 1
    said: dict[str, object] = {}

    def refuse() -> None:
        if is_second:
            raise DataError("row 3 is empty")

    said["gather"] = in_each(lambda: parallel.gather(refuse))
    said["unexpected"] = in_each(lambda: parallel.gather(lambda: 1 / (1 - is_second)))

    control = Control()
    subject = trainer(folder, folder / "stop", tiny_recipe(), control=control)
    subject.add_callback(at_step(2, control.stop if is_second else bool))
    said["stop"] = in_each(lambda: train(subject))
    said["checkpoints"] = [[path.name, is_whole(path)] for path in (folder / "stop" / "student-0").iterdir()]

    told: list[object] = []
    module.SECONDS_BETWEEN_CHECKPOINTS = math.inf if is_second else 0
    train(trainer(folder, folder / "due", tiny_recipe(), on_event=told.append))
    said["due"] = [event.step for event in told if isinstance(event, Checkpointed)]
    module.SECONDS_BETWEEN_CHECKPOINTS = math.inf

    subject = trainer(folder, folder / "gone", tiny_recipe())
    subject.add_callback(at_step(2, (lambda: os._exit(1)) if is_second else bool))
    try:
        with parallel.together():
            train(subject)
    except KDError as error:
        said["gone"] = f"{type(error).__name__}: {error}"
    (folder / "said.json").write_text(json.dumps(said))
    os._exit(0)


def in_each(work: Callable[[], object]) -> list[str]:
    """Return the error that ``work`` raises in each process."""
    try:
        work()
    except KDError as error:
        mine = f"{type(error).__name__}: {error}"
        return parallel.gather(lambda: mine)
    raise AssertionError("no error")


def first_gradients(folder: Path, work: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return, for each recipe, the first step's gradients by parameter, and its reported ``loss``."""
    from kd_core.distillation.training.trainer import train

    found = {}
    for name, recipe in RECIPES.items():
        events: list[object] = []
        subject, seen = trainer(folder, work, recipe, on_event=events.append), Gradients()
        subject.add_callback(seen)
        train(subject)
        found[name] = {key: gradient.numpy() for key, gradient in seen.steps[0].items()}
        found[name]["loss"] = next(np.float64(event.loss) for event in events if isinstance(event, Step))
    return found


def save(gradients: dict[str, dict[str, np.ndarray]], folder: Path) -> None:
    for name, found in gradients.items():
        np.savez(
            folder / f"{name}.npz", **{key.removeprefix("module."): value for key, value in found.items()}
        )


def trainer(folder: Path, work: Path, recipe: Recipe, **others: Any) -> DistillTrainer:
    """Return a trainer without dropout. An online teacher has 1.1 times the weights of the student."""
    from datasets import load_from_disk
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from kd_core.distillation.training.intermediate import IntermediateTerms
    from kd_core.distillation.training.trainer import DistillTrainer

    model, teacher = (AutoModelForSequenceClassification.from_pretrained(folder / "model") for _ in range(2))
    tokenizer, terms = AutoTokenizer.from_pretrained(folder / "model"), None
    if recipe.objective.needs_teacher_online:
        for weight in teacher.parameters():
            weight.data.mul_(1.1)
        terms = IntermediateTerms(recipe.objective, model, tokenizer, teacher, tokenizer)
    train = load_from_disk(folder / "train")
    task = SimpleNamespace(train=train.select(range(LABELLED)), labels=list(model.config.id2label.values()))
    run = Run(task, DistillConfig(), work, **{"on_event": ignore, "control": Control()} | others)
    validation = load_from_disk(folder / "validation")
    return DistillTrainer(model, recipe, run, train=train, validation=validation, terms=terms)


def at_step(step: int, act: Callable[[], object]) -> TrainerCallback:
    class AtStep(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == step - 1:
                act()

    return AtStep()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
