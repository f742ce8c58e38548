from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import psutil
import pytest
import torch
from optuna.trial import TrialState

from kd_core.distillation.training import TRAINING_VERSION
from kd_core.search import SearchResult, processes, result, trials
from kd_core.search.processes import more_workers, workers_here
from kd_core.system import paths
from kd_core.system.control import Control
from tests.unit.search.conftest import fingerprint, run

pytestmark = pytest.mark.usefixtures("own_database")


@pytest.mark.parametrize(
    ("wanted", "cores", "gigabytes", "gpu", "expected"),
    [
        ("auto", 3, 100, False, 3),
        ("auto", 16, 100, False, 5),  # as many as there are cells
        ("auto", 16, 4, False, 2),
        ("auto", 16, 1, False, 1),
        ("auto", 16, 100, True, 1),
        (2, 1, 1, False, 2),
        (2, 16, 100, True, 2),
        (9, 16, 100, False, 5),
    ],
)
def test_number_of_workers(wanted, cores, gigabytes, gpu, expected, search_config, monkeypatch) -> None:
    monkeypatch.setattr(processes.torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(processes.torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(processes, "available_memory", lambda: gigabytes * 1e9)
    assert workers_here(search_config.model_copy(update={"workers": wanted})) == expected


def test_trial_is_taken_by_one_worker_only(database_url, search_config, monkeypatch) -> None:
    """SQLite has no lock on a row: of a read and a write after it, two would both see a trial that waits."""
    monkeypatch.setenv("KD_DATABASE_URL", database_url)
    with trials.connected() as storage:
        study = trials.begin(storage, "shared", search_config, {}).cells
        for cell in range(30):
            study.enqueue_trial({}, user_attrs={trials.CELL: cell})
        ids = [trial._trial_id for trial in study.get_trials()]
    together = threading.Barrier(4)

    def take_all(_: int) -> list[int]:
        with trials.connected() as mine:
            taken = []
            for trial in ids:
                together.wait()
                if mine.set_trial_state_values(trial, TrialState.RUNNING):
                    taken.append(trial)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(chain.from_iterable(pool.map(take_all, range(4))))
    assert sorted(taken) == ids
    with trials.connected() as storage:
        shared = trials.find(storage, "shared").cells.get_trials()
    assert {trial.state for trial in shared} == {TrialState.RUNNING}
    assert all(trial.datetime_start for trial in shared)


def begin(config) -> None:
    with trials.connected() as storage:
        facts = {trials.PRECISION: "fp32", trials.FINGERPRINT: fingerprint(config), trials.USUAL: 2.0}
        facts |= {trials.TRAINED_BY: TRAINING_VERSION, trials.METRIC: "accuracy"}
        trials.begin(storage, config.study, config, facts)


def accuracies(found: SearchResult) -> list[list[float]]:
    return [[score.accuracy for score in cell.scores] for cell in (*found.cells, *found.alone)]


WORKER = """
import os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
torch.set_num_threads(1)
from pathlib import Path
from kd_core.system.control import Control
from kd_core.search import run_search, result, trials, worker
trials.BEAT, trials.GRACE, trials.LOOK_EVERY = 1, 30, 0.2
trials.owner = lambda: "another machine:1:0.0"  # so that the heartbeat alone tells who is dead
score = worker.CrossValidation.score
def told(self, setting, alone, fold, seed):
    print(f"takes {'alone' if alone else setting.temperature} {setting.alpha} {fold}", flush=True)
    if sys.argv[2] == "stuck":
        time.sleep(600)
    result = score(self, setting, alone, fold, seed)
    print(f"done {'alone' if alone else setting.temperature} {setting.alpha} {fold}", flush=True)
    return result
worker.CrossValidation.score = told
run_search(result("shared").config, "shared", Path(sys.argv[1]), lambda event: None, Control())
"""


@pytest.mark.slow
def test_workers_do_every_cell_once_while_one_of_them_is_killed(
    database_url, search_config, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("KD_DATABASE_URL", database_url)
    begin(search_config.model_copy(update={"study": "shared"}))

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(tmp_path / name), name]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    workers = [start("stuck")]
    try:
        first = workers[0].stdout.readline().split()
        assert first[0] == "takes"
        workers += [start("a"), start("b")]
        assert workers[1].stdout.readline().startswith("takes")
        workers[0].send_signal(signal.SIGKILL)
        outputs = [process.communicate(timeout=300) for process in workers[1:]]
    finally:
        for process in workers:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()
    assert [process.returncode for process in workers[1:]] == [0, 0], outputs
    done = [line for out, _ in outputs for line in out.splitlines() if line.startswith("done")]
    found = result("shared")
    assert found.complete
    assert found.trainings_done == found.trainings == 12
    # The very first line was read above; it is the one that both lists may lack.
    assert len(done) == len(set(done)) == 10
    assert " ".join(["done", *first[1:]]) in done  # what the killed one had taken
    alone = run(search_config.model_copy(update={"study": "one worker"}))
    assert accuracies(found) == accuracies(alone)
    assert (found.best, found.choice) == (alone.best, alone.choice)


@pytest.mark.slow
def test_helper_works_by_itself_and_ends_with_the_block(search_config) -> None:
    config = search_config.model_copy(update={"study": "helped", "workers": 2})
    begin(config)
    threads = torch.get_num_threads()
    with more_workers("helped", 1, paths.work() / "search", Control()):
        assert torch.get_num_threads() == max(1, threads // 2)
        deadline = time.monotonic() + 300
        while not result("helped").complete and time.monotonic() < deadline:
            time.sleep(0.2)  # this process does nothing
    assert result("helped").trainings_done == 12
    assert torch.get_num_threads() == threads
    assert not [child for child in psutil.Process().children() if "helped" in child.cmdline()]
    assert (paths.work() / "search" / "helper-1.txt").read_text() == ""
    assert accuracies(result("helped")) == accuracies(run(config.model_copy(update={"study": "by one"})))
