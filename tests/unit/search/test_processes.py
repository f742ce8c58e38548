"""Many workers on one search: on this machine, at the same moment, and when one of them is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import psutil
import pytest
import torch
from optuna.trial import TrialState

from kd_core.search import SearchResult, result
from kd_core.search import trials as boards
from kd_core.search.processes import more_workers, workers_here
from kd_core.system import paths
from kd_core.system.control import Control
from tests.unit.search.in_process import _fingerprint, run

pytestmark = pytest.mark.usefixtures("own_database")


@pytest.fixture
def shared(database_url, monkeypatch):
    """A database for several processes."""
    monkeypatch.setenv("KD_DATABASE_URL", database_url)
    return database_url


def test_a_helper_works_by_itself_and_ends_with_the_block(search_config) -> None:
    config = search_config.model_copy(update={"study": "helped", "workers": 2})
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(config)}
        boards.begin(storage, "helped", config, facts)
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
    assert _accuracies(result("helped")) == _accuracies(run(config.model_copy(update={"study": "by one"})))


def test_as_many_workers_as_cores_memory_and_cells(search_config, monkeypatch) -> None:
    from kd_core.search import processes as module

    def workers(wanted: Any, *, cores: int = 16, memory: float = 100e9, gpu: bool = False) -> int:
        monkeypatch.setattr(module.torch, "get_num_threads", lambda: cores)
        monkeypatch.setattr(module.torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(module, "available_memory", lambda: memory)
        return workers_here(search_config.model_copy(update={"workers": wanted}))

    assert workers("auto", cores=3) == 3
    assert workers("auto") == search_config.cells == 5
    assert workers("auto", memory=4e9) == 2
    assert workers("auto", memory=1e9) == 1
    assert workers("auto", gpu=True) == 1
    assert workers(2) == 2
    assert workers(2, gpu=True) == 2


def test_how_many_work_is_no_setting_of_the_search(search_config, counted) -> None:
    assert run(search_config).complete
    assert run(search_config.model_copy(update={"workers": "auto"})).complete  # not: "other settings"


def test_workers_who_reach_for_the_same_trial_at_once_do_not_both_get_it(shared, search_config) -> None:
    """SQLite has no lock on a row: of a read and a write after it, two would both see a trial that waits."""
    with boards.connected() as storage:
        study = boards.begin(storage, "shared", search_config, {}).cells
        for cell in range(60):
            study.enqueue_trial({}, user_attrs={boards.CELL: cell})
        ids = [trial._trial_id for trial in study.get_trials()]
    together = threading.Barrier(4)

    def take_all(_: int) -> list[int]:
        with boards.connected() as mine:
            taken = []
            for trial in ids:
                together.wait()
                if mine.set_trial_state_values(trial, TrialState.RUNNING):
                    taken.append(trial)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(chain.from_iterable(pool.map(take_all, range(4))))
    assert sorted(taken) == ids
    with boards.connected() as storage:
        trials = boards.find(storage, "shared").cells.get_trials()
    assert {trial.state for trial in trials} == {TrialState.RUNNING}
    assert all(trial.datetime_start for trial in trials)


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
def test_three_workers_one_of_them_killed_do_every_cell_once_and_as_one_would(
    shared, search_config, tmp_path
) -> None:
    config = search_config.model_copy(update={"study": "shared"})
    with boards.connected() as storage:
        facts = {boards.PRECISION: "fp32", boards.FINGERPRINT: _fingerprint(config), boards.USUAL: 2.0}
        boards.begin(storage, "shared", config, facts)

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(tmp_path / name), name]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    processes = [start("stuck")]
    try:
        first = processes[0].stdout.readline().split()
        assert first[0] == "takes"
        processes += [start("a"), start("b")]
        assert processes[1].stdout.readline().startswith("takes")
        processes[0].send_signal(signal.SIGKILL)
        outputs = [process.communicate(timeout=300) for process in processes[1:]]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()
    assert [process.returncode for process in processes[1:]] == [0, 0], outputs
    done = [line for out, _ in outputs for line in out.splitlines() if line.startswith("done")]
    found = result("shared")
    assert found.complete
    assert found.trainings_done == found.trainings == 12
    # The very first line was read above; it is the one that both lists may lack.
    assert len(done) == len(set(done)) == 10
    assert " ".join(["done", *first[1:]]) in done  # what the killed one had taken

    alone = run(config.model_copy(update={"study": "one worker"}))
    assert _accuracies(found) == _accuracies(alone)
    assert (found.best, found.choice) == (alone.best, alone.choice)


def _accuracies(found: SearchResult) -> list[list[float]]:
    return [[score.accuracy for score in cell.scores] for cell in (*found.cells, *found.alone)]
